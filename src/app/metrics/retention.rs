//! Metrics of the retention limits and of the disk, with Prometheus's names where Prometheus has
//! the metric.

use crate::metrics::registry::Registry;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::disk_guard::DiskGuard;
use std::sync::Arc;

/// Registers all metrics of this module.
pub(crate) fn register(registry: &mut Registry, db: &Arc<DbHandle>) {
    register_settings(registry, db);
    register_hold(registry, db);
    register_disk(registry, db);
}

fn register_settings(registry: &mut Registry, db: &Arc<DbHandle>) {
    let source = db.shared().clone();
    let help = "How long to retain samples in storage.";
    registry.gauge_fn("prometheus_tsdb_retention_limit_seconds", help, move || {
        source.settings().retention.time_ms as f64 / 1000.0
    });
    let source = db.shared().clone();
    let help =
        "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled.";
    registry.gauge_fn("prometheus_tsdb_retention_limit_bytes", help, move || {
        source.settings().retention.bytes as f64
    });
    let source = db.shared().clone();
    let help = "Max percentage of total storage space to be retained in the tsdb blocks, \
                configured 0 means disabled.";
    registry.gauge_fn("prometheus_tsdb_retention_limit_percentage", help, move || {
        source.settings().retention.percentage
    });
}

fn register_hold(registry: &mut Registry, db: &Arc<DbHandle>) {
    let source = db.shared().clone();
    let help = "Whether retention deletes nothing: no retention is configured and the directory \
                had older data at the start, or the server clock is behind the newest data.";
    registry.gauge_fn("narthex_tsdb_retention_held", help, move || {
        let is_held = source.retention_waits_for_clock(now_ms()) || source.retention_is_held();
        f64::from(u8::from(is_held))
    });
}

fn register_disk(registry: &mut Registry, db: &Arc<DbHandle>) {
    let bytes = |value: fn(&DiskGuard) -> u64| {
        let source = db.clone();
        move || {
            // Probes the disk if the last probe is too old.
            source.check_disk();
            value(source.shared().disk_guard()) as f64
        }
    };
    registry.gauge_fn(
        "narthex_tsdb_disk_free_bytes",
        "Free space on the disk of the data directory.",
        bytes(DiskGuard::free_bytes),
    );
    registry.gauge_fn(
        "narthex_tsdb_disk_size_bytes",
        "Size of the disk of the data directory.",
        bytes(DiskGuard::size_bytes),
    );
    registry.gauge_fn(
        "narthex_tsdb_disk_reserve_bytes",
        "Free disk space below which writes are rejected.",
        bytes(DiskGuard::reserve_bytes),
    );
}
