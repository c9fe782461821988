//! Metrics of reloads.

use crate::metrics::registry::{Gauge, Registry};
use std::time::{SystemTime, UNIX_EPOCH};

/// Metrics of reloads.
#[derive(Debug, Clone)]
pub(crate) struct WebReloadMetrics {
    successful: Gauge,
    success_seconds: Gauge,
}

impl WebReloadMetrics {
    /// Registers the metrics as after a success: the file of the start, if any, is loaded.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            successful: registry.gauge(
                "narthex_web_config_last_reload_successful",
                "Whether the last load of the web configuration file was successful.",
            ),
            success_seconds: registry.gauge(
                "narthex_web_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful load of the web configuration file.",
            ),
        };
        metrics.succeeded();
        metrics
    }

    pub(crate) fn succeeded(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.success_seconds.set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        self.successful.set(1);
    }

    pub(crate) fn failed(&self) {
        self.successful.set(0);
    }
}
