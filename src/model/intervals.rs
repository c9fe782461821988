//! Sets of timestamps as minimal lists of time ranges, for tombstones.

use crate::model::time::TimeRange;

/// Time ranges (ms, inclusive), ascending. None is empty, and no two overlap or touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(Vec<TimeRange>);

impl Intervals {
    /// Adds all timestamps of `range`. An empty range adds nothing.
    pub fn add(&mut self, range: TimeRange) {
        if range.mint > range.maxt {
            return;
        }
        // Ranges that overlap or touch `range`: from the first that ends at `mint - 1` or later to
        // the last that starts at `maxt + 1` or earlier.
        let first = self.0.partition_point(|known| known.maxt < range.mint.saturating_sub(1));
        let end = first
            + self.0[first..].partition_point(|known| known.mint <= range.maxt.saturating_add(1));
        let touched = &self.0[first..end];
        let mint = touched.first().map_or(range.mint, |known| known.mint.min(range.mint));
        let maxt = touched.last().map_or(range.maxt, |known| known.maxt.max(range.maxt));
        self.0.splice(first..end, [TimeRange::new(mint, maxt)]);
    }

    /// Returns `true` if the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `true` if the set contains `t`.
    #[must_use]
    pub fn contains(&self, t: i64) -> bool {
        self.covers(TimeRange::new(t, t))
    }

    /// Returns `true` if the set contains every timestamp of `range`.
    #[must_use]
    pub fn covers(&self, range: TimeRange) -> bool {
        let at = self.0.partition_point(|known| known.maxt < range.mint);
        self.0.get(at).is_some_and(|known| known.mint <= range.mint && range.maxt <= known.maxt)
    }

    /// Returns `true` if the set contains a timestamp of `range`.
    #[must_use]
    pub fn overlaps(&self, range: TimeRange) -> bool {
        let at = self.0.partition_point(|known| known.maxt < range.mint);
        self.0.get(at).is_some_and(|known| known.overlaps(range))
    }

    /// Iterates over the ranges in ascending order.
    pub fn iter(&self) -> std::slice::Iter<'_, TimeRange> {
        self.0.iter()
    }
}

impl FromIterator<TimeRange> for Intervals {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> Self {
        let mut intervals = Self::default();
        ranges.into_iter().for_each(|range| intervals.add(range));
        intervals
    }
}

#[cfg(test)]
mod tests {
    use super::Intervals;
    use crate::model::time::TimeRange;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    #[test]
    fn ranges_at_the_limits_of_i64_are_merged() {
        let all: Intervals =
            [TimeRange::new(i64::MIN, 0), TimeRange::new(1, i64::MAX)].into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), [&TimeRange::ALL]);
        assert!(all.contains(i64::MIN) && all.contains(i64::MAX) && all.covers(TimeRange::ALL));
    }

    proptest! {
        #[test]
        fn intervals_are_the_minimal_union(
            added in proptest::collection::vec((0i64..60, -3i64..12), 0..12),
            query in (0i64..70, 0i64..12),
        ) {
            let ranges: Vec<_> =
                added.iter().map(|&(mint, len)| TimeRange::new(mint, mint + len)).collect();
            let times: BTreeSet<i64> =
                ranges.iter().flat_map(|range| range.mint..=range.maxt).collect();
            let intervals: Intervals = ranges.into_iter().collect();
            prop_assert_eq!(
                intervals.iter().flat_map(|range| range.mint..=range.maxt).collect::<Vec<_>>(),
                times.iter().copied().collect::<Vec<_>>()
            );
            prop_assert!(intervals.0.windows(2).all(|pair| pair[0].maxt + 1 < pair[1].mint));
            let query = TimeRange::new(query.0, query.0 + query.1);
            let mut timestamps = query.mint..=query.maxt;
            let covers = timestamps.clone().all(|t| times.contains(&t));
            prop_assert_eq!(intervals.covers(query), covers);
            prop_assert_eq!(intervals.overlaps(query), timestamps.any(|t| times.contains(&t)));
        }
    }
}
