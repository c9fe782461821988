//! What a new block says of its descent: level, sources, parents, hints. Pure; the rules are those of `tsdb/compact.go` of
//! Prometheus, and its `meta.json` carries the outcome.

use crate::tsdb::block::meta::{BlockDesc, Compaction};
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::facts::{BlockFacts, Hints};
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
    pub hints: Hints,
}

impl Lineage {
    /// That of a block made of the head: `[mint, maxt)`, in ms.
    #[must_use]
    pub fn of_head(ulid: BlockUlid, mint: i64, maxt: i64, hints: Hints) -> Self {
        Self { mint, maxt, level: 1, sources: vec![ulid], parents: Vec::new(), hints }
    }

    /// That of a block that was written anew to be rid of its tombstones, on demand: it begins as a block of the head does.
    /// (Where the plan has a block written anew, that is a merge of one.)
    #[must_use]
    pub fn of_rewritten(ulid: BlockUlid, block: &BlockFacts) -> Self {
        let parents = vec![desc(block)];
        Self { mint: block.mint, maxt: block.maxt, level: 1, sources: vec![ulid], parents, hints: block.hints }
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
    pub fn of_merged(blocks: &[BlockFacts]) -> Option<Self> {
        let sources: BTreeSet<BlockUlid> = blocks.iter().flat_map(|block| block.sources.iter().copied()).collect();
        Some(Self {
            mint: blocks.iter().map(|block| block.mint).min()?,
            maxt: blocks.iter().map(|block| block.maxt).max()?,
            level: blocks.iter().map(|block| block.level).max()?.saturating_add(1),
            sources: sources.into_iter().collect(),
            parents: blocks.iter().map(desc).collect(),
            hints: Hints {
                out_of_order: blocks.iter().all(|block| block.hints.out_of_order),
                stale_series: blocks.iter().any(|block| block.hints.stale_series),
                selected_series: blocks.iter().any(|block| block.hints.selected_series),
            },
        })
    }
}

fn desc(block: &BlockFacts) -> BlockDesc {
    BlockDesc { ulid: block.ulid, min_time: block.mint, max_time: block.maxt }
}

#[cfg(test)]
mod tests {
    use super::Lineage;
    use crate::tsdb::block::meta::BlockDesc;
    use crate::tsdb::compact::facts::{BlockFacts, Hints};
    use crate::tsdb::compact::plan::tests::{block, ulid};

    #[test]
    fn a_merged_block_spans_its_parents_and_names_every_source_once() {
        let parents = [
            BlockFacts { level: 2, sources: vec![ulid(10), ulid(1)], ..block(100, 1000, 2000) },
            BlockFacts { sources: Vec::new(), ..block(200, 200, 500) },
            BlockFacts { level: 3, sources: vec![ulid(5), ulid(10)], ..block(300, 500, 2500) },
        ];
        let merged = Lineage::of_merged(&parents).unwrap();
        let parent = |n, min_time, max_time| BlockDesc { ulid: ulid(n), min_time, max_time };
        assert_eq!(
            merged,
            Lineage {
                mint: 200,
                maxt: 2500,
                level: 4,
                sources: vec![ulid(1), ulid(5), ulid(10)],
                parents: vec![parent(100, 1000, 2000), parent(200, 200, 500), parent(300, 500, 2500)],
                hints: Hints::default(),
            }
        );
        assert_eq!(Lineage::of_merged(&[]), None);
    }

    #[test]
    fn only_late_samples_stay_so_if_all_are_and_parts_stay_parts_if_any_is() {
        let with = |hints| BlockFacts { hints, ..block(1, 0, 10) };
        let plain = with(Hints::default());
        let late = with(Hints { out_of_order: true, ..Hints::default() });
        let stale = with(Hints { stale_series: true, ..Hints::default() });
        let stale_and_late = with(Hints { stale_series: true, out_of_order: true, ..Hints::default() });
        let selected = with(Hints { selected_series: true, ..Hints::default() });
        let hints = |blocks: &[&BlockFacts]| {
            Lineage::of_merged(&blocks.iter().copied().cloned().collect::<Vec<_>>()).unwrap().hints
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
        let head = Lineage::of_head(ulid(7), 0, 20, Hints::default());
        assert_eq!((head.level, head.sources, head.parents), (1, vec![ulid(7)], vec![]));
        let hints = Hints { stale_series: true, ..Hints::default() };
        let old = BlockFacts { level: 4, sources: vec![ulid(1), ulid(2)], hints, ..block(9, 20, 80) };
        let new = Lineage::of_rewritten(ulid(11), &old);
        assert_eq!((new.mint, new.maxt, new.level, new.hints), (20, 80, 1, hints));
        assert_eq!(
            (new.sources, new.parents),
            (vec![ulid(11)], vec![BlockDesc { ulid: ulid(9), min_time: 20, max_time: 80 }])
        );
    }
}
