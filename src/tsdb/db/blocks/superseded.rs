//! Which blocks are superseded: another one that is there was made of them. Pure.
//!
//! A merge renames the new block into place and then removes its parents; where a crash comes between the two, the next start goes on
//! from here. `meta.json` has no checksum: a block is given up only for one that covers all of its time, and two that name each other
//! both stay.

use crate::tsdb::block::meta::BlockMeta;
use crate::tsdb::block::ulid::BlockUlid;
use std::collections::BTreeSet;

/// Those of `blocks` that another one of them was made of.
#[must_use]
pub fn superseded(blocks: &[&BlockMeta]) -> BTreeSet<BlockUlid> {
    let is_old = |block: &&&BlockMeta| {
        blocks.iter().any(|other| lists_as_parent(other, block) && !lists_as_parent(block, other))
    };
    blocks.iter().filter(is_old).map(|block| block.ulid).collect()
}

/// Those that a block that is there was made of, by what it says of them: for blocks that themselves can't be read.
#[must_use]
pub fn parents(blocks: &[&BlockMeta]) -> BTreeSet<BlockUlid> {
    blocks
        .iter()
        .flat_map(|block| block.compaction.parents.iter().map(|parent| parent.ulid))
        .collect()
}

fn lists_as_parent(child: &BlockMeta, parent: &BlockMeta) -> bool {
    child.ulid != parent.ulid
        && child.min_time <= parent.min_time
        && parent.max_time <= child.max_time
        && child.compaction.parents.iter().any(|named| named.ulid == parent.ulid)
}

#[cfg(test)]
mod tests {
    use super::{parents, superseded};
    use crate::tsdb::block::meta::{BlockDesc, BlockMeta, BlockStats, Compaction, VERSION};
    use crate::tsdb::block::ulid::BlockUlid;
    use std::collections::BTreeSet;

    fn ulid(n: u128) -> BlockUlid {
        BlockUlid::from_parts(0, n)
    }

    fn meta(n: u128, times: (i64, i64), parents: &[u128]) -> BlockMeta {
        let parent = |n: &u128| BlockDesc { ulid: ulid(*n), min_time: times.0, max_time: times.1 };
        let compaction =
            Compaction { parents: parents.iter().map(parent).collect(), ..Compaction::default() };
        BlockMeta {
            ulid: ulid(n),
            min_time: times.0,
            max_time: times.1,
            stats: BlockStats::default(),
            compaction,
            version: VERSION,
            other: Default::default(),
        }
    }

    fn gone(metas: &[BlockMeta]) -> BTreeSet<BlockUlid> {
        superseded(&metas.iter().collect::<Vec<_>>())
    }

    #[test]
    fn parents_go_however_many_generations_are_there() {
        let metas = [
            meta(1, (0, 10), &[]),
            meta(2, (10, 20), &[]),
            meta(3, (0, 20), &[1, 2, 9]),
            meta(4, (0, 60), &[3]),
        ];
        assert_eq!(gone(&metas), BTreeSet::from([ulid(1), ulid(2), ulid(3)]));
        assert_eq!(gone(&metas[..2]), BTreeSet::new());
        let all = parents(&metas.iter().collect::<Vec<_>>());
        assert_eq!(all, BTreeSet::from([ulid(1), ulid(2), ulid(3), ulid(9)]));
    }

    #[test]
    fn a_block_stays_where_what_names_it_can_not_hold_its_samples() {
        assert_eq!(gone(&[meta(1, (0, 10), &[1])]), BTreeSet::new());
        assert_eq!(gone(&[meta(1, (0, 10), &[2]), meta(2, (0, 10), &[1])]), BTreeSet::new());
        assert_eq!(gone(&[meta(1, (0, 30), &[]), meta(2, (0, 20), &[1])]), BTreeSet::new());
    }
}
