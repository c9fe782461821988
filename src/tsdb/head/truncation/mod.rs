//! Head truncation: removes from the head what blocks already contain.
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
//! A series without chunks is collected unless an in-flight batch touched it. It is marked under
//! its mutex; an append that found it earlier sees the mark and creates a new series. The WAL may
//! still hold samples of a collected series, which replay can use only if it finds the series
//! record. The reference stays in `wal_expiries` until the WAL starts after its last sample.
//!
//! Series with out-of-order samples are kept. [`HeadTruncation::truncate_ooo`] drops the chunks
//! that [`OutOfOrderSource`] has written to blocks.
//!
//! # Cost
//! Linear in the number of series. Structures that all series share change in parts, so that no
//! append and no query waits for more than one part. The inverted index loses all collected series
//! in one pass ([`crate::tsdb::index::mem_postings::MemPostings::remove`]).
//!
//! # Locking
//! The chunk mapper's mutex for `SERIES_PER_HOLD` series, and within it one series mutex at a
//! time.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::head::read::compaction_source::OutOfOrderSource;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::{Head, TOMBSTONES_PER_HOLD};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Maximum number of series visited under one lock of the chunk mapper.
const SERIES_PER_HOLD: usize = 1024;

/// Truncation of the head.
#[derive(Debug)]
pub struct HeadTruncation<'a> {
    head: &'a Head,
}

/// Counts of a truncation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Number of dropped chunks.
    pub chunks: u64,
    /// Number of collected series.
    pub series: u64,
}

/// Series whose newest sample is a stale marker.
#[derive(Debug, Clone)]
pub struct StaleSeries {
    /// The series; it may receive samples again.
    pub series: Arc<HeadSeries>,
    /// Time of its stale marker, ms.
    pub end: i64,
}

/// Result of one pass over all series.
struct GcPass {
    dropped: GcStats,
    /// Time of the oldest remaining in-order sample, ms.
    min_time: i64,
    /// Time of the oldest out-of-order sample, ms.
    min_ooo_time: i64,
    /// Lowest number of a head-chunk file that is still needed.
    first_file: u32,
    collected_series: Vec<Arc<HeadSeries>>,
}

impl<'a> HeadTruncation<'a> {
    /// Creates a truncation of `head`.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self { head }
    }

    /// Rejects appends before `end` (ms) from now on, and returns when no append before it is in
    /// flight. Waits only for appends that have started.
    pub fn close_before(&self, end: i64) {
        self.head.times.raise_min_valid(end);
        self.head.in_flight.wait_for_older();
    }

    /// Returns the time of the oldest sample, ms. Visits every series.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        self.head
            .series
            .shards()
            .flatten()
            .filter_map(|series| series.state.lock().min_time())
            .min()
    }

    /// Drops all chunks that end before `mint` (ms); a block contains them.
    ///
    /// # Errors
    /// [`HeadChunksError`] if head-chunk files cannot be removed; the next truncation removes them.
    pub fn truncate_before(&self, mint: i64) -> Result<GcStats, HeadChunksError> {
        let head = self.head;
        head.truncation_epoch.fetch_add(1, Ordering::SeqCst);
        head.truncated_before.fetch_max(mint, Ordering::SeqCst);
        head.times.watch_min();
        let pass = self.gc_series(mint);
        let begin = if pass.min_time == i64::MAX { mint } else { pass.min_time.max(mint) };
        // As in Prometheus, the head starts at its oldest sample, but not later than the oldest
        // time that it accepts.
        let min_appendable =
            head.times.min_appendable_time(head.policy.chunk_range_ms).unwrap_or(begin);
        head.times.set_min(begin.min(min_appendable.max(mint)));
        self.unindex(&pass.collected_series, begin);
        // A chunk may span `mint`: the deletions in its first part are still needed.
        self.truncate_tombstones(mint.min(pass.min_time).min(pass.min_ooo_time));
        head.stats.chunks_removed.fetch_add(pass.dropped.chunks, Ordering::Relaxed);
        head.mapping.files().truncate_before(pass.first_file)?;
        Ok(pass.dropped)
    }

    /// Drops the out-of-order chunks of `source`, which are in blocks now.
    ///
    /// # Errors
    /// As [`Self::truncate_before`].
    pub fn truncate_ooo(&self, source: &OutOfOrderSource<'_>) -> Result<GcStats, HeadChunksError> {
        let head = self.head;
        head.truncation_epoch.fetch_add(1, Ordering::SeqCst);
        head.ooo_window.drops.fetch_add(1, Ordering::SeqCst);
        let chunks = source.drop_chunks();
        let mint = head.truncated_before();
        let mut pass = self.gc_series(mint);
        pass.dropped.chunks += chunks;
        // The WAL has no in-order samples of the collected series after this time.
        self.unindex(&pass.collected_series, mint.max(head.times.min().unwrap_or(mint)));
        head.stats.chunks_removed.fetch_add(pass.dropped.chunks, Ordering::Relaxed);
        head.mapping.files().truncate_before(pass.first_file)?;
        Ok(pass.dropped)
    }

    /// Drops chunks that end before `mint` (ms) in all series, and removes empty series from the
    /// series map.
    fn gc_series(&self, mint: i64) -> GcPass {
        let head = self.head;
        // A chunk that is written during the pass is in this file or a later one.
        let first_file = head.mapping.files().first_active_file();
        let (min_time, min_ooo_time) = (i64::MAX, i64::MAX);
        let mut pass = GcPass {
            dropped: GcStats::default(),
            min_time,
            min_ooo_time,
            first_file,
            collected_series: Vec::new(),
        };
        let mut all = head.series.all();
        // In the order of addresses: visiting and freeing millions of series is bound by memory
        // latency.
        all.sort_unstable_by_key(|series| Arc::as_ptr(series).addr());
        for batch in all.chunks(SERIES_PER_HOLD) {
            let _no_chunk_moves = head.mapping.lock();
            batch.iter().for_each(|series| self.gc_one_series(series, mint, &mut pass));
        }
        pass
    }

    fn truncate_tombstones(&self, t: i64) {
        let mut next = Some(0);
        while let Some(series) = next {
            next = self.head.tombstones.write().truncate_before(t, series, TOMBSTONES_PER_HOLD);
        }
    }

    /// Returns the stale series without out-of-order samples. [`Self::gc_stale_series`] skips those
    /// that have changed since.
    #[must_use]
    pub fn stale_series(&self) -> Vec<StaleSeries> {
        let stale = |series: Arc<HeadSeries>| {
            let state = series.state.lock();
            let is_wanted = state.is_stale() && state.out_of_order.is_none() && !state.is_collected;
            let end = state.max_time().filter(|_| is_wanted)?;
            drop(state);
            Some(StaleSeries { series, end })
        };
        self.head.series.shards().flatten().filter_map(stale).collect()
    }

    /// Collects series that blocks contain completely, unless they received samples since. Returns
    /// their number.
    ///
    /// `log` enqueues WAL tombstones that delete all samples of a reference. Only then can a new
    /// series get the same labels. A replay finds the old samples, the tombstone and the new series
    /// in this order, and reaches the same state.
    pub fn gc_stale_series(
        &self,
        stale: &[StaleSeries],
        mut log: impl FnMut(&[SeriesRef]),
    ) -> usize {
        let head = self.head;
        head.truncation_epoch.fetch_add(1, Ordering::SeqCst);
        let (mut collected_series, mut chunks, mut end) = (Vec::new(), 0, i64::MIN);
        for batch in stale.chunks(SERIES_PER_HOLD) {
            let _no_chunk_moves = head.mapping.lock();
            let first = collected_series.len();
            for StaleSeries { series, end: noted } in batch {
                let mut state = series.state.lock();
                let is_unchanged = state.max_time() == Some(*noted)
                    && state.is_stale()
                    && state.out_of_order.is_none();
                if is_unchanged && !state.is_collected && !head.in_flight.contains(state.last_batch)
                {
                    state.is_collected = true;
                    chunks += state.truncate_before(i64::MAX) as u64;
                    end = end.max(*noted);
                    collected_series.push(Arc::clone(series));
                }
            }
            let collected: Vec<SeriesRef> =
                collected_series[first..].iter().map(|series| series.reference).collect();
            if !collected.is_empty() {
                log(&collected);
                collected_series[first..].iter().for_each(|series| head.series.remove(series));
            }
        }
        head.stats.chunks_removed.fetch_add(chunks, Ordering::Relaxed);
        head.stats.stale_series.fetch_sub(collected_series.len() as i64, Ordering::Relaxed);
        self.unindex(&collected_series, end);
        collected_series.len()
    }

    /// Returns `true` if the checkpoint must keep the record of a series: it is in the head, or the
    /// WAL has samples of it at `mint` (ms) or later.
    #[must_use]
    pub fn must_checkpoint(&self, series: SeriesRef, mint: i64) -> bool {
        self.head.series.get_by_ref(series).is_some()
            || self.head.wal_expiries.lock().get(&series).is_some_and(|until| *until >= mint)
    }

    /// Drops the expiries of collected series, now that the WAL starts at `mint` (ms).
    pub fn expire_before(&self, mint: i64) {
        self.head.wal_expiries.lock().retain(|_, until| *until >= mint);
    }

    fn gc_one_series(&self, series: &Arc<HeadSeries>, mint: i64, pass: &mut GcPass) {
        let head = self.head;
        let mut state = series.state.lock();
        let was_stale = state.is_stale();
        pass.dropped.chunks += state.truncate_before(mint) as u64;
        if was_stale && !state.is_stale() {
            head.stats.stale_series.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(chunk) = state.mapped.iter().next() {
            pass.first_file = pass.first_file.min(chunk.chunk_ref().file());
        }
        if let Some(late) = &state.out_of_order {
            pass.first_file = pass.first_file.min(late.mapped.first_file().unwrap_or(u32::MAX));
            pass.min_ooo_time =
                pass.min_ooo_time.min(late.times().map_or(i64::MAX, |times| times.mint));
        }
        if let Some(min_time) = state.min_time() {
            pass.min_time = pass.min_time.min(min_time);
        } else if state.out_of_order.is_none()
            && !state.is_collected
            && !head.in_flight.contains(state.last_batch)
        {
            state.is_collected = true;
            drop(state);
            head.series.remove(series);
            pass.dropped.series += 1;
            pass.collected_series.push(Arc::clone(series));
        }
    }

    /// Removes collected series from the index. `until` is the time of their last sample in the
    /// WAL, ms.
    pub(super) fn unindex(&self, collected_series: &[Arc<HeadSeries>], until: i64) {
        if collected_series.is_empty() {
            return;
        }
        let head = self.head;
        let mut expiries = head.wal_expiries.lock();
        expiries.reserve(collected_series.len());
        for series in collected_series {
            let noted = expiries.entry(series.reference).or_insert(until);
            *noted = until.max(*noted);
        }
        drop(expiries);
        head.postings.remove(&collected_series.iter().map(|series| series.reference).collect());
        for batch in collected_series.chunks(TOMBSTONES_PER_HOLD) {
            let mut tombstones = head.tombstones.write();
            if tombstones.is_empty() {
                break;
            }
            batch.iter().for_each(|series| tombstones.remove(series.reference.0));
        }
        head.stats.series_removed.fetch_add(collected_series.len() as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
