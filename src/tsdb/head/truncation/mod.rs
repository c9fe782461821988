//! Head truncation: removes from the head what blocks already contain.
//!
//! | module      | content                                                          |
//! |-------------|------------------------------------------------------------------|
//! | `collected` | removal of collected series from index and tombstones            |
//! | [`gc`]      | garbage collection: pass over all series                         |
//! | [`stale`]   | collection of stale series that blocks contain                   |
//!
//! # Head compaction
//! 1. [`HeadTruncation::close_before`] raises the minimum append time to the end of the new block
//!    and waits for older in-flight appends. When it returns, the range no longer changes.
//! 2. The block is written, synced, renamed and opened. Queries see it.
//! 3. [`HeadTruncation::truncate_before`] publishes the new minimum time before it drops any chunk,
//!    so a query that misses a chunk reads it from the blocks ([`crate::tsdb::head::read`]).
//! 4. The WAL is truncated; [`HeadTruncation::must_checkpoint`] selects the series that its
//!    checkpoint keeps.
//!
//! # Garbage collection
//! A series without chunks is collected unless some reader may not see its last request. It is
//! marked under its mutex; an append that found it earlier sees the mark and creates a new series.
//! The WAL may still hold samples of a collected series, which replay can use only if it finds the
//! series record. The reference stays in [`crate::tsdb::head::series::wal_expiries`] until the WAL
//! starts after its last sample.
//!
//! Series with out-of-order samples are kept. [`HeadTruncation::truncate_ooo`] drops the chunks
//! that [`OutOfOrderSource`] has written to blocks.
//!
//! # Cost
//! Linear in the number of series. Structures that all series share change in parts, so that no
//! append and no query waits for more than one part. The inverted index loses all collected series
//! in one pass ([`crate::tsdb::index::mem_postings::remove::sweep`]).
//!
//! # Locking
//! The chunk mapper's mutex for a batch of series, and within it one series mutex at a time.

pub(crate) mod collected;
pub mod gc;
pub mod stale;

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunks::store::ChunkStore;
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::read::compaction_source::OutOfOrderSource;
use crate::tsdb::head::times::HeadTimes;
use crate::tsdb::head::tombstones::HeadTombstones;
use crate::tsdb::head::truncation::collected::CollectedSeries;
use crate::tsdb::head::truncation::gc::{GcPass, GcStats, SeriesGc};
use std::sync::atomic::Ordering;

/// Truncation of the head.
#[derive(Debug)]
pub struct HeadTruncation<'a> {
    collected: CollectedSeries<'a>,
    tombstones: &'a HeadTombstones,
    chunks: &'a ChunkStore,
    times: &'a HeadTimes,
    in_flight: &'a InFlightBatches,
}

impl<'a> HeadTruncation<'a> {
    /// Creates a truncation of `head`.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self {
            collected: CollectedSeries::new(head),
            tombstones: &head.side_data.tombstones,
            chunks: &head.chunks,
            times: &head.times,
            in_flight: &head.in_flight,
        }
    }

    /// Rejects appends before `end` (ms) from now on, and returns when no append before it is in
    /// flight. Waits only for appends that have started.
    pub fn close_before(&self, end: i64) {
        self.times.raise_min_valid(end);
        self.in_flight.wait_for_older();
    }

    /// Returns the time of the oldest sample, ms. Visits every series.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        let series = self.collected.series.shards().flatten();
        series.filter_map(|series| series.state.lock().min_time()).min()
    }

    /// Drops all chunks that end before `mint` (ms); a block contains them.
    ///
    /// # Errors
    /// [`HeadChunksError`] if head-chunk files cannot be removed; the next truncation removes them.
    pub fn truncate_before(&self, mint: i64) -> Result<GcStats, HeadChunksError> {
        self.chunks.truncation.start_before(mint);
        self.times.watch_min();
        let pass = self.gc_series(mint);
        let begin = if pass.min_time == i64::MAX { mint } else { pass.min_time.max(mint) };
        // As in Prometheus, the head starts at its oldest sample, but not later than the oldest
        // time that it accepts.
        let min_appendable = self.times.min_appendable_time().unwrap_or(begin);
        self.times.set_min(begin.min(min_appendable.max(mint)));
        self.collected.remove(&pass.collected_series, begin);
        // A chunk may span `mint`: the deletions in its first part are still needed.
        self.tombstones.truncate_before(mint.min(pass.min_time).min(pass.min_ooo_time));
        self.finish(pass)
    }

    /// Drops the out-of-order chunks of `source`, which are in blocks now.
    ///
    /// # Errors
    /// As [`Self::truncate_before`].
    pub fn truncate_ooo(&self, source: &OutOfOrderSource<'_>) -> Result<GcStats, HeadChunksError> {
        self.chunks.truncation.start_ooo();
        let chunks = source.drop_chunks();
        let mint = self.chunks.truncation.truncated_before();
        let mut pass = self.gc_series(mint);
        pass.dropped.chunks += chunks;
        // The WAL has no in-order samples of the collected series after this time.
        let until = mint.max(self.times.min().unwrap_or(mint));
        self.collected.remove(&pass.collected_series, until);
        self.finish(pass)
    }

    /// Returns `true` if the checkpoint must keep the record of a series: it is in the head, or the
    /// WAL has samples of it at `mint` (ms) or later.
    #[must_use]
    pub fn must_checkpoint(&self, series_ref: SeriesRef, mint: i64) -> bool {
        let series = self.collected.series;
        series.get_by_ref(series_ref).is_some() || series.wal_expiries().reaches(series_ref, mint)
    }

    /// Drops the expiries of collected series, now that the WAL starts at `mint` (ms).
    pub fn expire_before(&self, mint: i64) {
        self.collected.series.wal_expiries().expire_before(mint);
    }

    /// Drops chunks that end before `mint` (ms) in all series, and removes empty series from the
    /// series map.
    fn gc_series(&self, mint: i64) -> GcPass {
        let (series, mapper) = (self.collected.series, &self.chunks.mapper);
        let pass = SeriesGc { series, mapper, in_flight: self.in_flight }.run(mint);
        self.collected.stats.stale_series.fetch_sub(pass.revived, Ordering::Relaxed);
        pass
    }

    /// Counts the dropped chunks and removes the files that are no longer needed.
    fn finish(&self, pass: GcPass) -> Result<GcStats, HeadChunksError> {
        let removed = &self.collected.stats.chunks_removed;
        removed.fetch_add(pass.dropped.chunks, Ordering::Relaxed);
        self.chunks.mapper.files().truncate_before(pass.first_file)?;
        Ok(pass.dropped)
    }
}

#[cfg(test)]
mod tests;
