//! What the head counts. The names under which Prometheus shows these stand where they are registered.

use std::sync::atomic::{AtomicI64, AtomicU64};

/// Counters of the head; each only grows, but for the gauges that say so.
#[derive(Debug, Default)]
pub struct HeadStats {
    /// Floats appended by requests, in order.
    pub floats_appended: AtomicU64,
    /// Native histograms appended by requests, in order.
    pub histograms_appended: AtomicU64,
    /// Series that got other metadata than they had, by requests.
    pub metadata_updates: AtomicU64,
    /// Series created, by requests and by replay.
    pub series_created: AtomicU64,
    /// Chunks begun or found on disk.
    pub chunks_created: AtomicU64,
    /// Chunks moved to `chunks_head/`.
    pub chunks_mapped: AtomicU64,
    /// Writes to `chunks_head/` that failed; the chunks stay in memory and are tried again.
    pub chunk_write_failures: AtomicU64,
    /// Floats that came late and were appended.
    pub ooo_floats_appended: AtomicU64,
    /// Native histograms that came late and were appended.
    pub ooo_histograms_appended: AtomicU64,
    /// Chunks of late samples that were written to `chunks_head/`.
    pub ooo_chunks_written: AtomicU64,
    /// Series that were collected.
    pub series_removed: AtomicU64,
    /// Chunks that were dropped because a block has them.
    pub chunks_removed: AtomicU64,
    /// Gauge: series whose newest sample is a stale marker.
    pub stale_series: AtomicI64,
    /// Those of them for which there was no space.
    pub chunk_writes_without_space: AtomicU64,
}
