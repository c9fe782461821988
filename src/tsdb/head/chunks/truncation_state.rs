//! Truncation state: which chunks may be gone from the head because blocks contain them.
//!
//! # Ordering
//! A truncation changes the state before it drops the first chunk. A reader loads the state after
//! it has listed the chunks, so it never misses a chunk without noticing the truncation.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Time of the last truncation, and counts of truncations.
#[derive(Debug)]
pub struct TruncationState {
    /// In-order chunks that end before this time (ms) may be gone.
    truncated_before: AtomicI64,
    /// Number of truncations that have started.
    epoch: AtomicU64,
    /// Number of truncations of out-of-order chunks that have started.
    ooo_epoch: AtomicU64,
}

impl Default for TruncationState {
    fn default() -> Self {
        let truncated_before = AtomicI64::new(i64::MIN);
        Self { truncated_before, epoch: AtomicU64::new(0), ooo_epoch: AtomicU64::new(0) }
    }
}

impl TruncationState {
    /// Returns the time (ms) before which chunks are in a block and may be gone from the head.
    #[must_use]
    pub fn truncated_before(&self) -> i64 {
        self.truncated_before.load(Ordering::SeqCst)
    }

    /// Returns a number that changes before chunks are dropped because blocks contain them.
    ///
    /// A reader that selects blocks first, then series of the head, and finds the number unchanged
    /// has missed nothing in between.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Returns a number that changes before out-of-order chunks are dropped because blocks contain
    /// them.
    #[must_use]
    pub fn ooo_epoch(&self) -> u64 {
        self.ooo_epoch.load(Ordering::SeqCst)
    }

    /// Announces that all chunks of some series are dropped.
    pub fn start(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Announces that chunks that end before `mint` (ms) are dropped.
    pub fn start_before(&self, mint: i64) {
        self.start();
        self.truncated_before.fetch_max(mint, Ordering::SeqCst);
    }

    /// Announces that chunks of out-of-order samples are dropped.
    pub fn start_ooo(&self) {
        self.start();
        self.ooo_epoch.fetch_add(1, Ordering::SeqCst);
    }
}
