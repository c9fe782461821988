//! Deleting samples that are still in the head: noted by series, skipped by readers, left out of the next block.
//!
//! Only what is there is deleted: the range is cut to the times that each series has, so that a sample which comes later is never hidden.
//! The log gets a record of it before it is noted, so that a restart knows it as well.

use crate::model::matcher::Matcher;
use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::head::{Head, TOMBSTONES_PER_HOLD};

/// Times to delete of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The series.
    pub series: SeriesRef,
    /// Its times, ms, both ends included.
    pub range: TimeRange,
}

/// Deletes from the head.
#[derive(Debug)]
pub struct HeadDeletion<'a> {
    head: &'a Head,
}

impl<'a> HeadDeletion<'a> {
    /// From this head.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self { head }
    }

    /// What would have to be deleted so that no sample of the matching series in `range` is left of those that are there now.
    ///
    /// Waits until the log's queue has all that was found, so that a record of the deletion stands behind the series that it names: a replay
    /// passes over what refers to a series it does not know yet. Whoever calls has no appender at work.
    #[must_use]
    pub fn plan(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Tombstone> {
        let refs = self.head.postings.select(matchers);
        let stone = |series: SeriesRef| {
            let found = self.head.series.get_by_ref(series)?;
            let state = found.state.lock();
            let late = state.out_of_order.as_ref().and_then(|late| late.times());
            let min = state.min_time().into_iter().chain(late.map(|late| late.mint)).min()?;
            let max = state.max_time().into_iter().chain(late.map(|late| late.maxt)).max()?;
            let range = TimeRange::new(range.mint.max(min), range.maxt.min(max));
            (range.mint <= range.maxt).then_some(Tombstone { series, range })
        };
        let stones: Vec<Tombstone> = refs.into_iter().filter_map(stone).collect();
        if !stones.is_empty() {
            self.head.in_flight.wait_for_older();
        }
        stones
    }

    /// Notes what the log has a record of: from now on no reader sees it.
    pub fn apply(&self, stones: &[Tombstone]) {
        for lot in stones.chunks(TOMBSTONES_PER_HOLD) {
            let mut tombstones = self.head.tombstones.write();
            lot.iter().for_each(|Tombstone { series, range }| tombstones.add(series.0, *range));
        }
    }
}
