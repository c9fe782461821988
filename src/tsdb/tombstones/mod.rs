//! Tombstones: deleted time ranges of series whose samples are still stored.
//!
//! | module | content |
//! |---|---|
//! | this | the set in memory |
//! | [`mod@format`] | its bytes in a block's file `tombstones` |
//! | [`mod@file`] | reading and replacement of that file |
//!
//! A series is a plain number: in a block the [`crate::model::refs::BlockSeriesRef`], in the head
//! the [`crate::model::refs::SeriesRef`]. A shared set is kept behind an `Arc`; copies for readers
//! are cheap.

pub mod file;
pub mod format;

use crate::model::intervals::Intervals;
use crate::model::time::TimeRange;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Deleted time ranges by series. No series in it has an empty list of ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<u64, Arc<Intervals>>);

impl Tombstones {
    /// Adds `range` for a series. An empty range adds nothing.
    pub fn add(&mut self, series: u64, range: TimeRange) {
        if range.mint <= range.maxt {
            Arc::make_mut(self.0.entry(series).or_default()).add(range);
        }
    }

    /// Removes all ranges of a series.
    pub fn remove(&mut self, series: u64) {
        self.0.remove(&series);
    }

    /// Removes the ranges that end before `t`, of at most `max_series` series from `first` on. A
    /// range that reaches `t` is kept whole. Returns the series to continue with, or `None` at the
    /// end. A caller that shares the set releases its lock between two parts.
    pub fn truncate_before(&mut self, t: i64, first: u64, max_series: usize) -> Option<u64> {
        let mut emptied = Vec::new();
        let mut rest = self.0.range_mut(first..);
        for (&series, intervals) in rest.by_ref().take(max_series) {
            if intervals.iter().any(|range| range.maxt < t) {
                *intervals =
                    Arc::new(intervals.iter().filter(|range| range.maxt >= t).copied().collect());
            }
            if intervals.is_empty() {
                emptied.push(series);
            }
        }
        let next = rest.next().map(|(&series, _)| series);
        emptied.into_iter().for_each(|series| self.remove(series));
        next
    }

    /// Returns the deleted ranges of a series, or `None` if it has none.
    #[must_use]
    pub fn get(&self, series: u64) -> Option<&Arc<Intervals>> {
        self.0.get(&series)
    }

    /// Iterates over the series in ascending order, with their deleted ranges.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Arc<Intervals>)> {
        self.0.iter().map(|(&series, intervals)| (series, intervals))
    }

    /// Returns `true` if no range is deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of ranges of all series.
    #[must_use]
    pub fn interval_count(&self) -> u64 {
        self.0.values().map(|intervals| intervals.iter().len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Tombstones;
    use crate::model::time::TimeRange;
    use std::sync::Arc;

    #[test]
    fn adjacent_ranges_of_one_series_are_merged() {
        let mut set = Tombstones::default();
        for (series, mint, maxt) in [(7, 10, 19), (3, 0, 5), (7, 30, 40), (7, 20, 29), (9, 5, 4)] {
            set.add(series, TimeRange::new(mint, maxt));
        }
        let ranges: Vec<_> = set
            .iter()
            .map(|(series, intervals)| (series, intervals.iter().copied().collect::<Vec<_>>()))
            .collect();
        assert_eq!(ranges, [(3, vec![TimeRange::new(0, 5)]), (7, vec![TimeRange::new(10, 40)])]);
        assert_eq!((set.interval_count(), set.get(9).is_none()), (2, true));
        set.remove(3);
        set.remove(7);
        assert!(set.is_empty());
    }

    #[test]
    fn truncation_removes_only_ranges_that_end_before() {
        let mut set = Tombstones::default();
        for (series, mint, maxt) in [(1, 0, 9), (1, 20, 29), (2, 0, 9), (3, 0, 10)] {
            set.add(series, TimeRange::new(mint, maxt));
        }
        let reader = set.clone();
        let untouched = Arc::clone(set.get(3).unwrap());
        assert_eq!(set.truncate_before(10, 0, 2), Some(3));
        assert_eq!(set.truncate_before(10, 3, 2), None);
        assert_eq!(set.iter().map(|(series, _)| series).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(set.get(1).unwrap().iter().collect::<Vec<_>>(), [&TimeRange::new(20, 29)]);
        assert!(Arc::ptr_eq(&untouched, set.get(3).unwrap()));
        assert_eq!(reader.interval_count(), 4);
    }
}
