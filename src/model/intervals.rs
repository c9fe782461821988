//! Sets of times, kept as few ranges as possible: what was deleted of a series.

use crate::model::time::TimeRange;

/// Ranges of time (ms, both ends included), rising; none is empty, no two overlap or touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(Vec<TimeRange>);

impl Intervals {
    /// Adds all times of `range`; an empty one adds nothing.
    pub fn add(&mut self, range: TimeRange) {
        if range.mint > range.maxt {
            return;
        }
        // Those that end just before `range` or later, up to the last that begins just behind it or earlier.
        let first = self.0.partition_point(|one| one.maxt < range.mint.saturating_sub(1));
        let end =
            first + self.0[first..].partition_point(|one| one.mint <= range.maxt.saturating_add(1));
        let touched = &self.0[first..end];
        let mint = touched.first().map_or(range.mint, |one| one.mint.min(range.mint));
        let maxt = touched.last().map_or(range.maxt, |one| one.maxt.max(range.maxt));
        self.0.splice(first..end, [TimeRange::new(mint, maxt)]);
    }

    /// Whether there is no time in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `t` is in it.
    #[must_use]
    pub fn contains(&self, t: i64) -> bool {
        self.covers(TimeRange::new(t, t))
    }

    /// Whether every time of `range` is in it.
    #[must_use]
    pub fn covers(&self, range: TimeRange) -> bool {
        let at = self.0.partition_point(|one| one.maxt < range.mint);
        self.0.get(at).is_some_and(|one| one.mint <= range.mint && range.maxt <= one.maxt)
    }

    /// Whether a time of `range` is in it.
    #[must_use]
    pub fn overlaps(&self, range: TimeRange) -> bool {
        let at = self.0.partition_point(|one| one.maxt < range.mint);
        self.0.get(at).is_some_and(|one| one.overlaps(range))
    }

    /// The ranges, rising.
    pub fn iter(&self) -> std::slice::Iter<'_, TimeRange> {
        self.0.iter()
    }
}

impl FromIterator<TimeRange> for Intervals {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> Self {
        let mut own = Self::default();
        ranges.into_iter().for_each(|range| own.add(range));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::Intervals;
    use crate::model::time::TimeRange;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    #[test]
    fn the_ends_of_time_are_no_special_case() {
        let all: Intervals =
            [TimeRange::new(i64::MIN, 0), TimeRange::new(1, i64::MAX)].into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), [&TimeRange::ALL]);
        assert!(all.contains(i64::MIN) && all.contains(i64::MAX) && all.covers(TimeRange::ALL));
    }

    proptest! {
        #[test]
        fn they_are_the_union_in_as_few_ranges_as_possible(
            added in proptest::collection::vec((0i64..60, -3i64..12), 0..12), asked in (0i64..70, 0i64..12),
        ) {
            let ranges: Vec<_> = added.iter().map(|&(mint, len)| TimeRange::new(mint, mint + len)).collect();
            let times: BTreeSet<i64> = ranges.iter().flat_map(|range| range.mint..=range.maxt).collect();
            let own: Intervals = ranges.into_iter().collect();
            prop_assert_eq!(own.iter().flat_map(|range| range.mint..=range.maxt).collect::<Vec<_>>(),
                times.iter().copied().collect::<Vec<_>>());
            prop_assert!(own.0.windows(2).all(|pair| pair[0].maxt + 1 < pair[1].mint));
            let asked = TimeRange::new(asked.0, asked.0 + asked.1);
            prop_assert_eq!(own.covers(asked), (asked.mint..=asked.maxt).all(|t| times.contains(&t)));
            prop_assert_eq!(own.overlaps(asked), (asked.mint..=asked.maxt).any(|t| times.contains(&t)));
        }
    }
}
