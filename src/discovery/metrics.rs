//! Metrics of discovery, under Prometheus's names.
//!
//! A series with the label `config` exists while its job does.

use crate::config::file::discovery::kubernetes::KubernetesRole;
use crate::metrics::duration_summary::DurationSummary;
use crate::metrics::registry::{Counter, Histogram, LabelPairs, Registry, SummarySnapshot};
use http::StatusCode;
use parking_lot::Mutex;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

type FloatGauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;

/// Value of the label `name`: the receiver of the targets.
const RECEIVER: &str = "scrape";

/// Bucket bounds of refresh durations, seconds, as in Prometheus.
const REFRESH_BOUNDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// Metrics of discovery. Clones share them.
#[derive(Debug, Clone)]
pub struct DiscoveryMetrics {
    pub(crate) received_updates: Counter,
    pub(crate) delayed_updates: Counter,
    pub(crate) sent_updates: Counter,
    discovered_targets: Family<LabelPairs, FloatGauge>,
    last_updates: Family<LabelPairs, FloatGauge>,
    refresh_failures: Family<LabelPairs, Counter>,
    refresh_durations: SummaryFamily,
    refresh_histograms: Family<LabelPairs, Histogram, RefreshBounds>,
    pub(crate) file: FileMetrics,
    pub(crate) http_failures: Counter,
    pub(crate) consul: ConsulMetrics,
    pub(crate) kubernetes: KubernetesMetrics,
    pub(crate) dns_lookups: Counter,
    pub(crate) dns_lookup_failures: Counter,
}

/// Metrics of Consul discovery. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct ConsulMetrics {
    pub(crate) failures: Counter,
    pub(crate) services_duration: Arc<DurationSummary>,
    pub(crate) service_duration: Arc<DurationSummary>,
}

/// Metrics of Kubernetes discovery. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct KubernetesMetrics {
    /// Failed lists and watches.
    pub(crate) failures: Counter,
    events: Family<LabelPairs, Counter>,
    requests: Family<LabelPairs, Counter>,
    request_durations: SummaryFamily,
}

/// Counters of the events of a role.
#[derive(Debug, Clone)]
pub(crate) struct EventCounters {
    pub(crate) added: Counter,
    pub(crate) updated: Counter,
    pub(crate) removed: Counter,
}

/// Metrics of file discovery. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct FileMetrics {
    pub(crate) read_errors: Counter,
    pub(crate) watcher_errors: Counter,
    pub(crate) scan_duration: Arc<DurationSummary>,
    modified: Family<LabelPairs, FloatGauge>,
}

/// Constructor of histograms of refresh durations.
#[derive(Debug, Clone)]
struct RefreshBounds;

impl MetricConstructor<Histogram> for RefreshBounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(REFRESH_BOUNDS)
    }
}

/// Metrics of one provider that refreshes its targets at an interval.
#[derive(Debug, Clone)]
pub(crate) struct RefreshMetrics {
    pub(crate) failures: Counter,
    duration: Arc<DurationSummary>,
    histogram: Histogram,
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
        let refresh_durations = SummaryFamily::default();
        let durations = refresh_durations.clone();
        registry.summary_family_fn(
            "prometheus_sd_refresh_duration_seconds",
            "The duration of a refresh in seconds for the given SD mechanism.",
            move || durations.snapshots(),
        );
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
            refresh_failures: registry.family(
                "prometheus_sd_refresh_failures_total",
                "Number of refresh failures for the given SD mechanism.",
                Family::default(),
            ),
            refresh_durations,
            refresh_histograms: registry.family(
                "prometheus_sd_refresh_duration_histogram_seconds",
                "The duration of a refresh for the given SD mechanism.",
                Family::new_with_constructor(RefreshBounds),
            ),
            file: FileMetrics::register(registry),
            http_failures: registry.counter(
                "prometheus_sd_http_failures_total",
                "Number of HTTP service discovery refresh failures.",
            ),
            consul: ConsulMetrics::register(registry),
            kubernetes: KubernetesMetrics::register(registry),
            dns_lookups: registry
                .counter("prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups."),
            dns_lookup_failures: registry.counter(
                "prometheus_sd_dns_lookup_failures_total",
                "The number of DNS-SD lookup failures.",
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
        // A provider that other jobs still use goes on without its series, as in Prometheus.
        self.refresh_durations.0.lock().retain(|labels, _| {
            let is_of_job = labels.iter().any(|(name, value)| *name == "config" && value == job);
            if is_of_job {
                self.refresh_failures.remove(labels);
            }
            !is_of_job
        });
    }

    /// Returns the metrics of a provider. `job` is the first job that uses it.
    pub(crate) fn of_refresh(&self, mechanism: &'static str, job: &str) -> RefreshMetrics {
        let labels = vec![("mechanism", mechanism.to_owned()), ("config", job.to_owned())];
        RefreshMetrics {
            failures: self.refresh_failures.get_or_create_owned(&labels),
            duration: self.refresh_durations.get(&labels),
            histogram: self.refresh_histograms.get_or_create_owned(&labels[..1].to_vec()),
        }
    }
}

impl ConsulMetrics {
    fn register(registry: &mut Registry) -> Self {
        let durations = SummaryFamily::default();
        let of_call = |call: &str| {
            durations.get(&vec![("endpoint", "catalog".to_owned()), ("call", call.to_owned())])
        };
        let metrics = Self {
            failures: registry.counter(
                "prometheus_sd_consul_rpc_failures_total",
                "The number of Consul RPC call failures.",
            ),
            services_duration: of_call("services"),
            service_duration: of_call("service"),
        };
        registry.summary_family_fn(
            "prometheus_sd_consul_rpc_duration_seconds",
            "The duration of a Consul RPC call in seconds.",
            move || durations.snapshots(),
        );
        metrics
    }
}

impl KubernetesMetrics {
    fn register(registry: &mut Registry) -> Self {
        let request_durations = SummaryFamily::default();
        let durations = request_durations.clone();
        registry.summary_family_fn(
            "prometheus_sd_kubernetes_http_request_duration_seconds",
            "Summary of latencies for HTTP requests to the Kubernetes API by endpoint.",
            move || durations.snapshots(),
        );
        let metrics = Self {
            failures: registry.counter(
                "prometheus_sd_kubernetes_failures_total",
                "The number of failed WATCH/LIST requests.",
            ),
            events: registry.family(
                "prometheus_sd_kubernetes_events_total",
                "The number of Kubernetes events handled.",
                Family::default(),
            ),
            requests: registry.family(
                "prometheus_sd_kubernetes_http_request_total",
                "Total number of HTTP requests to the Kubernetes API by status code.",
                Family::default(),
            ),
            request_durations,
        };
        for role in KubernetesRole::ALL {
            metrics.of_role(role);
        }
        metrics
    }

    /// Counts a request to a path of the API; `status` is `None` without a response.
    pub(crate) fn observe_request(
        &self,
        endpoint: &str,
        status: Option<StatusCode>,
        took: Duration,
    ) {
        let code = status.map_or_else(|| "<error>".to_owned(), |status| status.as_str().to_owned());
        self.requests.get_or_create_owned(&vec![("status_code", code)]).inc();
        let endpoint = vec![("endpoint", endpoint.to_owned())];
        self.request_durations.get(&endpoint).observe(took, Instant::now());
    }

    /// Returns the counters of a role.
    pub(crate) fn of_role(&self, role: KubernetesRole) -> EventCounters {
        let of_event = |event: &str| {
            let labels = vec![("role", role.name().to_owned()), ("event", event.to_owned())];
            self.events.get_or_create_owned(&labels)
        };
        EventCounters {
            added: of_event("add"),
            updated: of_event("update"),
            removed: of_event("delete"),
        }
    }
}

impl FileMetrics {
    fn register(registry: &mut Registry) -> Self {
        let scan_duration = Arc::new(DurationSummary::new(Instant::now()));
        let durations = Arc::clone(&scan_duration);
        registry.summary_fn(
            "prometheus_sd_file_scan_duration_seconds",
            "The duration of the File-SD scan in seconds.",
            move || durations.snapshot(Instant::now()),
        );
        Self {
            read_errors: registry.counter(
                "prometheus_sd_file_read_errors_total",
                "The number of File-SD read errors.",
            ),
            watcher_errors: registry.counter(
                "prometheus_sd_file_watcher_errors_total",
                "The number of File-SD errors caused by filesystem watch failures.",
            ),
            scan_duration,
            modified: registry.family(
                "prometheus_sd_file_mtime_seconds",
                "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
                Family::default(),
            ),
        }
    }

    /// Notes the modification time of a file, seconds after the epoch.
    pub(crate) fn set_modified(&self, path: &str, time: f64) {
        self.modified.get_or_create_owned(&of_file(path)).set(time);
    }

    /// Removes the series of a file.
    pub(crate) fn remove_file(&self, path: &str) {
        self.modified.remove(&of_file(path));
    }
}

impl RefreshMetrics {
    pub(crate) fn observe(&self, duration: Duration) {
        self.duration.observe(duration, Instant::now());
        self.histogram.observe(duration.as_secs_f64());
    }
}

/// Summaries of one name. Clones share them.
#[derive(Debug, Clone, Default)]
struct SummaryFamily(Arc<Mutex<BTreeMap<LabelPairs, Arc<DurationSummary>>>>);

impl SummaryFamily {
    fn get(&self, labels: &LabelPairs) -> Arc<DurationSummary> {
        let mut summaries = self.0.lock();
        let summary = summaries.entry(labels.clone());
        Arc::clone(summary.or_insert_with(|| Arc::new(DurationSummary::new(Instant::now()))))
    }

    fn snapshots(&self) -> Vec<(LabelPairs, SummarySnapshot)> {
        let now = Instant::now();
        let summaries = self.0.lock();
        summaries.iter().map(|(labels, summary)| (labels.clone(), summary.snapshot(now))).collect()
    }
}

fn receiver() -> LabelPairs {
    vec![("name", RECEIVER.to_owned())]
}

fn of_file(path: &str) -> LabelPairs {
    vec![("filename", path.to_owned())]
}

fn of_job(job: &str) -> LabelPairs {
    vec![("config", job.to_owned()), ("name", RECEIVER.to_owned())]
}

/// Registers a counter with the label `name`.
fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let family = registry.family(name, help, Family::<LabelPairs, Counter>::default());
    family.get_or_create_owned(&receiver())
}
