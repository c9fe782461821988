//! What compactions have done: plain atomics without names, read when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of what was written to blocks, from the process's start, also by writes that came to nothing later.
#[derive(Debug, Default)]
pub struct CompactStats {
    /// Series.
    pub series: AtomicU64,
    /// Chunks.
    pub chunks: AtomicU64,
    /// Samples in these chunks.
    pub samples: AtomicU64,
    /// Bytes of these chunks.
    pub bytes: AtomicU64,
    /// How long it took, µs.
    pub micros: AtomicU64,
}

impl CompactStats {
    pub(super) fn add(&self, counter: impl FnOnce(&Self) -> &AtomicU64, number: u64) {
        counter(self).fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn add_time(&self, took: Duration) {
        self.micros
            .fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
