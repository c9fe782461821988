//! Removal of collected series from everything that refers to them.

use crate::model::refs::SeriesRef;
use crate::tsdb::head::Head;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::head::stats::HeadStats;
use crate::tsdb::head::tombstones::HeadTombstones;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Parts of the head that refer to collected series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CollectedSeries<'a> {
    pub(super) series: &'a SeriesStore,
    tombstones: &'a HeadTombstones,
    pub(super) stats: &'a HeadStats,
}

impl<'a> CollectedSeries<'a> {
    /// Borrows the parts of `head`.
    pub(crate) fn new(head: &'a Head) -> Self {
        Self { series: &head.series, tombstones: &head.side_data.tombstones, stats: &head.stats }
    }

    /// Removes series, which are no longer in the series map, from the index and the tombstones.
    /// `until` is the time of their last sample in the WAL, ms.
    pub(crate) fn remove(&self, collected: &[Arc<HeadSeries>], until: i64) {
        if collected.is_empty() {
            return;
        }
        let refs: Vec<SeriesRef> = collected.iter().map(|series| series.series_ref).collect();
        self.series.unindex(&refs, until);
        self.tombstones.remove(&refs);
        self.stats.series_removed.fetch_add(refs.len() as u64, Ordering::Relaxed);
    }
}
