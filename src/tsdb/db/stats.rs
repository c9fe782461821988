//! What the database counts of its own upkeep: plain atomics without names, read when somebody asks for the metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Bounds of [`DbStats::compaction_chunk_samples`]; each bucket takes what is not more than its bound, one more takes the rest.
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
/// Bounds of [`DbStats::compaction_chunk_bytes`].
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
/// Bounds of [`DbStats::compaction_chunk_seconds`].
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
/// Bounds of [`DbStats::compaction_seconds`], [`DbStats::tombstone_cleanups`] and
/// [`DbStats::stale_compactions`].
pub const COMPACTION_SECONDS_BOUNDS: [f64; 14] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];

/// Counters and states of compaction, retention, truncation and checkpoints.
#[derive(Debug)]
pub struct DbStats {
    /// Compactions of head or blocks that a look for work asked for.
    pub compactions_triggered: AtomicU64,
    /// Looks for work that were passed over, as compaction is switched off.
    pub compactions_skipped: AtomicU64,
    /// Compactions that were carried out.
    pub compactions: AtomicU64,
    /// Those that failed.
    pub compactions_failed: AtomicU64,
    /// Those of blocks that overlap.
    pub vertical_compactions: AtomicU64,
    /// 1 while a block is written.
    pub populating_block: AtomicU64,
    /// How long compactions took, s.
    pub compaction_seconds: AtomicHistogram,
    /// Samples of each chunk, when it is first written to a block.
    pub compaction_chunk_samples: AtomicHistogram,
    /// Bytes of each of them.
    pub compaction_chunk_bytes: AtomicHistogram,
    /// The time that each of them spans, s.
    pub compaction_chunk_seconds: AtomicHistogram,

    /// Blocks that are served.
    pub blocks_loaded: AtomicU64,
    /// Blocks that were set aside as damaged, in this process's life.
    pub blocks_quarantined: AtomicU64,
    /// Blocks that were checked from end to end.
    pub blocks_verified: AtomicU64,
    /// Blocks that are served and were found damaged.
    pub blocks_damaged: AtomicU64,
    /// Bytes of all blocks.
    pub blocks_bytes: AtomicU64,
    /// Bytes of their symbol tables that are in memory.
    pub symbol_table_bytes: AtomicU64,
    /// First time of any block, ms; `i64::MAX` where there is none.
    pub blocks_min_time: AtomicI64,
    /// Looks at the blocks in the directory.
    pub reloads: AtomicU64,
    /// Those that failed.
    pub reload_failures: AtomicU64,

    /// Blocks that went because of their age.
    pub time_retentions: AtomicU64,
    /// Blocks that went because there was too much.
    pub size_retentions: AtomicU64,

    /// Durations of clean-ups of tombstones, s.
    pub tombstone_cleanups: AtomicHistogram,
    /// Compactions of stale series that were begun.
    pub stale_compactions_triggered: AtomicU64,
    /// Those that failed.
    pub stale_compactions_failed: AtomicU64,
    /// Durations of compactions of stale series, s.
    pub stale_compactions: AtomicHistogram,

    /// Truncations of the head.
    pub head_truncations: AtomicU64,
    /// Those that failed.
    pub head_truncations_failed: AtomicU64,
    /// Removals of what is no longer in use from the head.
    pub head_gcs: DurationStats,
    /// Truncations of the log.
    pub wal_truncations: DurationStats,
    /// Checkpoints that were made or failed.
    pub checkpoints: AtomicU64,
    /// Those that failed.
    pub checkpoints_failed: AtomicU64,
    /// Removals of older checkpoints.
    pub checkpoint_deletions: AtomicU64,
    /// Those that failed.
    pub checkpoint_deletions_failed: AtomicU64,
    /// Snapshots of the head that could not be used at a start.
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

/// How often something happened, and how long it took altogether.
#[derive(Debug, Default)]
pub struct DurationStats {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl DurationStats {
    /// It happened once more.
    pub fn observe(&self, took: Duration) {
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How often.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How long altogether, s.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.nanos.load(Ordering::Relaxed) as f64 / 1e9
    }
}

/// Observations counted in buckets.
#[derive(Debug)]
pub struct AtomicHistogram {
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: Vec<AtomicU64>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl AtomicHistogram {
    /// Empty buckets with rising bounds.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { bounds, counts, sum: AtomicU64::new(0f64.to_bits()) }
    }

    /// Counts one more.
    pub fn observe(&self, value: f64) {
        let bucket =
            self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |sum: u64| Some((f64::from_bits(sum) + value).to_bits());
        // The closure always gives a value.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// All that was observed.
    #[must_use]
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }

    /// Bounds and how many were in each bucket alone, the last without a bound.
    pub fn buckets(&self) -> impl Iterator<Item = AtomicHistogramBucket> + '_ {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).map(|(bound, count)| AtomicHistogramBucket {
            bound,
            count: count.load(Ordering::Relaxed),
        })
    }
}

/// One of [`AtomicHistogram`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtomicHistogramBucket {
    /// The largest value that it takes.
    pub bound: f64,
    /// How many it has.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::{AtomicHistogram, AtomicHistogramBucket};

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let buckets = AtomicHistogram::new(&[1.0, 2.0]);
        [0.5, 1.0, 2.0, 2.5, 100.0].into_iter().for_each(|value| buckets.observe(value));
        let counts: Vec<AtomicHistogramBucket> = buckets.buckets().collect();
        let expected = [(1.0, 2), (2.0, 1), (f64::INFINITY, 2)]
            .map(|(bound, count)| AtomicHistogramBucket { bound, count });
        assert_eq!(counts, expected);
        assert_eq!(buckets.sum(), 106.0);
    }
}
