//! Metrics of discovery, under Prometheus's names.
//!
//! A series with the label `config` exists while its job does.

use crate::metrics::registry::{Counter, LabelPairs, Registry};
use prometheus_client::metrics::family::Family;
use std::sync::atomic::AtomicU64;

type FloatGauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;

/// Value of the label `name`: the receiver of the targets.
const RECEIVER: &str = "scrape";

/// Metrics of discovery. Clones share them.
#[derive(Debug, Clone)]
pub struct DiscoveryMetrics {
    pub(crate) received_updates: Counter,
    pub(crate) delayed_updates: Counter,
    pub(crate) sent_updates: Counter,
    discovered_targets: Family<LabelPairs, FloatGauge>,
    last_updates: Family<LabelPairs, FloatGauge>,
}

impl DiscoveryMetrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        // It stays 0: an invalid configuration is rejected as a whole.
        let failed = registry.family(
            "prometheus_sd_failed_configs",
            "Current number of service discovery configurations that failed to load.",
            Family::<LabelPairs, FloatGauge>::default(),
        );
        failed.get_or_create_owned(&receiver()).set(0.0);
        Self {
            received_updates: counter(
                registry,
                "prometheus_sd_received_updates_total",
                "Total number of update events received from the SD providers.",
            ),
            delayed_updates: counter(
                registry,
                "prometheus_sd_updates_delayed_total",
                "Total number of update events that couldn't be sent immediately.",
            ),
            sent_updates: counter(
                registry,
                "prometheus_sd_updates_total",
                "Total number of update events sent to the SD consumers.",
            ),
            discovered_targets: registry.family(
                "prometheus_sd_discovered_targets",
                "Current number of discovered targets.",
                Family::default(),
            ),
            last_updates: registry.family(
                "prometheus_sd_last_update_timestamp_seconds",
                "Timestamp of the last update sent to the SD consumers.",
                Family::default(),
            ),
        }
    }

    /// Notes an update of a job, `time` seconds after the epoch.
    pub(crate) fn set_job(&self, job: &str, targets: usize, time: f64) {
        let labels = of_job(job);
        self.discovered_targets.get_or_create_owned(&labels).set(targets as f64);
        self.last_updates.get_or_create_owned(&labels).set(time);
    }

    /// Removes the series of a job.
    pub(crate) fn remove_job(&self, job: &str) {
        let labels = of_job(job);
        self.discovered_targets.remove(&labels);
        self.last_updates.remove(&labels);
    }
}

fn receiver() -> LabelPairs {
    vec![("name", RECEIVER.to_owned())]
}

fn of_job(job: &str) -> LabelPairs {
    vec![("config", job.to_owned()), ("name", RECEIVER.to_owned())]
}

/// Registers a counter with the label `name`.
fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let family = registry.family(name, help, Family::<LabelPairs, Counter>::default());
    family.get_or_create_owned(&receiver())
}
