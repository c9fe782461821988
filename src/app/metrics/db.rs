//! Metrics of maintenance (compaction, retention, truncation, checkpoints), with Prometheus's names
//! where Prometheus has the metric.

use crate::metrics::registry::{HistogramSnapshot, Registry, SummarySnapshot};
use crate::tsdb::db::CompactStats;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::stats::{AtomicHistogram, DbStats, DurationStats};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Name, help text and accessor of a metric in [`DbStats`].
type StatRow = (&'static str, &'static str, fn(&DbStats) -> &AtomicU64);

const COUNTERS: &[StatRow] = &[
    (
        "prometheus_tsdb_compactions_triggered_total",
        "Total number of triggered compactions for the partition.",
        |stats| &stats.compactions_triggered,
    ),
    (
        "prometheus_tsdb_compactions_skipped_total",
        "Total number of skipped compactions due to disabled auto compaction.",
        |stats| &stats.compactions_skipped,
    ),
    (
        "prometheus_tsdb_compactions_total",
        "Total number of compactions that were executed for the partition.",
        |stats| &stats.compactions,
    ),
    (
        "prometheus_tsdb_compactions_failed_total",
        "Total number of compactions that failed for the partition.",
        |stats| &stats.compactions_failed,
    ),
    (
        "prometheus_tsdb_vertical_compactions_total",
        "Total number of compactions done on overlapping blocks.",
        |stats| &stats.vertical_compactions,
    ),
    ("narthex_tsdb_blocks_quarantined_total", "Total number of blocks quarantined.", |stats| {
        &stats.blocks_quarantined
    }),
    ("narthex_tsdb_blocks_verified_total", "Total number of verified blocks.", |stats| {
        &stats.blocks_verified
    }),
    (
        "prometheus_tsdb_reloads_total",
        "Number of times the database reloaded block data from disk.",
        |stats| &stats.reloads,
    ),
    (
        "prometheus_tsdb_reloads_failures_total",
        "Number of times the database failed to reload block data from disk.",
        |stats| &stats.reload_failures,
    ),
    (
        "prometheus_tsdb_time_retentions_total",
        "The number of times that blocks were deleted because the maximum time limit was exceeded.",
        |stats| &stats.time_retentions,
    ),
    (
        "prometheus_tsdb_size_retentions_total",
        "The number of times that blocks were deleted because the maximum number of bytes was \
         exceeded.",
        |stats| &stats.size_retentions,
    ),
    (
        "prometheus_tsdb_stale_series_compactions_triggered_total",
        "Total number of triggered stale series compactions.",
        |stats| &stats.stale_compactions_triggered,
    ),
    (
        "prometheus_tsdb_stale_series_compactions_failed_total",
        "Total number of stale series compactions that failed.",
        |stats| &stats.stale_compactions_failed,
    ),
    (
        "prometheus_tsdb_head_truncations_total",
        "Total number of head truncations attempted.",
        |stats| &stats.head_truncations,
    ),
    (
        "prometheus_tsdb_head_truncations_failed_total",
        "Total number of head truncations that failed.",
        |stats| &stats.head_truncations_failed,
    ),
    (
        "prometheus_tsdb_checkpoint_creations_total",
        "Total number of checkpoint creations attempted.",
        |stats| &stats.checkpoints,
    ),
    (
        "prometheus_tsdb_checkpoint_creations_failed_total",
        "Total number of checkpoint creations that failed.",
        |stats| &stats.checkpoints_failed,
    ),
    (
        "prometheus_tsdb_checkpoint_deletions_total",
        "Total number of checkpoint deletions attempted.",
        |stats| &stats.checkpoint_deletions,
    ),
    (
        "prometheus_tsdb_checkpoint_deletions_failed_total",
        "Total number of checkpoint deletions that failed.",
        |stats| &stats.checkpoint_deletions_failed,
    ),
    (
        "narthex_tsdb_maintenance_panics_total",
        "Total number of maintenance runs that panicked. Each is followed by another run.",
        |stats| &stats.maintenance_panics,
    ),
    (
        "prometheus_tsdb_snapshot_replay_error_total",
        "Total number snapshot replays that failed.",
        |stats| &stats.snapshot_replay_errors,
    ),
];

const GAUGES: &[StatRow] = &[
    (
        "prometheus_tsdb_compaction_populating_block",
        "Set to 1 when a block is currently being written to the disk.",
        |stats| &stats.populating_block,
    ),
    (
        "narthex_tsdb_blocks_corrupted",
        "Number of loaded blocks that are corrupted. The program log names them.",
        |stats| &stats.blocks_damaged,
    ),
    ("prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks.", |stats| {
        &stats.blocks_loaded
    }),
    (
        "prometheus_tsdb_storage_blocks_bytes",
        "The number of bytes that are currently used for local storage by all blocks.",
        |stats| &stats.blocks_bytes,
    ),
    (
        "prometheus_tsdb_symbol_table_size_bytes",
        "Size of symbol table in memory for loaded blocks.",
        |stats| &stats.symbol_table_bytes,
    ),
];

/// Name, help text and accessor of a summary in [`DbStats`].
type DurationRow = (&'static str, &'static str, fn(&DbStats) -> &DurationStats);

/// Summaries without quantiles, as in Prometheus.
const SUMMARIES: &[DurationRow] = &[
    (
        "prometheus_tsdb_head_gc_duration_seconds",
        "Runtime of garbage collection in the head block.",
        |stats| &stats.head_gcs,
    ),
    ("prometheus_tsdb_wal_truncate_duration_seconds", "Duration of WAL truncation.", |stats| {
        &stats.wal_truncations
    }),
];

/// Name, help text and accessor of a histogram in [`DbStats`].
type HistogramRow = (&'static str, &'static str, fn(&DbStats) -> &AtomicHistogram);

const HISTOGRAMS: &[HistogramRow] = &[
    ("prometheus_tsdb_compaction_duration_seconds", "Duration of compaction runs.", |stats| {
        &stats.compaction_seconds
    }),
    // Prometheus has a native histogram here, whose text format has only sum and count. The buckets
    // are those of the compaction duration.
    (
        "prometheus_tsdb_tombstone_cleanup_seconds",
        "The time taken to recompact blocks to remove tombstones.",
        |stats| &stats.tombstone_cleanups,
    ),
    (
        "prometheus_tsdb_stale_series_compaction_duration_seconds",
        "Duration of stale series compaction runs.",
        |stats| &stats.stale_compactions,
    ),
    (
        "prometheus_tsdb_compaction_chunk_samples",
        "Final number of samples on their first compaction.",
        |stats| &stats.compaction_chunk_samples,
    ),
    (
        "prometheus_tsdb_compaction_chunk_size_bytes",
        "Final size of chunks on their first compaction.",
        |stats| &stats.compaction_chunk_bytes,
    ),
    (
        "prometheus_tsdb_compaction_chunk_range_seconds",
        "Final time range of chunks on their first compaction.",
        |stats| &stats.compaction_chunk_seconds,
    ),
];

/// Name, help text and accessor of a metric in [`CompactStats`].
type CompactRow = (&'static str, &'static str, fn(&CompactStats) -> f64);

/// Output of compactions, including failed ones. Divided by the seconds, it is their throughput.
const WRITTEN: &[CompactRow] = &[
    (
        "narthex_tsdb_compaction_series_total",
        "Total number of series written by compactions.",
        |stats| read(&stats.series),
    ),
    (
        "narthex_tsdb_compaction_chunks_total",
        "Total number of chunks written by compactions.",
        |stats| read(&stats.chunks),
    ),
    (
        "narthex_tsdb_compaction_samples_total",
        "Total number of samples written by compactions.",
        |stats| read(&stats.samples),
    ),
    (
        "narthex_tsdb_compaction_bytes_total",
        "Total size of chunks written by compactions, in bytes.",
        |stats| read(&stats.bytes),
    ),
    (
        "narthex_tsdb_compaction_seconds_total",
        "Total time that compactions spent on writing blocks.",
        |stats| read(&stats.micros) / 1e6,
    ),
];

fn read(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

/// Registers all metrics of this module.
pub(crate) fn register(registry: &mut Registry, db: &Arc<DbHandle>) {
    for &(name, help, value) in WRITTEN {
        let db = db.clone();
        registry
            .counter_fn(name, help, move || db.ready().map_or(0.0, |db| value(db.compact_stats())));
    }
    for &(name, help, value) in COUNTERS {
        let shared = db.shared().clone();
        registry
            .counter_fn(name, help, move || value(shared.stats()).load(Ordering::Relaxed) as f64);
    }
    for &(name, help, value) in GAUGES {
        let shared = db.shared().clone();
        registry.gauge_fn(name, help, move || value(shared.stats()).load(Ordering::Relaxed) as f64);
    }
    for &(name, help, times) in SUMMARIES {
        let shared = db.shared().clone();
        registry.summary_fn(name, help, move || {
            let times = times(shared.stats());
            SummarySnapshot { sum: times.seconds(), count: times.count(), quantiles: Vec::new() }
        });
    }
    for &(name, help, buckets) in HISTOGRAMS {
        let shared = db.shared().clone();
        registry.histogram_fn(name, help, move || distribution(buckets(shared.stats())));
    }
}

fn distribution(buckets: &AtomicHistogram) -> HistogramSnapshot {
    HistogramSnapshot {
        sum: buckets.sum(),
        buckets: buckets.buckets().map(|bucket| (bucket.bound, bucket.count)).collect(),
    }
}
