//! Metrics of the exemplar storage, with Prometheus's names.

use crate::metrics::registry::Registry;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::ExemplarStorage;
use std::sync::Arc;

/// Name, help text and accessor of a metric of [`ExemplarStorage`].
type ExemplarRow = (&'static str, &'static str, fn(&ExemplarStorage) -> f64);

const COUNTERS: &[ExemplarRow] = &[
    (
        "prometheus_tsdb_exemplar_exemplars_appended_total",
        "Total number of appended exemplars.",
        |exemplars| exemplars.appended() as f64,
    ),
    (
        "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
        "Total number of out of order exemplar ingestion failed attempts.",
        |exemplars| exemplars.out_of_order() as f64,
    ),
];

const GAUGES: &[ExemplarRow] = &[
    (
        "prometheus_tsdb_exemplar_exemplars_in_storage",
        "Number of exemplars currently in circular storage.",
        |exemplars| exemplars.counts().exemplars as f64,
    ),
    (
        "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
        "Number of series with exemplars currently in circular storage.",
        |exemplars| exemplars.counts().series as f64,
    ),
    (
        "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
        "The timestamp of the oldest exemplar stored in circular storage.",
        |exemplars| exemplars.counts().oldest_time.unwrap_or(0) as f64 / 1000.0,
    ),
    (
        "prometheus_tsdb_exemplar_max_exemplars",
        "Total number of exemplars the exemplar storage can store, resizeable.",
        |exemplars| exemplars.counts().max as f64,
    ),
];

/// Registers all metrics of this module.
pub(crate) fn register(registry: &mut Registry, db: &Arc<DbHandle>) {
    let reader = |value: fn(&ExemplarStorage) -> f64| {
        let db = db.clone();
        move || db.ready().map_or(0.0, |db| value(db.head().exemplars()))
    };
    for &(name, help, value) in COUNTERS {
        registry.counter_fn(name, help, reader(value));
    }
    for &(name, help, value) in GAUGES {
        registry.gauge_fn(name, help, reader(value));
    }
}
