//! The numbers of symbols that were looked up lately.
//!
//! Series come sorted, so most of their labels are those of series shortly before. A fixed table remembers for a text's hash
//! the number that was last found for a text of that hash: 64 bits of hash stand for the text, and the caller compares the symbol.

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// How many are remembered: 16 bytes each.
const SLOTS: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct SymbolCache {
    slots: Vec<CacheSlot>,
    state: FixedState,
}

#[derive(Clone, Copy, Debug, Default)]
struct CacheSlot {
    hash: u64,
    /// The symbol's number + 1; 0 for none.
    number: u64,
}

impl SymbolCache {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), state: FixedState::default() }
    }

    /// The number remembered for `text`, else what `find` finds. `is` tells whether the symbol of a number is `text`.
    pub(super) fn get(
        &mut self,
        text: &str,
        is: impl FnOnce(u32) -> bool,
        find: impl FnOnce() -> Option<u32>,
    ) -> Option<u32> {
        if self.slots.is_empty() {
            self.slots = vec![CacheSlot::default(); SLOTS];
        }
        let hash = self.state.hash_one(text);
        let slot = &mut self.slots[hash as usize % SLOTS];
        if let Some(number) = slot.number.checked_sub(1).map(|number| number as u32)
            && slot.hash == hash
            && is(number)
        {
            return Some(number);
        }
        let number = find()?;
        *slot = CacheSlot { hash, number: u64::from(number) + 1 };
        Some(number)
    }
}
