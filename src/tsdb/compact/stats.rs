//! Counters of compaction output: atomics without names, read when metrics are collected.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of data written to blocks since the process started, including blocks that were
/// discarded later.
#[derive(Debug, Default)]
pub struct CompactStats {
    /// Number of series written.
    pub series: AtomicU64,
    /// Number of chunks written.
    pub chunks: AtomicU64,
    /// Number of samples in these chunks.
    pub samples: AtomicU64,
    /// Size of these chunks, bytes.
    pub bytes: AtomicU64,
    /// Total duration of writing, µs.
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
