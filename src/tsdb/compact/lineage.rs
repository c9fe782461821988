//! What a new block says of its descent: level, sources, parents, hints. Pure; the rules are those of `tsdb/compact.go` of
//! Prometheus, and its `meta.json` carries the outcome.

use crate::tsdb::block::meta::{BlockDesc, Compaction};
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::{BlockSummary, CompactionHints};
use std::collections::BTreeSet;

/// The part of a block's `meta.json` that tells where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Time from which the block may have samples, ms.
    pub mint: i64,
    /// Time before which its samples end, ms; not included.
    pub maxt: i64,
    /// How many merges lie behind it, counted from 1 for a block of the head.
    pub level: u32,
    /// The blocks of the head that went into it, rising, each once.
    pub sources: Vec<BlockUlid>,
    /// The blocks that it stands for.
    pub parents: Vec<BlockDesc>,
    /// What later compactions are to mind.
    pub hints: CompactionHints,
}

impl Lineage {
    /// That of a block made of the head: `[mint, maxt)`, in ms.
    #[must_use]
    pub fn for_head(ulid: BlockUlid, mint: i64, maxt: i64, hints: CompactionHints) -> Self {
        Self { mint, maxt, level: 1, sources: vec![ulid], parents: Vec::new(), hints }
    }

    /// That of a block that was written anew to be rid of its tombstones, on demand: it begins as a block of the head does.
    /// (Where the plan has a block written anew, that is a merge of one.)
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

    /// As it stands in `meta.json`.
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

    /// That of the block merged from these; `None` where there are none.
    ///
    /// It is of late samples only where all are. The hints of a part of the series stay if any has them: the plan never mixes
    /// those, and where it did, dropping the hint would lose what the log still has to give.
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
    fn a_merged_block_spans_its_parents_and_names_every_source_once() {
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
    fn only_late_samples_stay_so_if_all_are_and_parts_stay_parts_if_any_is() {
        let with = |hints| BlockSummary { hints, ..block(1, 0, 10) };
        let plain = with(CompactionHints::default());
        let late = with(CompactionHints { out_of_order: true, ..CompactionHints::default() });
        let stale = with(CompactionHints { stale_series: true, ..CompactionHints::default() });
        let stale_and_late = with(CompactionHints {
            stale_series: true,
            out_of_order: true,
            ..CompactionHints::default()
        });
        let selected =
            with(CompactionHints { selected_series: true, ..CompactionHints::default() });
        let hints = |blocks: &[&BlockSummary]| {
            Lineage::for_merge(&blocks.iter().copied().cloned().collect::<Vec<_>>()).unwrap().hints
        };
        assert_eq!(hints(&[&late, &late]), late.hints);
        assert_eq!(hints(&[&late, &plain]), plain.hints);
        assert_eq!(hints(&[&stale, &plain]), stale.hints);
        assert_eq!(hints(&[&stale, &late]), stale.hints);
        assert_eq!(hints(&[&stale_and_late]), stale_and_late.hints);
        assert_eq!(hints(&[&stale_and_late, &late]), stale_and_late.hints);
        assert_eq!(hints(&[&selected, &selected]), selected.hints);
    }

    #[test]
    fn blocks_of_the_head_and_rewritten_ones_begin_at_level_1_as_their_own_source() {
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
