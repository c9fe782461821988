//! The head gets rid of what a block has: its chunks, the series that had nothing else, what was deleted of them.
//!
//! The order in which the database makes a block of the head's beginning:
//!
//! 1. [`HeadTruncation::close_before`]: samples before the end of the block are no longer taken, and all requests that might still bring some are
//!    waited for. What is in that range does not change any more.
//! 2. The block is written, synced, renamed, opened, and queries see it.
//! 3. [`HeadTruncation::truncate_before`]: the head's new beginning is made known first, so that a query that finds chunks missing knows where they are
//!    ([`crate::tsdb::head::read`]); then the series are gone through, a shard at a time.
//! 4. The log is truncated; [`HeadTruncation::must_checkpoint`] says which series its checkpoint must still name.
//!
//! A series without chunks is collected, unless a request that touched it is in flight. It is marked as dead under its mutex; a request that had
//! found it before sees the mark and makes a new series. Its samples are in the log as long as the segments that hold them, and a replay can use
//! them only where the log names the series: so a collected series is remembered until the log begins behind it.
//!
//! Late samples go by themselves: what [`OutOfOrderSource`] has made blocks of is dropped by [`HeadTruncation::truncate_ooo`]. As long as a series
//! has some, it stays.
//!
//! The work is linear in the number of series, and what all series share is changed in parts: nobody waits for more than one
//! of them. The inverted index loses all dead series in one pass ([`crate::tsdb::index::mem_postings::MemPostings::remove`]).
//!
//! Locks: the mapping's mutex for [`SERIES_PER_HOLD`] series, and in it one series' mutex at a time.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::head::out_of_order::source::OutOfOrderSource;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::{Head, TOMBSTONES_PER_HOLD};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Series that are gone through in one hold of the mapping's mutex.
const SERIES_PER_HOLD: usize = 1024;

/// Makes room in the head.
#[derive(Debug)]
pub struct HeadTruncation<'a> {
    head: &'a Head,
}

/// What was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Chunks.
    pub chunks: u64,
    /// Series that were collected.
    pub series: u64,
}

/// A series that has ended, for the time being.
#[derive(Debug, Clone)]
pub struct StaleSeries {
    /// The series.
    pub series: Arc<HeadSeries>,
    /// Time of its stale marker, ms.
    pub end: i64,
}

/// What a walk over the series found besides.
struct GcPass {
    dropped: GcStats,
    /// Time of the oldest sample in order that is left, ms.
    min_time: i64,
    /// Time of the oldest late one, ms.
    min_late: i64,
    /// The lowest number of a chunk file that is still needed.
    first_file: u32,
    dead: Vec<Arc<HeadSeries>>,
}

impl<'a> HeadTruncation<'a> {
    /// Of this head.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self { head }
    }

    /// Takes no more samples before `end` (ms) and returns when nobody can append any. Waits only for requests that have begun.
    pub fn close_before(&self, end: i64) {
        self.head.times.raise_min_valid(end);
        self.head.in_flight.wait_for_older();
    }

    /// Time of the oldest sample that is there, ms: every series is asked.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        self.head
            .series
            .shards()
            .flatten()
            .filter_map(|series| series.state.lock().min_time())
            .min()
    }

    /// Drops everything that ends before `mint` (ms), which a block has.
    ///
    /// # Errors
    /// [`HeadChunksError`] where files of full chunks that nobody needs could not be removed; they go the next time.
    pub fn truncate_before(&self, mint: i64) -> Result<GcStats, HeadChunksError> {
        let head = self.head;
        head.truncation_epoch.fetch_add(1, Ordering::SeqCst);
        head.truncated_before.fetch_max(mint, Ordering::SeqCst);
        head.times.watch_min();
        let walk = self.gc_series(mint);
        let begin = if walk.min_time == i64::MAX { mint } else { walk.min_time.max(mint) };
        // As Prometheus has it: the head begins at its oldest sample, but not so late that what it still takes would lie before.
        let taken = head.times.min_appendable_time(head.policy.chunk_range_ms).unwrap_or(begin);
        head.times.set_min(begin.min(taken.max(mint)));
        self.unindex(&walk.dead, begin);
        // A chunk may reach across: what is deleted of its beginning stays so.
        self.truncate_tombstones(mint.min(walk.min_time).min(walk.min_late));
        head.stats.chunks_removed.fetch_add(walk.dropped.chunks, Ordering::Relaxed);
        head.mapping.files().truncate_before(walk.first_file)?;
        Ok(walk.dropped)
    }

    /// Drops the chunks of late samples that `made` has, which are in blocks now.
    ///
    /// # Errors
    /// [`HeadChunksError`] as for [`Self::truncate_before`].
    pub fn truncate_ooo(&self, made: &OutOfOrderSource<'_>) -> Result<GcStats, HeadChunksError> {
        let head = self.head;
        head.truncation_epoch.fetch_add(1, Ordering::SeqCst);
        head.ooo_window.drops.fetch_add(1, Ordering::SeqCst);
        let chunks = made.drop_chunks();
        let mint = head.truncated_before();
        let mut walk = self.gc_series(mint);
        walk.dropped.chunks += chunks;
        // The log has no later samples of series without any in order than those before this time.
        self.unindex(&walk.dead, mint.max(head.times.min().unwrap_or(mint)));
        head.stats.chunks_removed.fetch_add(walk.dropped.chunks, Ordering::Relaxed);
        head.mapping.files().truncate_before(walk.first_file)?;
        Ok(walk.dropped)
    }

    /// Goes through all series, drops what ends before `mint` (ms), and takes those out of the map that have nothing left.
    fn gc_series(&self, mint: i64) -> GcPass {
        let head = self.head;
        // A chunk that is written while the series are gone through is in this file or a later one.
        let first_file = head.mapping.files().first_active_file();
        let (min_time, min_late) = (i64::MAX, i64::MAX);
        let mut walk = GcPass {
            dropped: GcStats::default(),
            min_time,
            min_late,
            first_file,
            dead: Vec::new(),
        };
        let mut all = head.series.all();
        // As they are in memory: to look at millions of series, and to free them, is mostly waiting for memory.
        all.sort_unstable_by_key(|series| Arc::as_ptr(series).addr());
        for lot in all.chunks(SERIES_PER_HOLD) {
            let _no_chunk_moves = head.mapping.lock();
            lot.iter().for_each(|series| self.gc_one_series(series, mint, &mut walk));
        }
        walk
    }

    fn truncate_tombstones(&self, t: i64) {
        let mut next = Some(0);
        while let Some(series) = next {
            next = self.head.tombstones.write().truncate_before(t, series, TOMBSTONES_PER_HOLD);
        }
    }

    /// The series whose newest sample is a stale marker, each with the time of that marker, but not those that have late samples. What is in memory of them does not change until
    /// [`Self::gc_stale_series`], or they are left alone there.
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

    /// Collects series that blocks have up to their end, unless they got samples since, and gives how many.
    ///
    /// `log` is to put tombstones into the log's queue that delete all there is of a reference; only then another series can get the labels.
    /// So a replay, which finds the old samples, the tombstone, and perhaps a new series with the same labels, does the same in the same order.
    pub fn gc_stale_series(
        &self,
        stale: &[StaleSeries],
        mut log: impl FnMut(&[SeriesRef]),
    ) -> usize {
        let head = self.head;
        head.truncation_epoch.fetch_add(1, Ordering::SeqCst);
        let (mut dead, mut chunks, mut end) = (Vec::new(), 0, i64::MIN);
        for lot in stale.chunks(SERIES_PER_HOLD) {
            let _no_chunk_moves = head.mapping.lock();
            let first = dead.len();
            for StaleSeries { series, end: noted } in lot {
                let mut state = series.state.lock();
                let is_unchanged = state.max_time() == Some(*noted)
                    && state.is_stale()
                    && state.out_of_order.is_none();
                if is_unchanged && !state.is_collected && !head.in_flight.contains(state.last_batch)
                {
                    state.is_collected = true;
                    chunks += state.truncate_before(i64::MAX) as u64;
                    end = end.max(*noted);
                    dead.push(Arc::clone(series));
                }
            }
            let collected: Vec<SeriesRef> =
                dead[first..].iter().map(|series| series.reference).collect();
            if !collected.is_empty() {
                log(&collected);
                dead[first..].iter().for_each(|series| head.series.remove(series));
            }
        }
        head.stats.chunks_removed.fetch_add(chunks, Ordering::Relaxed);
        head.stats.stale_series.fetch_sub(dead.len() as i64, Ordering::Relaxed);
        self.unindex(&dead, end);
        dead.len()
    }

    /// Whether the log's checkpoint must keep naming a series: it is in the head, or was until `mint` (ms) or later.
    #[must_use]
    pub fn must_checkpoint(&self, series: SeriesRef, mint: i64) -> bool {
        self.head.series.get_by_ref(series).is_some()
            || self.head.wal_expiries.lock().get(&series).is_some_and(|until| *until >= mint)
    }

    /// Forgets the collected series that the log has no more samples of, now that it begins at `mint` (ms).
    pub fn expire_before(&self, mint: i64) {
        self.head.wal_expiries.lock().retain(|_, until| *until >= mint);
    }

    fn gc_one_series(&self, series: &Arc<HeadSeries>, mint: i64, walk: &mut GcPass) {
        let head = self.head;
        let mut state = series.state.lock();
        let was_stale = state.is_stale();
        walk.dropped.chunks += state.truncate_before(mint) as u64;
        if was_stale && !state.is_stale() {
            head.stats.stale_series.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(chunk) = state.mapped.iter().next() {
            walk.first_file = walk.first_file.min(chunk.chunk_ref().file());
        }
        if let Some(late) = &state.out_of_order {
            walk.first_file = walk.first_file.min(late.mapped.first_file().unwrap_or(u32::MAX));
            walk.min_late = walk.min_late.min(late.times().map_or(i64::MAX, |times| times.mint));
        }
        if let Some(min_time) = state.min_time() {
            walk.min_time = walk.min_time.min(min_time);
        } else if state.out_of_order.is_none()
            && !state.is_collected
            && !head.in_flight.contains(state.last_batch)
        {
            state.is_collected = true;
            drop(state);
            head.series.remove(series);
            walk.dropped.series += 1;
            walk.dead.push(Arc::clone(series));
        }
    }

    /// Takes dead series out of the index and notes until when the log has samples of them.
    pub(super) fn unindex(&self, dead: &[Arc<HeadSeries>], until: i64) {
        if dead.is_empty() {
            return;
        }
        let head = self.head;
        let mut collected = head.wal_expiries.lock();
        collected.reserve(dead.len());
        for series in dead {
            let noted = collected.entry(series.reference).or_insert(until);
            *noted = until.max(*noted);
        }
        drop(collected);
        head.postings.remove(&dead.iter().map(|series| series.reference).collect());
        for lot in dead.chunks(TOMBSTONES_PER_HOLD) {
            let mut tombstones = head.tombstones.write();
            if tombstones.is_empty() {
                break;
            }
            lot.iter().for_each(|series| tombstones.remove(series.reference.0));
        }
        head.stats.series_removed.fetch_add(dead.len() as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
