//! Metrics of the process.

use crate::app::logging;
use crate::metrics::process::ProcessCollector;
use crate::metrics::registry::Registry;
use crate::server::api::status::build::API_LEVEL;
use crate::server::management::lifecycle::{Lifecycle, Phase};
use std::sync::Arc;

pub(super) fn register(registry: &mut Registry, lifecycle: &Arc<Lifecycle>) {
    let ready = lifecycle.clone();
    registry.gauge_fn(
        "prometheus_ready",
        "Whether startup was completed and the server is ready for normal operation.",
        move || f64::from(u8::from(ready.phase() == Phase::Ready)),
    );
    registry.register_collector(ProcessCollector);
    registry.counter_fn(
        "narthex_log_lines_dropped_total",
        "Total number of log lines dropped: standard error is closed, full or read too slowly.",
        || logging::dropped_lines() as f64,
    );
    // Dashboards for Prometheus find its servers by this metric.
    registry.info(
        "prometheus_build_info",
        "Version of the Prometheus whose HTTP API narthex implements.",
        &[("version", API_LEVEL.to_owned()), ("revision", env!("NARTHEX_COMMIT").to_owned())],
    );
    registry.info(
        "narthex_build_info",
        "Version and commit of narthex.",
        &[
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("revision", env!("NARTHEX_COMMIT").to_owned()),
        ],
    );
}
