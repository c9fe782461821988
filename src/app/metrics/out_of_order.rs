//! Metrics of out-of-order samples, with Prometheus's names.

use crate::metrics::registry::{Counter, LabeledFn, Registry};
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::HeadStats;
use crate::tsdb::db::recovery::wbl_replay::WblRecovery;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const FLOAT: &[(&str, &str)] = &[("type", "float")];
const HISTOGRAM: &[(&str, &str)] = &[("type", "histogram")];

/// Registers the metrics. Returns the counter of unknown references of the WBL replay.
pub(crate) fn register(registry: &mut Registry, db: &Arc<DbHandle>) -> Counter {
    let appended = |labels, counter: fn(&HeadStats) -> &AtomicU64| {
        let db = db.clone();
        let value = move || {
            db.ready().map_or(0.0, |db| counter(db.head().stats()).load(Ordering::Relaxed) as f64)
        };
        LabeledFn { labels, value: Box::new(value) }
    };
    let counters = vec![
        appended(FLOAT, |stats| &stats.ooo_floats_appended),
        appended(HISTOGRAM, |stats| &stats.ooo_histograms_appended),
    ];
    registry.counter_family_fn(
        "prometheus_tsdb_head_out_of_order_samples_appended_total",
        "Total number of appended out of order samples.",
        counters,
    );
    registry.counter(
        "prometheus_tsdb_wbl_replay_unknown_refs_total",
        "Total number of unknown series references encountered during WBL replay.",
    )
}

/// Records the results of the WBL replay.
pub(crate) fn observe(unknown_refs: &Counter, recovery: &WblRecovery) {
    unknown_refs.inc_by(recovery.report.unknown_refs);
}
