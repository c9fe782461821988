//! Set of slots, and the closure of their dependencies.

use crate::tsdb::head::in_flight::batch_id::SLOTS;

const WORDS: usize = SLOTS / 64;

/// Set of slot numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SlotSet([u64; WORDS]);

impl SlotSet {
    pub(super) fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    #[cfg(test)]
    pub(super) fn remove(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    pub(super) fn contains(&self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(word, other)| word & !other == 0)
    }

    pub(super) fn remove_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(at, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros() as usize;
                // Clears the lowest bit.
                word &= word.checked_sub(1)?;
                Some(64 * at + bit)
            })
        })
    }

    /// Returns the largest subset of `self` whose members depend only on members. `dependencies`
    /// returns the slots on which a slot depends.
    pub(super) fn closed_subset(mut self, dependencies: impl Fn(usize) -> Self) -> Self {
        loop {
            let open = self.iter().filter(|slot| !dependencies(*slot).is_subset(&self));
            let mut removed = Self::default();
            open.for_each(|slot| removed.insert(slot));
            if removed.is_empty() {
                return self;
            }
            self.remove_all(&removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SlotSet;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    fn set(slots: impl IntoIterator<Item = usize>) -> SlotSet {
        let mut set = SlotSet::default();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }

    #[test]
    fn commits_that_depend_on_each_other_are_closed_together() {
        let dependencies = |slot| match slot {
            1 => set([2]),
            2 => set([1]),
            3 => set([200]),
            4 => set([3]),
            _ => SlotSet::default(),
        };
        assert_eq!(set([1]).closed_subset(dependencies), set([]));
        assert_eq!(set([1, 2, 3, 4, 255]).closed_subset(dependencies), set([1, 2, 255]));
        assert_eq!(set([3, 4, 200]).closed_subset(dependencies), set([3, 4, 200]));
    }

    proptest! {
        #[test]
        fn set_is_a_set_of_slots(
            members in proptest::collection::btree_set(0usize..256, 0..40),
            removed in proptest::collection::btree_set(0usize..256, 0..40),
        ) {
            let mut slots = set(members.iter().copied());
            prop_assert_eq!(slots.iter().collect::<BTreeSet<_>>(), members.clone());
            prop_assert_eq!(slots.is_empty(), members.is_empty());
            removed.iter().for_each(|slot| slots.remove(*slot));
            let left: BTreeSet<usize> = members.difference(&removed).copied().collect();
            prop_assert!((0..256).all(|slot| slots.contains(slot) == left.contains(&slot)));
            prop_assert!(slots.is_subset(&set(members.iter().copied())));
            prop_assert_eq!(
                set(members.iter().copied()).is_subset(&slots),
                members.is_subset(&left)
            );
        }
    }
}
