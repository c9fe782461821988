//! Superseded blocks: parents of another block in the directory. Pure.
//!
//! A compaction renames the new block into place and then removes its parents. After a crash in
//! between, the next startup removes them by these rules. `meta.json` has no checksum: a block is
//! superseded only by one that covers its whole range, and two blocks that name each other both
//! stay.

use crate::tsdb::block::meta::BlockMeta;
use crate::tsdb::block::ulid::BlockUlid;
use std::collections::BTreeSet;

/// Returns the blocks that another one of `blocks` was compacted from.
#[must_use]
pub fn superseded(blocks: &[&BlockMeta]) -> BTreeSet<BlockUlid> {
    let is_superseded = |block: &&&BlockMeta| {
        blocks.iter().any(|other| lists_as_parent(other, block) && !lists_as_parent(block, other))
    };
    blocks.iter().filter(is_superseded).map(|block| block.ulid).collect()
}

/// Returns all parents that `blocks` name, for parents that cannot be read themselves.
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

    fn superseded_set(metas: &[BlockMeta]) -> BTreeSet<BlockUlid> {
        superseded(&metas.iter().collect::<Vec<_>>())
    }

    #[test]
    fn parents_of_all_generations_are_superseded() {
        let metas = [
            meta(1, (0, 10), &[]),
            meta(2, (10, 20), &[]),
            meta(3, (0, 20), &[1, 2, 9]),
            meta(4, (0, 60), &[3]),
        ];
        assert_eq!(superseded_set(&metas), BTreeSet::from([ulid(1), ulid(2), ulid(3)]));
        assert_eq!(superseded_set(&metas[..2]), BTreeSet::new());
        let all = parents(&metas.iter().collect::<Vec<_>>());
        assert_eq!(all, BTreeSet::from([ulid(1), ulid(2), ulid(3), ulid(9)]));
    }

    #[test]
    fn block_is_kept_if_child_cannot_cover_it() {
        assert_eq!(superseded_set(&[meta(1, (0, 10), &[1])]), BTreeSet::new());
        assert_eq!(
            superseded_set(&[meta(1, (0, 10), &[2]), meta(2, (0, 10), &[1])]),
            BTreeSet::new()
        );
        assert_eq!(
            superseded_set(&[meta(1, (0, 30), &[]), meta(2, (0, 20), &[1])]),
            BTreeSet::new()
        );
    }
}
