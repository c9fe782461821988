//! Collection of stale series, whose newest sample is a stale marker, after blocks contain them.
//!
//! A series is skipped while some reader may not see its last request.

use crate::model::refs::SeriesRef;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunks::store::ChunkStore;
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::truncation::collected::CollectedSeries;
use crate::tsdb::head::truncation::gc::SERIES_PER_HOLD;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Series whose newest sample is a stale marker.
#[derive(Debug, Clone)]
pub struct StaleSeries {
    /// The series; it may receive samples again.
    pub series: Arc<HeadSeries>,
    /// Time of its stale marker, ms.
    pub end: i64,
}

/// Collection of stale series.
#[derive(Debug)]
pub struct StaleSeriesGc<'a> {
    collected: CollectedSeries<'a>,
    chunks: &'a ChunkStore,
    in_flight: &'a InFlightBatches,
}

impl<'a> StaleSeriesGc<'a> {
    /// Creates a collection of series of `head`.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self {
            collected: CollectedSeries::new(head),
            chunks: &head.chunks,
            in_flight: &head.in_flight,
        }
    }

    /// Returns the stale series without out-of-order samples. [`Self::collect`] skips those that
    /// have changed since.
    #[must_use]
    pub fn find(&self) -> Vec<StaleSeries> {
        let stale = |series: Arc<HeadSeries>| {
            let state = series.state.lock();
            let is_wanted = state.is_stale()
                && state.out_of_order.is_none()
                && !state.is_collected
                && self.in_flight.is_settled(state.last_batch);
            let end = state.max_time().filter(|_| is_wanted)?;
            drop(state);
            Some(StaleSeries { series, end })
        };
        self.collected.series.shards().flatten().filter_map(stale).collect()
    }

    /// Collects series that blocks contain completely, unless they received samples since. Returns
    /// their number.
    ///
    /// `log` enqueues WAL tombstones that delete all samples of a reference. Only then can a new
    /// series get the same labels. A replay finds the old samples, the tombstone and the new series
    /// in this order, and reaches the same state.
    pub fn collect(&self, stale: &[StaleSeries], mut log: impl FnMut(&[SeriesRef])) -> usize {
        self.chunks.truncation.start();
        let CollectedSeries { series: store, stats, .. } = self.collected;
        let (mut all_collected, mut chunks, mut end) = (Vec::new(), 0, i64::MIN);
        for batch in stale.chunks(SERIES_PER_HOLD) {
            let _no_chunk_moves = self.chunks.mapper.lock();
            let first = all_collected.len();
            for stale in batch {
                if let Some(dropped) = self.collect_unchanged(stale) {
                    chunks += dropped;
                    end = end.max(stale.end);
                    all_collected.push(Arc::clone(&stale.series));
                }
            }
            let collected = &all_collected[first..];
            if !collected.is_empty() {
                let refs: Vec<SeriesRef> =
                    collected.iter().map(|series| series.series_ref).collect();
                log(&refs);
                collected.iter().for_each(|series| store.remove(series));
            }
        }
        stats.chunks_removed.fetch_add(chunks, Ordering::Relaxed);
        stats.stale_series.fetch_sub(all_collected.len() as i64, Ordering::Relaxed);
        self.collected.remove(&all_collected, end);
        all_collected.len()
    }

    /// Marks a series as collected if it has not changed, and drops its chunks. Returns their
    /// number.
    fn collect_unchanged(&self, stale: &StaleSeries) -> Option<u64> {
        let mut state = stale.series.state.lock();
        let is_unchanged =
            state.max_time() == Some(stale.end) && state.is_stale() && state.out_of_order.is_none();
        if !is_unchanged || state.is_collected || !self.in_flight.is_settled(state.last_batch) {
            return None;
        }
        state.is_collected = true;
        state.forget_settled(self.in_flight);
        Some(state.truncate_before(i64::MAX) as u64)
    }
}
