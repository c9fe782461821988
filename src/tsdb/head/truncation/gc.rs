//! Garbage collection: one pass over all series, which drops old chunks and removes empty series.

use crate::tsdb::head::chunks::mapper::ChunkMapper;
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::store::SeriesStore;
use std::sync::Arc;

/// Maximum number of series visited under one lock of the chunk mapper.
pub(super) const SERIES_PER_HOLD: usize = 1024;

/// Counts of a truncation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Number of dropped chunks.
    pub chunks: u64,
    /// Number of collected series.
    pub series: u64,
}

/// Result of one pass over all series.
pub(super) struct GcPass {
    pub(super) dropped: GcStats,
    /// Time of the oldest remaining in-order sample, ms.
    pub(super) min_time: i64,
    /// Time of the oldest out-of-order sample, ms.
    pub(super) min_ooo_time: i64,
    /// Lowest number of a head-chunk file that is still needed.
    pub(super) first_file: u32,
    /// Number of series that are no longer stale because their stale marker was dropped.
    pub(super) revived: i64,
    pub(super) collected_series: Vec<Arc<HeadSeries>>,
}

/// Garbage collection of the series.
pub(super) struct SeriesGc<'a> {
    pub(super) series: &'a SeriesStore,
    pub(super) mapper: &'a ChunkMapper,
    pub(super) in_flight: &'a InFlightBatches,
}

impl SeriesGc<'_> {
    /// Drops chunks that end before `mint` (ms) in all series, and removes empty series from the
    /// series map.
    pub(super) fn run(&self, mint: i64) -> GcPass {
        // A chunk that is written during the pass is in this file or a later one.
        let first_file = self.mapper.files().first_active_file();
        let mut pass = GcPass {
            dropped: GcStats::default(),
            min_time: i64::MAX,
            min_ooo_time: i64::MAX,
            first_file,
            revived: 0,
            collected_series: Vec::new(),
        };
        let mut all = self.series.all();
        // In the order of addresses: visiting and freeing millions of series is bound by memory
        // latency.
        all.sort_unstable_by_key(|series| Arc::as_ptr(series).addr());
        for batch in all.chunks(SERIES_PER_HOLD) {
            let _no_chunk_moves = self.mapper.lock();
            batch.iter().for_each(|series| self.visit(series, mint, &mut pass));
        }
        pass
    }

    fn visit(&self, series: &Arc<HeadSeries>, mint: i64, pass: &mut GcPass) {
        let mut state = series.state.lock();
        state.forget_settled(self.in_flight);
        let was_stale = state.is_stale();
        pass.dropped.chunks += state.truncate_before(mint) as u64;
        pass.revived += i64::from(was_stale && !state.is_stale());
        if let Some(chunk) = state.mapped.iter().next() {
            pass.first_file = pass.first_file.min(chunk.chunk_ref().file());
        }
        if let Some(ooo) = &state.out_of_order {
            pass.first_file = pass.first_file.min(ooo.mapped.first_file().unwrap_or(u32::MAX));
            pass.min_ooo_time =
                pass.min_ooo_time.min(ooo.times().map_or(i64::MAX, |times| times.mint));
        }
        if let Some(min_time) = state.min_time() {
            pass.min_time = pass.min_time.min(min_time);
        } else if state.out_of_order.is_none()
            && !state.is_collected
            && self.in_flight.is_settled(state.last_batch)
        {
            state.is_collected = true;
            drop(state);
            self.series.remove(series);
            pass.dropped.series += 1;
            pass.collected_series.push(Arc::clone(series));
        }
    }
}
