//! Counters of the head; metrics export them under Prometheus's names.

use std::sync::atomic::{AtomicI64, AtomicU64};

/// Counters of the head. Each only grows, except the gauges.
#[derive(Debug, Default)]
pub struct HeadStats {
    /// Floats appended in order by requests.
    pub floats_appended: AtomicU64,
    /// Native histograms appended in order by requests.
    pub histograms_appended: AtomicU64,
    /// Metadata changes of series, by requests.
    pub metadata_updates: AtomicU64,
    /// Series created by requests and by replay.
    pub series_created: AtomicU64,
    /// Chunks created or found on disk.
    pub chunks_created: AtomicU64,
    /// Chunks written to `chunks_head/`.
    pub chunks_mapped: AtomicU64,
    /// Failed writes to `chunks_head/`; the chunks stay in memory and are retried.
    pub chunk_write_failures: AtomicU64,
    /// Out-of-order floats appended by requests.
    pub ooo_floats_appended: AtomicU64,
    /// Out-of-order native histograms appended by requests.
    pub ooo_histograms_appended: AtomicU64,
    /// Chunks of out-of-order samples written to `chunks_head/`.
    pub ooo_chunks_written: AtomicU64,
    /// Series removed by garbage collection.
    pub series_removed: AtomicU64,
    /// Chunks dropped because a block contains them.
    pub chunks_removed: AtomicU64,
    /// Gauge: series whose newest sample is a stale marker.
    pub stale_series: AtomicI64,
    /// Failed chunk writes caused by a full disk.
    pub chunk_writes_without_space: AtomicU64,
}
