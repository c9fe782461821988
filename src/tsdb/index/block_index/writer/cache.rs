//! Cache of symbol numbers.
//!
//! Series are sorted, so most of their labels occurred in a recent series. The fixed-size table
//! maps the 64-bit hash of a string to the number of the last symbol with that hash. The caller
//! compares the strings, so a hash collision costs a lookup only.

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// Number of slots of 16 bytes each.
const SLOTS: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct SymbolCache {
    slots: Vec<CacheSlot>,
    state: FixedState,
}

#[derive(Clone, Copy, Debug, Default)]
struct CacheSlot {
    hash: u64,
    /// Symbol number + 1; 0 = empty slot.
    number: u64,
}

impl SymbolCache {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), state: FixedState::default() }
    }

    /// Returns the cached number of `string`, or else the result of `find`. `is_match` returns
    /// `true` if the symbol of a number is `string`.
    pub(super) fn get(
        &mut self,
        string: &str,
        is_match: impl FnOnce(u32) -> bool,
        find: impl FnOnce() -> Option<u32>,
    ) -> Option<u32> {
        if self.slots.is_empty() {
            self.slots = vec![CacheSlot::default(); SLOTS];
        }
        let hash = self.state.hash_one(string);
        let slot = &mut self.slots[hash as usize % SLOTS];
        if let Some(number) = slot.number.checked_sub(1).map(|number| number as u32)
            && slot.hash == hash
            && is_match(number)
        {
            return Some(number);
        }
        let number = find()?;
        *slot = CacheSlot { hash, number: u64::from(number) + 1 };
        Some(number)
    }
}
