//! Compaction planning: selects the blocks to compact next. Pure.
//!
//! # Rules
//! Tried in this order; one call plans one compaction.
//! 1. **Scopes.** Blocks of selected series (hints `from-stale-series`, `from-selected-series`) are
//!    only merged with each other: a mixed result would claim a range that the head still has.
//!    Ordinary blocks come first. Out-of-order blocks are ordinary.
//! 2. **Overlap.** The oldest group of overlapping blocks, including the newest block.
//! 3. **Level.** Without the newest block, so that it can be backed up first. Blocks within one
//!    aligned range are merged, shortest range and oldest first, once they fill it or a later block
//!    exists. Ranges with a failed block are skipped.
//! 4. **Tombstones.** From the newest long block back, the first one with tombstones for more than
//!    5 % of its series is rewritten. The search ends at the first block that is not long; it is
//!    rewritten if it has at least as many tombstones as series.
//!
//! Groups with a backed-off block are skipped (not in Prometheus). Only blocks before the first
//! one, by ULID, that waits for its upload are planned, as with
//! `--storage.tsdb.delay-compact-file.path` of Prometheus.
//!
//! Source: `tsdb/compact.go` of Prometheus.

use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::BlockSummary;
use crate::tsdb::compact::groups::{aligned, overlapping};
use crate::tsdb::compact::ranges::BlockRanges;
use std::collections::BTreeSet;

/// Planned compaction: blocks to merge into one, or one block to rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionPlan {
    /// Rule that selected the blocks.
    pub reason: CompactionReason,
    /// Blocks sorted by `mint`; never empty.
    pub blocks: Vec<BlockUlid>,
}

/// Rule of a planned compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionReason {
    /// The blocks overlap in time.
    Overlap,
    /// The blocks are within one aligned range.
    Level,
    /// The block has many tombstones.
    Tombstones,
}

/// Blocks that must not be compacted now.
#[derive(Clone, Debug, Default)]
pub struct PlanExclusions {
    /// Blocks that are skipped, for example after a failed compaction.
    pub backed_off: BTreeSet<BlockUlid>,
    /// Blocks that must be uploaded first. Blocks with a later ULID are excluded as well.
    pub awaiting_upload: BTreeSet<BlockUlid>,
}

/// Returns the next compaction, or `None` if nothing is due. The order of `blocks` does not matter.
#[must_use]
pub fn plan(
    blocks: &[BlockSummary],
    ranges: &BlockRanges,
    exclusions: &PlanExclusions,
) -> Option<CompactionPlan> {
    let candidates = plannable(blocks, &exclusions.awaiting_upload);
    let in_scope = |scope| {
        candidates
            .iter()
            .copied()
            .filter(move |block| SeriesScope::from_summary(block) == scope)
            .collect::<Vec<_>>()
    };
    [SeriesScope::Whole, SeriesScope::StaleSeries, SeriesScope::SelectedSeries]
        .into_iter()
        .find_map(|scope| plan_scope(&in_scope(scope), ranges, &exclusions.backed_off))
}

/// Series that a block contains. Only blocks of the same scope are merged.
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

/// Returns the blocks that may be planned, sorted by `mint`.
fn plannable<'a>(
    blocks: &'a [BlockSummary],
    awaiting_upload: &BTreeSet<BlockUlid>,
) -> Vec<&'a BlockSummary> {
    let mut candidates: Vec<_> = blocks.iter().filter(|block| !block.deletable).collect();
    candidates.sort_by_key(|block| block.ulid);
    let first = candidates.iter().position(|block| awaiting_upload.contains(&block.ulid));
    candidates.truncate(first.unwrap_or(candidates.len()));
    candidates.sort_by_key(|block| block.mint);
    candidates
}

fn plan_scope(
    blocks: &[&BlockSummary],
    ranges: &BlockRanges,
    backed_off: &BTreeSet<BlockUlid>,
) -> Option<CompactionPlan> {
    let is_allowed =
        |group: &Vec<&BlockSummary>| !group.iter().any(|block| backed_off.contains(&block.ulid));
    if let Some(run) = overlapping(blocks).into_iter().find(is_allowed) {
        return Some(CompactionPlan::new(CompactionReason::Overlap, &run));
    }
    let (_, older) = blocks.split_last()?;
    if let Some(group) = next_level(older, ranges).find(is_allowed) {
        return Some(CompactionPlan::new(CompactionReason::Level, &group));
    }
    tombstone_candidate(older, ranges, backed_off)
        .map(|block| CompactionPlan::new(CompactionReason::Tombstones, &[block]))
}

/// Returns the complete groups, shortest range and oldest first.
fn next_level<'a>(
    blocks: &[&'a BlockSummary],
    ranges: &BlockRanges,
) -> impl Iterator<Item = Vec<&'a BlockSummary>> {
    let newest_mint = blocks.last().map_or(i64::MIN, |block| block.mint);
    let is_complete = move |group: &Vec<&BlockSummary>, length: i64| {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return false };
        let is_filled = i128::from(last.maxt) - i128::from(first.mint) == i128::from(length);
        group.len() > 1
            && (is_filled || last.maxt <= newest_mint)
            && !group.iter().any(|block| block.failed)
    };
    let groups = ranges
        .levels()
        .flat_map(|length| aligned(blocks, length).into_iter().map(move |group| (group, length)));
    groups
        .filter(move |(group, length)| is_complete(group, *length))
        .map(|(group, _)| group)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Returns the block to rewrite because of its tombstones.
fn tombstone_candidate<'a>(
    blocks: &[&'a BlockSummary],
    ranges: &BlockRanges,
    backed_off: &BTreeSet<BlockUlid>,
) -> Option<&'a BlockSummary> {
    for &block in blocks.iter().rev() {
        let is_long = i128::from(block.maxt) - i128::from(block.mint)
            >= i128::from(ranges.min_rewrite_range());
        let is_due = if is_long {
            // Calculated in floats, as in Prometheus.
            block.tombstones as f64 / (block.series as f64 + 1.0) > 0.05
        } else {
            block.tombstones > 0 && block.tombstones >= block.series
        };
        if is_due && !backed_off.contains(&block.ulid) {
            return Some(block);
        }
        if !is_long {
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
