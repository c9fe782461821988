//! Which blocks to merge next: a pure function of what is known of them.
//!
//! The rules are those of `tsdb/compact.go` of Prometheus, tried in this order; one call plans one merge:
//!
//! 1. **Classes apart.** Blocks made of a part of the head's series (hints from-stale-series, from-selected-series) are only
//!    merged among their like: mixed in, the outcome would claim times that the head still holds. Ordinary blocks come
//!    first, so that they never wait. Blocks of late samples are ordinary: they are there to be merged.
//! 2. **Overlapping blocks**, the oldest run of them, the newest block included.
//! 3. **By level.** The newest block is left, so that it can be copied away while it is whole. Of the others, those that lie in
//!    one aligned range of the next length up are merged, shortest length and oldest first, once they fill the range or
//!    a block behind it shows that nothing more comes. A range with a failed block is passed over.
//! 4. **Tombstones.** From the newest large block back, one with tombstones for more than 5 % of its series is written anew. The
//!    first block that is not large ends the search; where its tombstones are as many as its series it is written anew.
//!
//! Ours: a run or range with a block that is left alone, because a merge of it failed a while ago, is passed over; and
//! blocks count only up to the first (by ULID) that waits to be uploaded, as with `--storage.tsdb.delay-compact-file.path` of
//! Prometheus: merges go from old to new, without gaps.

use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::BlockSummary;
use crate::tsdb::compact::groups::{aligned, overlapping};
use crate::tsdb::compact::ranges::BlockRanges;
use std::collections::BTreeSet;

/// Blocks to be merged into one, or one to be written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionPlan {
    /// Why.
    pub reason: CompactionReason,
    /// The blocks, by their `mint`; never none.
    pub blocks: Vec<BlockUlid>,
}

/// Why blocks are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionReason {
    /// They overlap.
    Overlap,
    /// Together they make a block of the next length.
    Level,
    /// Much of the one block is deleted.
    Tombstones,
}

/// Blocks that are not to be touched now.
#[derive(Clone, Debug, Default)]
pub struct PlanExclusions {
    /// A merge of them failed a while ago: they are not tried again now.
    pub backed_off: BTreeSet<BlockUlid>,
    /// To be uploaded as they are first; nothing with a name behind the first of them is touched either.
    pub awaiting_upload: BTreeSet<BlockUlid>,
}

/// The next merge, or `None` where there is nothing to do. The order of `blocks` has no meaning.
#[must_use]
pub fn plan(
    blocks: &[BlockSummary],
    ranges: &BlockRanges,
    exclusions: &PlanExclusions,
) -> Option<CompactionPlan> {
    let counted = plannable(blocks, &exclusions.awaiting_upload);
    let of_class = |class| {
        counted
            .iter()
            .copied()
            .filter(move |block| SeriesScope::from_summary(block) == class)
            .collect::<Vec<_>>()
    };
    [SeriesScope::Whole, SeriesScope::StaleSeries, SeriesScope::SelectedSeries]
        .into_iter()
        .find_map(|class| plan_class(&of_class(class), ranges, &exclusions.backed_off))
}

/// Which blocks may be merged with each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SeriesScope {
    Whole,
    StaleSeries,
    SelectedSeries,
}

impl SeriesScope {
    fn from_summary(block: &BlockSummary) -> Self {
        match (block.hints.stale_series, block.hints.selected_series) {
            (true, _) => Self::StaleSeries,
            (_, true) => Self::SelectedSeries,
            _ => Self::Whole,
        }
    }
}

/// The blocks that planning looks at, by their `mint`.
fn plannable<'a>(
    blocks: &'a [BlockSummary],
    waiting: &BTreeSet<BlockUlid>,
) -> Vec<&'a BlockSummary> {
    let mut counted: Vec<_> = blocks.iter().filter(|block| !block.deletable).collect();
    counted.sort_by_key(|block| block.ulid);
    let first = counted.iter().position(|block| waiting.contains(&block.ulid));
    counted.truncate(first.unwrap_or(counted.len()));
    counted.sort_by_key(|block| block.mint);
    counted
}

fn plan_class(
    blocks: &[&BlockSummary],
    ranges: &BlockRanges,
    left_alone: &BTreeSet<BlockUlid>,
) -> Option<CompactionPlan> {
    let free =
        |group: &Vec<&BlockSummary>| !group.iter().any(|block| left_alone.contains(&block.ulid));
    if let Some(run) = overlapping(blocks).into_iter().find(free) {
        return Some(CompactionPlan::new(CompactionReason::Overlap, &run));
    }
    let (_, older) = blocks.split_last()?;
    if let Some(group) = next_level(older, ranges).find(free) {
        return Some(CompactionPlan::new(CompactionReason::Level, &group));
    }
    tombstone_candidate(older, ranges, left_alone)
        .map(|block| CompactionPlan::new(CompactionReason::Tombstones, &[block]))
}

/// The groups that are complete, shortest range and oldest first.
fn next_level<'a>(
    blocks: &[&'a BlockSummary],
    ranges: &BlockRanges,
) -> impl Iterator<Item = Vec<&'a BlockSummary>> {
    let newest_mint = blocks.last().map_or(i64::MIN, |block| block.mint);
    let complete = move |group: &Vec<&BlockSummary>, length: i64| {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return false };
        let filled = i128::from(last.maxt) - i128::from(first.mint) == i128::from(length);
        group.len() > 1
            && (filled || last.maxt <= newest_mint)
            && !group.iter().any(|block| block.failed)
    };
    let groups = ranges
        .levels()
        .flat_map(|length| aligned(blocks, length).into_iter().map(move |group| (group, length)));
    groups
        .filter(move |(group, length)| complete(group, *length))
        .map(|(group, _)| group)
        .collect::<Vec<_>>()
        .into_iter()
}

/// The block that is worth writing anew for its tombstones.
fn tombstone_candidate<'a>(
    blocks: &[&'a BlockSummary],
    ranges: &BlockRanges,
    left_alone: &BTreeSet<BlockUlid>,
) -> Option<&'a BlockSummary> {
    for &block in blocks.iter().rev() {
        let is_large = i128::from(block.maxt) - i128::from(block.mint)
            >= i128::from(ranges.min_rewrite_range());
        let is_due = if is_large {
            // In floats, as Prometheus weighs it.
            block.tombstones as f64 / (block.series as f64 + 1.0) > 0.05
        } else {
            block.tombstones > 0 && block.tombstones >= block.series
        };
        if is_due && !left_alone.contains(&block.ulid) {
            return Some(block);
        }
        if !is_large {
            return None;
        }
    }
    None
}

impl CompactionPlan {
    fn new(reason: CompactionReason, blocks: &[&BlockSummary]) -> Self {
        Self { reason, blocks: blocks.iter().map(|block| block.ulid).collect() }
    }
}

#[cfg(test)]
pub(super) mod tests;
