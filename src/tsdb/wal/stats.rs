//! What the log counts. The names under which Prometheus shows these stand where they are registered.

use crate::metrics::quantiles::DurationQuantiles;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counters of the log; each only grows, but for `segment`.
#[derive(Debug)]
pub struct WalStats {
    /// The segment being written.
    pub segment: AtomicU64,
    /// Records written.
    pub records: AtomicU64,
    /// Bytes of records written, after compression, without headers and padding.
    pub record_bytes: AtomicU64,
    /// Groups written: each holds the records of all requests that waited.
    pub writes: AtomicU64,
    /// Writes that failed, for want of space or otherwise.
    pub write_failures: AtomicU64,
    /// Syncs, failed ones included.
    pub syncs: AtomicU64,
    /// Time spent in syncs, in nanoseconds.
    pub sync_nanos: AtomicU64,
    /// Durations of the syncs of the last minutes.
    pub sync_quantiles: DurationQuantiles,
    /// Failures that ended all writes.
    pub failures: AtomicU64,
}

impl Default for WalStats {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            segment: zero(),
            records: zero(),
            record_bytes: zero(),
            writes: zero(),
            write_failures: zero(),
            syncs: zero(),
            sync_nanos: zero(),
            sync_quantiles: DurationQuantiles::new(Instant::now()),
            failures: zero(),
        }
    }
}

impl WalStats {
    /// Notes a sync that took so long.
    pub(super) fn sync_done(&self, took: Duration) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.sync_quantiles.observe(took, Instant::now());
    }
}
