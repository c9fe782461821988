//! Set of series references: a bitmap in blocks of 512.
//!
//! References are assigned consecutively, so a million series need a few thousand blocks, which
//! stay in the CPU cache. A reference far from all others costs one block.

use crate::model::refs::SeriesRef;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

const WORDS: usize = 8;
const BLOCK: u64 = WORDS as u64 * 64;

/// Set of series references.
#[derive(Clone, Debug, Default)]
pub struct SeriesRefSet {
    blocks: HashMap<u64, [u64; WORDS], RandomState>,
}

impl SeriesRefSet {
    /// Inserts a reference.
    pub fn insert(&mut self, series: SeriesRef) {
        let (block, word, bit) = position(series);
        self.blocks.entry(block).or_default()[word] |= bit;
    }

    /// Returns `true` if the reference is in the set.
    #[inline]
    #[must_use]
    pub fn contains(&self, series: SeriesRef) -> bool {
        let (block, word, bit) = position(series);
        self.blocks.get(&block).is_some_and(|words| words[word] & bit != 0)
    }
}

impl FromIterator<SeriesRef> for SeriesRefSet {
    fn from_iter<I: IntoIterator<Item = SeriesRef>>(references: I) -> Self {
        let mut set = Self::default();
        references.into_iter().for_each(|series| set.insert(series));
        set
    }
}

/// Returns the key of the block, the index of its word, and the mask of the bit.
fn position(SeriesRef(series): SeriesRef) -> (u64, usize, u64) {
    (series / BLOCK, (series % BLOCK / 64) as usize, 1 << (series % 64))
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, SeriesRefSet};
    use crate::model::refs::SeriesRef;
    use proptest::prelude::{any, prop_assert_eq, prop_oneof, proptest};
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn set_contains_what_was_inserted(
            added in proptest::collection::vec(prop_oneof![0..3 * BLOCK, any::<u64>()], 0..200),
        ) {
            let set: SeriesRefSet = added.iter().copied().map(SeriesRef).collect();
            let model: BTreeSet<u64> = added.iter().copied().collect();
            let neighbors =
                added.iter().flat_map(|&n| [n.wrapping_sub(1), n, n.wrapping_add(1)]);
            for n in neighbors.chain(0..3 * BLOCK) {
                prop_assert_eq!(set.contains(SeriesRef(n)), model.contains(&n), "{}", n);
            }
        }
    }
}
