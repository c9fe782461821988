//! Counters of maintenance: atomics without names, read when metrics are collected.

use crate::tsdb::db::error::MaintenanceError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of [`DbStats::compaction_chunk_samples`], inclusive.
pub const CHUNK_SAMPLES_BOUNDS: [f64; 12] = [
    4.0,
    6.0,
    9.0,
    13.5,
    20.25,
    30.375,
    45.5625,
    68.34375,
    102.515625,
    153.7734375,
    230.66015625,
    345.990234375,
];
/// Upper bounds of [`DbStats::compaction_chunk_bytes`], inclusive.
pub const CHUNK_BYTES_BOUNDS: [f64; 12] = [
    32.0,
    48.0,
    72.0,
    108.0,
    162.0,
    243.0,
    364.5,
    546.75,
    820.125,
    1230.1875,
    1845.28125,
    2767.921875,
];
/// Upper bounds of [`DbStats::compaction_chunk_seconds`], inclusive.
pub const CHUNK_SECONDS_BOUNDS: [f64; 10] = [
    100.0,
    400.0,
    1600.0,
    6400.0,
    25600.0,
    102_400.0,
    409_600.0,
    1_638_400.0,
    6_553_600.0,
    26_214_400.0,
];
/// Upper bounds of [`DbStats::compaction_seconds`], [`DbStats::tombstone_cleanups`] and
/// [`DbStats::stale_compactions`], inclusive.
pub const COMPACTION_SECONDS_BOUNDS: [f64; 14] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];

/// Counters and gauges of compaction, retention, truncation and checkpoints.
#[derive(Debug)]
pub struct DbStats {
    /// Maintenance runs. Each checks which compactions are due.
    pub compactions_triggered: AtomicU64,
    /// Block compactions that were skipped for lack of disk space.
    pub compactions_skipped: AtomicU64,
    /// Completed compactions of head and blocks.
    pub compactions: AtomicU64,
    /// Compactions of head or blocks that failed.
    pub compactions_failed: AtomicU64,
    /// Compactions of overlapping blocks.
    pub vertical_compactions: AtomicU64,
    /// 1 while a block is written, else 0.
    pub populating_block: AtomicU64,
    /// Durations of compactions, s.
    pub compaction_seconds: AtomicHistogram,
    /// Samples per chunk at its first compaction.
    pub compaction_chunk_samples: AtomicHistogram,
    /// Size of a chunk at its first compaction, bytes.
    pub compaction_chunk_bytes: AtomicHistogram,
    /// Time span of a chunk at its first compaction, s.
    pub compaction_chunk_seconds: AtomicHistogram,

    /// Blocks that are open for queries.
    pub blocks_loaded: AtomicU64,
    /// Corrupted blocks that were quarantined since the process started.
    pub blocks_quarantined: AtomicU64,
    /// Blocks that were verified.
    pub blocks_verified: AtomicU64,
    /// Open blocks in which corruption was found.
    pub blocks_damaged: AtomicU64,
    /// Total size of the blocks, bytes.
    pub blocks_bytes: AtomicU64,
    /// Memory of the symbol tables of open blocks, bytes.
    pub symbol_table_bytes: AtomicU64,
    /// Minimum time of all blocks, ms; `i64::MAX` without a block.
    pub blocks_min_time: AtomicI64,
    /// Reloads of the block directories.
    pub reloads: AtomicU64,
    /// Reloads of the block directories that failed.
    pub reload_failures: AtomicU64,

    /// Blocks that were deleted because of their age.
    pub time_retentions: AtomicU64,
    /// Blocks that were deleted because of the total size.
    pub size_retentions: AtomicU64,

    /// Durations of tombstone cleanups, s.
    pub tombstone_cleanups: AtomicHistogram,
    /// Stale-series compactions that were started.
    pub stale_compactions_triggered: AtomicU64,
    /// Stale-series compactions that failed.
    pub stale_compactions_failed: AtomicU64,
    /// Durations of stale-series compactions, s.
    pub stale_compactions: AtomicHistogram,

    /// Completed truncations of the head.
    pub head_truncations: AtomicU64,
    /// Head truncations that failed.
    pub head_truncations_failed: AtomicU64,
    /// Garbage collections of the head.
    pub head_gcs: DurationStats,
    /// Truncations of the WAL, with their durations.
    pub wal_truncations: DurationStats,
    /// Checkpoints that were written or failed.
    pub checkpoints: AtomicU64,
    /// Checkpoints that could not be written.
    pub checkpoints_failed: AtomicU64,
    /// Deletions of old checkpoints.
    pub checkpoint_deletions: AtomicU64,
    /// Deletions of old checkpoints that failed.
    pub checkpoint_deletions_failed: AtomicU64,
    /// Chunk snapshots that could not be loaded at startup.
    pub snapshot_replay_errors: AtomicU64,
    /// Maintenance runs that panicked.
    pub maintenance_panics: AtomicU64,
}

impl Default for DbStats {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            compactions_triggered: zero(),
            compactions_skipped: zero(),
            compactions: zero(),
            compactions_failed: zero(),
            vertical_compactions: zero(),
            populating_block: zero(),
            compaction_seconds: AtomicHistogram::new(&COMPACTION_SECONDS_BOUNDS),
            compaction_chunk_samples: AtomicHistogram::new(&CHUNK_SAMPLES_BOUNDS),
            compaction_chunk_bytes: AtomicHistogram::new(&CHUNK_BYTES_BOUNDS),
            compaction_chunk_seconds: AtomicHistogram::new(&CHUNK_SECONDS_BOUNDS),
            blocks_loaded: zero(),
            blocks_quarantined: zero(),
            blocks_verified: zero(),
            blocks_damaged: zero(),
            blocks_bytes: zero(),
            symbol_table_bytes: zero(),
            blocks_min_time: AtomicI64::new(i64::MAX),
            reloads: zero(),
            reload_failures: zero(),
            time_retentions: zero(),
            size_retentions: zero(),
            tombstone_cleanups: AtomicHistogram::new(&COMPACTION_SECONDS_BOUNDS),
            stale_compactions_triggered: zero(),
            stale_compactions_failed: zero(),
            stale_compactions: AtomicHistogram::new(&COMPACTION_SECONDS_BOUNDS),
            head_truncations: zero(),
            head_truncations_failed: zero(),
            head_gcs: DurationStats::default(),
            wal_truncations: DurationStats::default(),
            checkpoints: zero(),
            checkpoints_failed: zero(),
            checkpoint_deletions: zero(),
            checkpoint_deletions_failed: zero(),
            snapshot_replay_errors: zero(),
            maintenance_panics: zero(),
        }
    }
}

impl DbStats {
    /// Counts compactions of the head. A cancelled one counts neither as completed nor as failed.
    pub(crate) fn count_compaction<T>(
        &self,
        result: &Result<T, MaintenanceError>,
        compactions: u64,
    ) {
        match result {
            Ok(_) => self.compactions.fetch_add(compactions, Ordering::Relaxed),
            Err(MaintenanceError::Cancelled) => 0,
            Err(_) => self.compactions_failed.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// Number of runs of an operation and their total duration.
#[derive(Debug, Default)]
pub struct DurationStats {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl DurationStats {
    /// Counts a run that took `took`.
    pub fn observe(&self, took: Duration) {
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of observed runs.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Total duration of all runs, s.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.nanos.load(Ordering::Relaxed) as f64 / 1e9
    }
}

/// Histogram of observations with fixed buckets.
#[derive(Debug)]
pub struct AtomicHistogram {
    bounds: &'static [f64],
    /// Counts per bucket. The last bucket has no upper bound.
    counts: Vec<AtomicU64>,
    /// Bits of an `f64`.
    sum: AtomicU64,
}

impl AtomicHistogram {
    /// Creates an empty histogram. `bounds` must ascend.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { bounds, counts, sum: AtomicU64::new(0f64.to_bits()) }
    }

    /// Counts an observation of `value`.
    pub fn observe(&self, value: f64) {
        let bucket =
            self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |sum: u64| Some((f64::from_bits(sum) + value).to_bits());
        // The closure never returns `None`, so the update cannot fail.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Sum of all observations.
    #[must_use]
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }

    /// Buckets with their own (not cumulative) counts. The last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = AtomicHistogramBucket> + '_ {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).map(|(bound, count)| AtomicHistogramBucket {
            bound,
            count: count.load(Ordering::Relaxed),
        })
    }
}

/// Bucket of an [`AtomicHistogram`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtomicHistogramBucket {
    /// Largest value in the bucket.
    pub bound: f64,
    /// Number of observations in this bucket only.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::{AtomicHistogram, AtomicHistogramBucket};

    #[test]
    fn value_equal_to_bound_falls_into_its_bucket() {
        let histogram = AtomicHistogram::new(&[1.0, 2.0]);
        [0.5, 1.0, 2.0, 2.5, 100.0].into_iter().for_each(|value| histogram.observe(value));
        let counts: Vec<AtomicHistogramBucket> = histogram.buckets().collect();
        let expected = [(1.0, 2), (2.0, 1), (f64::INFINITY, 2)]
            .map(|(bound, count)| AtomicHistogramBucket { bound, count });
        assert_eq!(counts, expected);
        assert_eq!(histogram.sum(), 106.0);
    }
}
