//! Metrics of head, WAL, WBL and replay, with Prometheus's names where Prometheus has the metric.
//!
//! The TSDB counts in atomics, which are read when `/metrics` is requested. Until the replay has
//! ended, head and WAL do not exist and their metrics are 0.

use crate::app::metrics::{db, exemplars, out_of_order, retention};
use crate::metrics::registry::{Counter, LabeledFn, Registry, SummarySnapshot};
use crate::tsdb::db::Db;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::recovery::report::RecoveryReport;
use crate::tsdb::db::{Head, Wal, dir_size};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const FLOAT: &[(&str, &str)] = &[("type", "float")];
const HISTOGRAM: &[(&str, &str)] = &[("type", "histogram")];

/// Metrics that are set when the replay ends.
#[derive(Debug)]
pub(crate) struct ReplayMetrics {
    duration_ms: Arc<AtomicU64>,
    pub(crate) corruptions: Counter,
    unknown_refs: Counter,
    wbl_unknown_refs: Counter,
}

impl ReplayMetrics {
    /// Records the results of the replay.
    pub(crate) fn observe(&self, report: &RecoveryReport) {
        let millis = u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX);
        self.duration_ms.store(millis, Ordering::Relaxed);
        self.corruptions.inc_by(
            u64::from(report.repaired.is_some()) + u64::from(report.wbl.repaired.is_some()),
        );
        out_of_order::observe(&self.wbl_unknown_refs, &report.wbl);
        self.unknown_refs.inc_by(report.replay.unknown_refs + report.replay.metadata_unknown);
    }
}

/// Registers all metrics of the TSDB.
pub(crate) fn register(registry: &mut Registry, db: &Arc<DbHandle>) -> ReplayMetrics {
    register_head(registry, db);
    register_head_contents(registry, db);
    register_times(registry, db);
    register_wal(registry, db);
    register_wbl(registry, db);
    register_log_sizes(registry, db);
    db::register(registry, db);
    retention::register(registry, db);
    exemplars::register(registry, db);
    let health = db.clone();
    registry.gauge_fn(
        "narthex_tsdb_writable",
        "Whether writes are accepted: 0 if the WAL failed or too little disk space is free.",
        move || {
            let is_writable = health.ready().is_ok_and(|db| db.health().is_ok());
            f64::from(u8::from(is_writable))
        },
    );
    let duration_ms = Arc::new(AtomicU64::new(0));
    let source = duration_ms.clone();
    registry.gauge_fn(
        "prometheus_tsdb_data_replay_duration_seconds",
        "Time taken to replay the data on disk.",
        move || Duration::from_millis(source.load(Ordering::Relaxed)).as_secs_f64(),
    );
    ReplayMetrics {
        duration_ms,
        wbl_unknown_refs: out_of_order::register(registry, db),
        corruptions: registry
            .counter("prometheus_tsdb_wal_corruptions_total", "Total number of WAL corruptions."),
        unknown_refs: registry.counter(
            "prometheus_tsdb_wal_replay_unknown_refs_total",
            "Total number of unknown series references encountered during WAL replay.",
        ),
    }
}

/// Returns a function that reads a value of the head; 0 before the replay has ended.
fn head_value(db: &Arc<DbHandle>, value: fn(&Head) -> f64) -> impl Fn() -> f64 + use<> {
    let db = db.clone();
    move || db.ready().map_or(0.0, |db| value(db.head()))
}

fn register_head(registry: &mut Registry, db: &Arc<DbHandle>) {
    let head = |value| head_value(db, value);
    registry.gauge_fn(
        "prometheus_tsdb_head_series",
        "Total number of series in the head block.",
        head(|head| head.series_count() as f64),
    );
    registry.counter_fn(
        "prometheus_tsdb_head_series_created_total",
        "Total number of series created in the head.",
        head(|head| count(&head.stats().series_created)),
    );
    registry.gauge_fn(
        "prometheus_tsdb_head_chunks",
        "Total number of chunks in the head block.",
        head(|head| {
            (count(&head.stats().chunks_created) - count(&head.stats().chunks_removed)).max(0.0)
        }),
    );
    registry.counter_fn(
        "prometheus_tsdb_head_chunks_removed_total",
        "Total number of chunks removed in the head.",
        head(|head| count(&head.stats().chunks_removed)),
    );
    registry.counter_fn(
        "prometheus_tsdb_head_series_removed_total",
        "Total number of series removed in the head.",
        head(|head| count(&head.stats().series_removed)),
    );
    registry.gauge_fn(
        "prometheus_tsdb_head_stale_series",
        "Total number of stale series in the head block.",
        head(|head| head.stats().stale_series.load(Ordering::Relaxed).max(0) as f64),
    );
    registry.counter_fn(
        "prometheus_tsdb_head_chunks_created_total",
        "Total number of chunks created in the head.",
        head(|head| count(&head.stats().chunks_created)),
    );
    registry.counter_fn(
        "prometheus_tsdb_mmap_chunks_total",
        "Total number of chunks that were memory-mapped.",
        head(|head| count(&head.stats().chunks_mapped)),
    );
    registry.counter_fn(
        "narthex_tsdb_head_chunk_write_failures_total",
        "Total number of failed writes to chunks_head. They are retried.",
        head(|head| count(&head.stats().chunk_write_failures)),
    );
}

/// Registers samples, metadata and the size of `chunks_head/`.
fn register_head_contents(registry: &mut Registry, db: &Arc<DbHandle>) {
    let head = |value| head_value(db, value);
    let floats = head(|head| count(&head.stats().floats_appended));
    let histograms = head(|head| count(&head.stats().histograms_appended));
    registry.counter_family_fn(
        "prometheus_tsdb_head_samples_appended_total",
        "Total number of appended samples.",
        vec![
            LabeledFn { labels: FLOAT, value: Box::new(floats) },
            LabeledFn { labels: HISTOGRAM, value: Box::new(histograms) },
        ],
    );
    registry.gauge_fn(
        "narthex_tsdb_head_metric_families",
        "Number of metric families whose metadata is kept for new series.",
        head(|head| head.metadata().families.len() as f64),
    );
    registry.counter_fn(
        "narthex_tsdb_head_metadata_updates_total",
        "Total number of metadata updates of series: type, unit or help text.",
        head(|head| count(&head.stats().metadata_updates)),
    );
    registry.gauge_fn(
        "prometheus_tsdb_head_chunks_storage_size_bytes",
        "Size of the chunks_head directory.",
        head(|head| head.chunk_files().size().unwrap_or(0) as f64),
    );
}

/// Registers the time bounds. An empty head has the values that Prometheus exposes for it.
fn register_times(registry: &mut Registry, db: &Arc<DbHandle>) {
    let time = |value: fn(&Head) -> f64| {
        let db = db.clone();
        move || db.ready().map_or(0.0, |db| value(db.head()))
    };
    let min: fn(&Head) -> f64 = |head| head.times().min().unwrap_or(i64::MAX) as f64;
    let max: fn(&Head) -> f64 = |head| head.times().max().unwrap_or(i64::MIN) as f64;
    let min_seconds: fn(&Head) -> f64 =
        |head| head.times().min().unwrap_or(i64::MAX) as f64 / 1000.0;
    let max_seconds: fn(&Head) -> f64 =
        |head| head.times().max().unwrap_or(i64::MIN) as f64 / 1000.0;
    let help = "Minimum time bound of the head block, milliseconds.";
    registry.gauge_fn("prometheus_tsdb_head_min_time", help, time(min));
    let help = "Maximum timestamp of the head block, milliseconds.";
    registry.gauge_fn("prometheus_tsdb_head_max_time", help, time(max));
    registry.gauge_fn(
        "prometheus_tsdb_head_min_time_seconds",
        "Minimum time bound of the head block.",
        time(min_seconds),
    );
    registry.gauge_fn(
        "prometheus_tsdb_head_max_time_seconds",
        "Maximum timestamp of the head block.",
        time(max_seconds),
    );
    let lowest = db.clone();
    let help = "Lowest timestamp value stored in the database, milliseconds.";
    registry.gauge_fn("prometheus_tsdb_lowest_timestamp", help, move || {
        lowest_timestamp(&lowest) as f64
    });
    let lowest = db.clone();
    let help = "Lowest timestamp value stored in the database.";
    registry.gauge_fn("prometheus_tsdb_lowest_timestamp_seconds", help, move || {
        lowest_timestamp(&lowest) as f64 / 1000.0
    });
}

/// Minimum time of head and blocks, ms; 0 if there is none.
fn lowest_timestamp(db: &DbHandle) -> i64 {
    db.ready().ok().and_then(Db::min_time).unwrap_or_default()
}

fn register_wal(registry: &mut Registry, db: &Arc<DbHandle>) {
    let log = |value: fn(&Wal) -> f64| {
        let db = db.clone();
        move || db.ready().map_or(0.0, |db| value(db.wal()))
    };
    registry.gauge_fn(
        "prometheus_tsdb_wal_segment_current",
        "Write log segment index that TSDB is currently writing to.",
        log(|wal| count(&wal.stats().segment)),
    );
    registry.counter_fn(
        "prometheus_tsdb_wal_writes_failed_total",
        "Total number of write log writes that failed.",
        log(|wal| count(&wal.stats().write_failures)),
    );
    let source = db.clone();
    let help = "Duration of write log fsync.";
    registry.summary_fn("prometheus_tsdb_wal_fsync_duration_seconds", help, move || {
        syncs(source.ready().ok().map(Db::wal))
    });
    registry.counter_fn(
        "narthex_tsdb_wal_failures_total",
        "Total number of WAL failures that stopped all writes until a restart.",
        log(|wal| count(&wal.stats().failures)),
    );
    registry.counter_fn(
        "narthex_tsdb_wal_records_total",
        "Total number of records written to the WAL.",
        log(|wal| count(&wal.stats().records)),
    );
    registry.counter_fn(
        "narthex_tsdb_wal_record_bytes_total",
        "Total size of records written to the WAL, after compression, in bytes.",
        log(|wal| count(&wal.stats().record_bytes)),
    );
    registry.counter_fn(
        "narthex_tsdb_wal_writes_total",
        "Total number of group commits to the WAL. Each writes the records of waiting requests.",
        log(|wal| count(&wal.stats().writes)),
    );
}

fn register_wbl(registry: &mut Registry, db: &Arc<DbHandle>) {
    let wbl_value = |value: fn(&Wal) -> f64| {
        let db = db.clone();
        move || db.ready().ok().and_then(Db::wbl).map_or(0.0, value)
    };
    registry.gauge_fn(
        "prometheus_tsdb_out_of_order_wbl_segment_current",
        "Out-of-order write log segment index that TSDB is currently writing to.",
        wbl_value(|wbl| count(&wbl.stats().segment)),
    );
    registry.counter_fn(
        "prometheus_tsdb_out_of_order_wbl_writes_failed_total",
        "Total number of out-of-order write log writes that failed.",
        wbl_value(|wbl| count(&wbl.stats().write_failures)),
    );
    registry.counter_fn(
        "narthex_tsdb_out_of_order_wbl_failures_total",
        "Total number of WBL failures that stopped all writes until a restart.",
        wbl_value(|wbl| count(&wbl.stats().failures)),
    );
    let source = db.clone();
    let help = "Duration of out-of-order write log fsync.";
    registry.summary_fn(
        "prometheus_tsdb_out_of_order_wbl_fsync_duration_seconds",
        help,
        move || syncs(source.ready().ok().and_then(Db::wbl)),
    );
}

fn register_log_sizes(registry: &mut Registry, db: &Arc<DbHandle>) {
    let dir = db.shared().options().dir.join("wbl");
    registry.gauge_fn(
        "prometheus_tsdb_out_of_order_wbl_storage_size_bytes",
        "Size of the out-of-order write log directory.",
        move || dir_size(&dir) as f64,
    );
    let dir = db.shared().options().dir.join("wal");
    registry.gauge_fn(
        "prometheus_tsdb_wal_storage_size_bytes",
        "Size of the write log directory.",
        move || dir_size(&dir) as f64,
    );
}

/// Quantiles of sync durations, as in Prometheus.
const SYNC_RANKS: [f64; 3] = [0.5, 0.9, 0.99];

/// Returns the sync durations of a log. Without a log, sum and count are 0 and the quantiles NaN.
fn syncs(log: Option<&Wal>) -> SummarySnapshot {
    let stats = log.map(Wal::stats);
    let quantiles = stats
        .map_or([f64::NAN; 3], |stats| stats.sync_quantiles.quantiles(SYNC_RANKS, Instant::now()));
    SummarySnapshot {
        sum: stats.map_or(0.0, |stats| count(&stats.sync_nanos) / 1e9),
        count: stats.map_or(0, |stats| stats.syncs.load(Ordering::Relaxed)),
        quantiles: SYNC_RANKS.into_iter().zip(quantiles).collect(),
    }
}

fn count(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}
