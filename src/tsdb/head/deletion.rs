//! Deletion of samples in the head: tombstones per series, which readers and the next block apply.
//!
//! The range is cut to the times of each series, so that later samples are never hidden. The
//! tombstones are logged before they are applied, so that a restart knows them.

use crate::model::matcher::Matcher;
use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::head::tombstones::{HeadTombstones, Tombstone};

/// Deletion from the head.
#[derive(Debug)]
pub struct HeadDeletion<'a> {
    series: &'a SeriesStore,
    tombstones: &'a HeadTombstones,
    in_flight: &'a InFlightBatches,
}

impl<'a> HeadDeletion<'a> {
    /// Creates a deletion from `head`.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self {
            series: &head.series,
            tombstones: &head.side_data.tombstones,
            in_flight: &head.in_flight,
        }
    }

    /// Returns the tombstones that delete all current samples of the matching series in `range`.
    ///
    /// Waits until older in-flight appends are enqueued, so that the WAL record of the deletion
    /// follows the series records: a replay skips references to unknown series. The caller must
    /// have no active appender.
    #[must_use]
    pub fn plan(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Tombstone> {
        let refs = self.series.postings().select(matchers);
        let tombstone = |series_ref: SeriesRef| {
            let series = self.series.get_by_ref(series_ref)?;
            let state = series.state.lock();
            let ooo = state.out_of_order.as_ref().and_then(|ooo| ooo.times());
            let min = state.min_time().into_iter().chain(ooo.map(|ooo| ooo.mint)).min()?;
            let max = state.max_time().into_iter().chain(ooo.map(|ooo| ooo.maxt)).max()?;
            let range = TimeRange::new(range.mint.max(min), range.maxt.min(max));
            (range.mint <= range.maxt).then_some(Tombstone { series_ref, range })
        };
        let planned: Vec<Tombstone> = refs.into_iter().filter_map(tombstone).collect();
        if !planned.is_empty() {
            self.in_flight.wait_for_older();
        }
        planned
    }

    /// Applies tombstones that are logged; readers skip the samples from now on.
    pub fn apply(&self, logged: &[Tombstone]) {
        self.tombstones.add(logged);
    }
}
