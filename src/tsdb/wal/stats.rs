//! Counters of a log. The registration of the metrics has their Prometheus names.

use crate::metrics::quantiles::DurationQuantiles;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counters of a log since it was opened; only `segment` can be set.
#[derive(Debug)]
pub struct WalStats {
    /// Number of the current segment.
    pub segment: AtomicU64,
    /// Records in completed writes.
    pub records: AtomicU64,
    /// Bytes of records written, after compression, without headers and padding.
    pub record_bytes: AtomicU64,
    /// Groups written; each holds the records of all requests that waited.
    pub writes: AtomicU64,
    /// Failed writes, because of a full disk or for another reason.
    pub write_failures: AtomicU64,
    /// Syncs, including failed ones.
    pub syncs: AtomicU64,
    /// Time spent in syncs, in nanoseconds.
    pub sync_nanos: AtomicU64,
    /// Durations of the syncs of the last minutes.
    pub sync_quantiles: DurationQuantiles,
    /// Failures after which the log rejects all writes.
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
    /// Records a sync of this duration.
    pub(super) fn sync_done(&self, duration: Duration) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.sync_quantiles.observe(duration, Instant::now());
    }
}
