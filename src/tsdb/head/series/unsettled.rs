//! Samples of a series that some reader may not see, because their commit is not settled
//! ([`crate::tsdb::head::in_flight`]).
//!
//! # Format
//! In-order samples of a commit are a suffix of those of all commits until then, so the timestamp
//! of the first one is enough. Of the newest commit, the series has it in six bytes:
//! `CommitSpan`, the distance from there to the newest sample of the series. Of earlier commits,
//! it has nothing once they are settled, and almost always they are when the next one touches the
//! series. Only otherwise an `UnsettledSamples` is allocated:
//!
//! ```text
//!               in_order[0]      in_order[1]     last_batch
//!               │                │               │    ┌ CommitSpan ┐
//! samples  ●──●─●──●──●──●──●──●─●──●──●──●──●──●●──●─●──●──●──●──●
//!          settled │  commit 17  │  commit 19    │    commit 21    newest
//! ```
//!
//! Out-of-order samples of a commit are anywhere. They are remembered by time ranges, one for a run
//! that is newer than all out-of-order samples before it. In-order samples can be between those of
//! a run, so a range applies only to out-of-order chunks of the head. Before a block gets the
//! samples, `UnsettledSamples::record_compacted` remembers each timestamp, which identifies a
//! sample, because a series accepts a timestamp once.
//!
//! # Bounds
//! Adjacent commits that no current reader tells apart are merged, so a read that lasts for minutes
//! costs one entry per series, however many commits follow. Of published out-of-order samples, at
//! most `MAX_PUBLISHED_RANGES` ranges are kept. A read that lasts longer than that sees the
//! samples of older ranges although their commits are newer than its snapshot.
//!
//! # Locking
//! The mutex of the series.

use crate::model::intervals::Intervals;
use crate::model::time::TimeRange;
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::in_flight::batch_id::BatchId;
use crate::tsdb::head::in_flight::commit_view::CommitView;
use crate::tsdb::query::source::Chunk;
use std::sync::Arc;

/// Maximum number of ranges of published out-of-order samples of one series.
pub(super) const MAX_PUBLISHED_RANGES: usize = 256;
/// Number of in-order entries from which on all adjacent ones are compared.
const MERGE_ALL_FROM: usize = 4;

/// Distance from the first in-order sample of the newest commit to the newest in-order sample, ms
/// (48 bits, little-endian). All ones if the commit has no in-order sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommitSpan([u8; 6]);

/// Samples of commits that are not settled.
#[derive(Debug, Default)]
pub(super) struct UnsettledSamples {
    /// In-order samples of all commits but the newest, in append order.
    pub(super) in_order: Vec<UnsettledCommit>,
    /// Out-of-order samples, in append order.
    pub(super) out_of_order: Vec<UnsettledRange>,
    /// Those of them that blocks may have, ascending by time.
    compacted: Vec<UnsettledPoint>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct UnsettledCommit {
    pub(super) batch: BatchId,
    /// Timestamp of its first in-order sample, ms.
    pub(super) from: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct UnsettledRange {
    pub(super) batch: BatchId,
    pub(super) range: TimeRange,
    /// Whether no other out-of-order sample is between this range and the previous one.
    is_adjacent: bool,
}

#[derive(Clone, Copy, Debug)]
struct UnsettledPoint {
    batch: BatchId,
    t: i64,
}

/// Samples of a series that a read must not return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HiddenSamples {
    /// In-order samples from this time on, ms.
    pub(crate) in_order_from: Option<i64>,
    /// Out-of-order samples of the head at these times.
    pub(crate) out_of_order: Intervals,
    /// Out-of-order samples of blocks at these times.
    pub(crate) compacted: Intervals,
}

impl CommitSpan {
    pub(super) const NONE: Self = Self([u8::MAX; 6]);
    pub(super) const ZERO: Self = Self([0; 6]);

    pub(super) fn get(self) -> Option<u64> {
        let [a, b, c, d, e, f] = self.0;
        (self != Self::NONE).then(|| u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    /// Returns `None` if the span does not fit.
    pub(super) fn new(span: u64) -> Option<Self> {
        let [a, b, c, d, e, f, 0, 0] = span.to_le_bytes() else { return None };
        Some(Self([a, b, c, d, e, f])).filter(|span| *span != Self::NONE)
    }
}

impl UnsettledSamples {
    pub(super) fn is_empty(&self) -> bool {
        self.in_order.is_empty() && self.out_of_order.is_empty() && self.compacted.is_empty()
    }

    /// Remembers a commit whose first in-order sample is at `from` ms.
    pub(super) fn push_in_order(&mut self, batch: BatchId, from: i64, commits: &InFlightBatches) {
        self.in_order.retain(|commit| !commits.is_settled(commit.batch));
        let is_merged =
            self.in_order.last().is_some_and(|last| commits.are_seen_together(last.batch, batch));
        if is_merged {
            return;
        }
        self.in_order.push(UnsettledCommit { batch, from });
        if self.in_order.len() >= MERGE_ALL_FROM {
            self.in_order
                .dedup_by(|later, kept| commits.are_seen_together(kept.batch, later.batch));
        }
    }

    /// Remembers an out-of-order sample. `newest_before` is the timestamp of the newest one that
    /// the series had before, ms.
    pub(super) fn push_out_of_order(&mut self, batch: BatchId, t: i64, newest_before: i64) {
        let last = self.out_of_order.last_mut();
        let last = last.filter(|last| last.range.maxt == newest_before && t > newest_before);
        match last {
            Some(last) if last.batch.commit() == batch.commit() => last.range.maxt = t,
            last => {
                let (range, is_adjacent) = (TimeRange::new(t, t), last.is_some());
                self.out_of_order.push(UnsettledRange { batch, range, is_adjacent });
            }
        }
    }

    /// Adds the samples that a reader with this view must not see.
    pub(super) fn add_hidden(&self, view: &CommitView, hidden: &mut HiddenSamples) {
        let unseen = self.in_order.iter().filter(|commit| !view.sees(commit.batch));
        hidden.in_order_from = unseen.map(|commit| commit.from).chain(hidden.in_order_from).min();
        let unseen = self.out_of_order.iter().filter(|range| !view.sees(range.batch));
        hidden.out_of_order = unseen.map(|range| range.range).collect();
        let unseen = self.compacted.iter().filter(|point| !view.sees(point.batch));
        hidden.compacted = unseen.map(|point| TimeRange::new(point.t, point.t)).collect();
    }

    /// Remembers which out-of-order samples blocks are going to have. `times` are the timestamps of
    /// all of them, ascending, settled or not.
    pub(super) fn record_compacted(&mut self, times: &[i64]) {
        for UnsettledRange { batch, range, .. } in &self.out_of_order {
            let from = times.partition_point(|t| *t < range.mint);
            let within = times[from..].iter().take_while(|t| **t <= range.maxt);
            self.compacted.extend(within.map(|t| UnsettledPoint { batch: *batch, t: *t }));
        }
        self.compacted.sort_by_key(|point| point.t);
        // Samples within a range that was there before are of the later commit.
        self.compacted.dedup_by(|later, kept| {
            let is_same = later.t == kept.t;
            if is_same {
                kept.batch = later.batch;
            }
            is_same
        });
    }

    /// Merges and drops out-of-order ranges before another commit touches the series.
    pub(super) fn merge_out_of_order(&mut self, commits: &InFlightBatches) {
        self.compacted.retain(|point| !commits.is_settled(point.batch));
        let ranges = &mut self.out_of_order;
        ranges.retain(|range| !commits.is_settled(range.batch));
        ranges.dedup_by(|later, kept| {
            let is_merged = later.is_adjacent && commits.are_seen_together(kept.batch, later.batch);
            if is_merged {
                kept.range.maxt = later.range.maxt;
            }
            is_merged
        });
        let mut excess = ranges.len().saturating_sub(MAX_PUBLISHED_RANGES);
        ranges.retain(|range| {
            let is_dropped = excess > 0 && !commits.is_unpublished(range.batch);
            excess -= usize::from(is_dropped);
            !is_dropped
        });
    }
}

impl HiddenSamples {
    /// Removes the hidden samples from chunks of in-order samples.
    pub(crate) fn hide_in_order(&self, chunks: &mut Vec<Chunk>) {
        if let Some(from) = self.in_order_from {
            let hidden: Intervals = [TimeRange::new(from, i64::MAX)].into_iter().collect();
            hide(chunks, &hidden);
        }
    }

    /// Removes the hidden samples from out-of-order chunks of the head.
    pub(crate) fn hide_out_of_order(&self, chunks: &mut Vec<Chunk>) {
        if !self.out_of_order.is_empty() {
            hide(chunks, &self.out_of_order);
        }
    }

    /// Removes the hidden samples from chunks of a block that was written after the read began.
    pub(crate) fn hide_in_block(&self, chunks: &mut Vec<Chunk>) {
        self.hide_in_order(chunks);
        if !self.compacted.is_empty() {
            hide(chunks, &self.compacted);
        }
    }
}

/// Adds `hidden` to the deleted intervals of the chunks, which every reader of samples skips.
fn hide(chunks: &mut Vec<Chunk>, hidden: &Intervals) {
    chunks.retain_mut(|chunk| {
        let times = TimeRange::new(chunk.mint, chunk.maxt);
        if hidden.covers(times) {
            return false;
        }
        if hidden.overlaps(times) {
            let mut deleted = chunk.deleted_intervals.as_deref().cloned().unwrap_or_default();
            hidden.iter().for_each(|range| deleted.add(*range));
            chunk.deleted_intervals = Some(Arc::new(deleted));
        }
        true
    });
}
