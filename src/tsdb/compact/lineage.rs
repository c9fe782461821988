//! Lineage of a new block: level, sources, parents and hints in its `meta.json`. Pure.
//!
//! Source: `tsdb/compact.go` of Prometheus.

use crate::tsdb::block::meta::{BlockDesc, Compaction};
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::{BlockSummary, CompactionHints};
use std::collections::BTreeSet;

/// Lineage of a block, for its `meta.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Minimum time, ms, inclusive.
    pub mint: i64,
    /// Maximum time, ms, exclusive.
    pub maxt: i64,
    /// Number of merges behind the block plus 1; 1 for a head block.
    pub level: u32,
    /// Head blocks whose samples the block contains, ascending, without duplicates.
    pub sources: Vec<BlockUlid>,
    /// Blocks that the block replaces.
    pub parents: Vec<BlockDesc>,
    /// Hints for later compactions.
    pub hints: CompactionHints,
}

impl Lineage {
    /// Returns the lineage of a head block with the range `[mint, maxt)`, ms.
    #[must_use]
    pub fn for_head(ulid: BlockUlid, mint: i64, maxt: i64, hints: CompactionHints) -> Self {
        Self { mint, maxt, level: 1, sources: vec![ulid], parents: Vec::new(), hints }
    }

    /// Returns the lineage of a block that an admin operation rewrote to clean its tombstones. Like
    /// a head block, it has level 1 and itself as source. (A planned rewrite is a merge of one
    /// block.)
    #[must_use]
    pub fn for_rewrite(ulid: BlockUlid, block: &BlockSummary) -> Self {
        let parents = vec![desc(block)];
        Self {
            mint: block.mint,
            maxt: block.maxt,
            level: 1,
            sources: vec![ulid],
            parents,
            hints: block.hints,
        }
    }

    /// Returns the part of `meta.json` for this lineage.
    #[must_use]
    pub fn compaction(&self) -> Compaction {
        Compaction {
            level: self.level,
            sources: self.sources.clone(),
            parents: self.parents.clone(),
            hints: self.hints.words().map(str::to_owned).collect(),
            ..Compaction::default()
        }
    }

    /// Returns the lineage of the merge of `blocks`; `None` if there are none.
    ///
    /// The result has the out-of-order hint only if all blocks have it. It has a hint of selected
    /// or stale series if any block has it: without the hint, the next startup would not replay
    /// other series of the range from the WAL. Plans never mix such blocks.
    #[must_use]
    pub fn for_merge(blocks: &[BlockSummary]) -> Option<Self> {
        let sources: BTreeSet<BlockUlid> =
            blocks.iter().flat_map(|block| block.sources.iter().copied()).collect();
        Some(Self {
            mint: blocks.iter().map(|block| block.mint).min()?,
            maxt: blocks.iter().map(|block| block.maxt).max()?,
            level: blocks.iter().map(|block| block.level).max()?.saturating_add(1),
            sources: sources.into_iter().collect(),
            parents: blocks.iter().map(desc).collect(),
            hints: CompactionHints {
                out_of_order: blocks.iter().all(|block| block.hints.out_of_order),
                stale_series: blocks.iter().any(|block| block.hints.stale_series),
                selected_series: blocks.iter().any(|block| block.hints.selected_series),
            },
        })
    }
}

fn desc(block: &BlockSummary) -> BlockDesc {
    BlockDesc { ulid: block.ulid, min_time: block.mint, max_time: block.maxt }
}

#[cfg(test)]
mod tests {
    use super::Lineage;
    use crate::tsdb::block::meta::BlockDesc;
    use crate::tsdb::compact::block_summary::{BlockSummary, CompactionHints};
    use crate::tsdb::compact::plan::tests::{block, ulid};

    #[test]
    fn merge_spans_parents_and_lists_each_source_once() {
        let parents = [
            BlockSummary { level: 2, sources: vec![ulid(10), ulid(1)], ..block(100, 1000, 2000) },
            BlockSummary { sources: Vec::new(), ..block(200, 200, 500) },
            BlockSummary { level: 3, sources: vec![ulid(5), ulid(10)], ..block(300, 500, 2500) },
        ];
        let merged = Lineage::for_merge(&parents).unwrap();
        let parent = |n, min_time, max_time| BlockDesc { ulid: ulid(n), min_time, max_time };
        assert_eq!(
            merged,
            Lineage {
                mint: 200,
                maxt: 2500,
                level: 4,
                sources: vec![ulid(1), ulid(5), ulid(10)],
                parents: vec![
                    parent(100, 1000, 2000),
                    parent(200, 200, 500),
                    parent(300, 500, 2500)
                ],
                hints: CompactionHints::default(),
            }
        );
        assert_eq!(Lineage::for_merge(&[]), None);
    }

    #[test]
    fn merge_keeps_out_of_order_if_all_and_partial_if_any() {
        let with_hints = |hints| BlockSummary { hints, ..block(1, 0, 10) };
        let plain = with_hints(CompactionHints::default());
        let ooo = with_hints(CompactionHints { out_of_order: true, ..CompactionHints::default() });
        let stale =
            with_hints(CompactionHints { stale_series: true, ..CompactionHints::default() });
        let stale_and_ooo = with_hints(CompactionHints {
            stale_series: true,
            out_of_order: true,
            ..CompactionHints::default()
        });
        let selected =
            with_hints(CompactionHints { selected_series: true, ..CompactionHints::default() });
        let hints = |blocks: &[&BlockSummary]| {
            Lineage::for_merge(&blocks.iter().copied().cloned().collect::<Vec<_>>()).unwrap().hints
        };
        assert_eq!(hints(&[&ooo, &ooo]), ooo.hints);
        assert_eq!(hints(&[&ooo, &plain]), plain.hints);
        assert_eq!(hints(&[&stale, &plain]), stale.hints);
        assert_eq!(hints(&[&stale, &ooo]), stale.hints);
        assert_eq!(hints(&[&stale_and_ooo]), stale_and_ooo.hints);
        assert_eq!(hints(&[&stale_and_ooo, &ooo]), stale_and_ooo.hints);
        assert_eq!(hints(&[&selected, &selected]), selected.hints);
    }

    #[test]
    fn head_and_rewritten_blocks_have_level_1() {
        let head = Lineage::for_head(ulid(7), 0, 20, CompactionHints::default());
        assert_eq!((head.level, head.sources, head.parents), (1, vec![ulid(7)], vec![]));
        let hints = CompactionHints { stale_series: true, ..CompactionHints::default() };
        let old =
            BlockSummary { level: 4, sources: vec![ulid(1), ulid(2)], hints, ..block(9, 20, 80) };
        let new = Lineage::for_rewrite(ulid(11), &old);
        assert_eq!((new.mint, new.maxt, new.level, new.hints), (20, 80, 1, hints));
        assert_eq!(
            (new.sources, new.parents),
            (vec![ulid(11)], vec![BlockDesc { ulid: ulid(9), min_time: 20, max_time: 80 }])
        );
    }
}
