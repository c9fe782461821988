//! Deletion of samples in the head: tombstones per series, which readers and the next block apply.
//!
//! The range is cut to the times of each series, so that later samples are never hidden. The
//! tombstones are logged before they are applied, so that a restart knows them.

use crate::model::matcher::Matcher;
use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::head::{Head, TOMBSTONES_PER_HOLD};

/// Deleted time range of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// Series in the head.
    pub series: SeriesRef,
    /// Deleted range, ms, both ends inclusive.
    pub range: TimeRange,
}

/// Deletion from the head.
#[derive(Debug)]
pub struct HeadDeletion<'a> {
    head: &'a Head,
}

impl<'a> HeadDeletion<'a> {
    /// Creates a deletion from `head`.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self { head }
    }

    /// Returns the tombstones that delete all current samples of the matching series in `range`.
    ///
    /// Waits until older in-flight appends are enqueued, so that the WAL record of the deletion
    /// follows the series records: a replay skips references to unknown series. The caller must
    /// have no active appender.
    #[must_use]
    pub fn plan(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Tombstone> {
        let refs = self.head.postings.select(matchers);
        let tombstone = |series: SeriesRef| {
            let found = self.head.series.get_by_ref(series)?;
            let state = found.state.lock();
            let ooo = state.out_of_order.as_ref().and_then(|ooo| ooo.times());
            let min = state.min_time().into_iter().chain(ooo.map(|ooo| ooo.mint)).min()?;
            let max = state.max_time().into_iter().chain(ooo.map(|ooo| ooo.maxt)).max()?;
            let range = TimeRange::new(range.mint.max(min), range.maxt.min(max));
            (range.mint <= range.maxt).then_some(Tombstone { series, range })
        };
        let planned: Vec<Tombstone> = refs.into_iter().filter_map(tombstone).collect();
        if !planned.is_empty() {
            self.head.in_flight.wait_for_older();
        }
        planned
    }

    /// Applies tombstones that are logged; readers skip the samples from now on.
    pub fn apply(&self, logged: &[Tombstone]) {
        for batch in logged.chunks(TOMBSTONES_PER_HOLD) {
            let mut tombstones = self.head.tombstones.write();
            batch.iter().for_each(|Tombstone { series, range }| tombstones.add(series.0, *range));
        }
    }
}
