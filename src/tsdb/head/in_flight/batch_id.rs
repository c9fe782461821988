//! Identifiers of requests and of their batches.
//!
//! ```text
//! BatchId, 64 bits:
//! ┌────────────────────┬───────────┬──────────┐
//! │ number of the      │ part      │ slot     │
//! │ commit (44 bits)   │ (12 bits) │ (8 bits) │
//! └────────────────────┴───────────┴──────────┘
//! ```
//!
//! A commit is everything that one request appends. Its number is never used again in the life of
//! the process; 2^44 of them last for 55 years at 10,000 requests a second. A request that must
//! park or log what it has before it ends continues with the next part. The part wraps, which only
//! makes others wait for a later part.

const SLOT_BITS: u32 = 8;
const PART_BITS: u32 = 12;

/// Number of commits that can be in flight.
pub(super) const SLOTS: usize = 1 << SLOT_BITS;

/// Part of a commit that has ended, but is not published.
const ENDED: u64 = (1 << PART_BITS) - 1;

/// Batch identifier, unique for the lifetime of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BatchId(u64);

/// Number of a commit, ascending by its start; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct CommitNumber(u64);

impl CommitNumber {
    /// Returns the number of the commit that starts next after this one.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(super) fn as_u64(self) -> u64 {
        self.0
    }
}

impl BatchId {
    /// No batch: the last batch of a series that was read from disk.
    pub const NONE: Self = Self(0);

    /// Creates the identifier of the first batch of a commit.
    pub(super) fn first_of(commit: CommitNumber, slot: u8) -> Self {
        Self(commit.0 << (PART_BITS + SLOT_BITS) | u64::from(slot))
    }

    /// Returns the commit to which the batch belongs.
    #[inline]
    #[must_use]
    pub fn commit(self) -> CommitNumber {
        CommitNumber(self.0 >> (PART_BITS + SLOT_BITS))
    }

    /// Returns the next batch of the same commit.
    pub(super) fn next_part(self) -> Self {
        let part = (self.0 >> SLOT_BITS & ENDED) + 1;
        self.with_part(if part == ENDED { 0 } else { part })
    }

    /// Returns the state of the slot of a commit that has ended.
    pub(super) fn ended(self) -> Self {
        self.with_part(ENDED)
    }

    #[inline]
    pub(super) fn slot(self) -> usize {
        (self.0 as usize) & (SLOTS - 1)
    }

    pub(super) fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the batch, or the state of a slot, that [`Self::as_u64`] returned.
    #[inline]
    pub(super) fn from_u64(id: u64) -> Self {
        Self(id)
    }

    fn with_part(self, part: u64) -> Self {
        Self(self.0 & !(ENDED << SLOT_BITS) | part << SLOT_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchId, CommitNumber};

    #[test]
    fn parts_keep_commit_and_slot_and_are_never_the_ended_one() {
        let first = BatchId::first_of(CommitNumber(77), 255);
        let mut batch = first;
        for _ in 0..4095 {
            assert_eq!((batch.commit(), batch.slot()), (CommitNumber(77), 255));
            assert_ne!(batch, batch.ended());
            batch = batch.next_part();
        }
        assert_eq!(batch, first);
        assert_eq!((batch.ended().commit(), batch.ended().slot()), (CommitNumber(77), 255));
    }
}
