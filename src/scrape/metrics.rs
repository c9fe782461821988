//! Metrics of scraping, under Prometheus's names. Series with the label `scrape_job` exist while
//! their job does.

use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::metrics::duration_summary::DurationSummary;
use crate::metrics::registry::{Counter, Gauge, Histogram, LabelPairs, Registry};
use crate::scrape::sample_limit_fill::SampleLimitFills;
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::store::{ScrapeReport, ScrapeStorageError};
use parking_lot::Mutex;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Durations by the value of a label.
type Summaries = Arc<Mutex<BTreeMap<String, Arc<DurationSummary>>>>;
type Histograms = Family<LabelPairs, Histogram, HistogramBuckets>;

/// Constructor of histograms with the buckets of Prometheus.
#[derive(Clone, Copy, Debug)]
struct HistogramBuckets;

impl MetricConstructor<Histogram> for HistogramBuckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.01, 0.1, 1.0, 10.0])
    }
}

/// Metrics of scraping. Clones share them.
#[derive(Clone, Debug)]
pub struct ScrapeMetrics {
    pub(super) pools: Counter,
    pool_reloads: Counter,
    pub(super) exceeded_target_limit: Counter,
    target_limits: Family<LabelPairs, Gauge>,
    targets: Family<LabelPairs, Gauge>,
    syncs: Family<LabelPairs, Counter>,
    sync_failures: Family<LabelPairs, Counter>,
    sync_lengths: Summaries,
    sync_histogram: Histograms,
    reload_lengths: Summaries,
    equal_labels: Family<LabelPairs, Gauge>,
    interval_lengths: Summaries,
    interval_histogram: Histograms,
    pub(super) missed_ticks: Counter,
    pub(super) sample_limit_fills: SampleLimitFills,
    exceeded_body_size: Counter,
    exceeded_samples: Counter,
    exceeded_labels: Counter,
    exceeded_buckets: Counter,
    duplicates: Counter,
    out_of_order: Counter,
    out_of_bounds: Counter,
    late_exemplars: Counter,
    rejected: [Counter; RejectReason::ALL.len()],
    not_stored: Family<LabelPairs, Counter>,
    duration: Histogram,
}

impl ScrapeMetrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        // These three stay 0: a job whose client cannot be built makes the configuration invalid,
        // and failed scrapes do not grow the caches.
        for (name, help) in [
            (
                "prometheus_target_scrape_pools_failed_total",
                "Total number of scrape pool creations that failed.",
            ),
            (
                "prometheus_target_scrape_pool_reloads_failed_total",
                "Total number of failed scrape pool reloads.",
            ),
            (
                "prometheus_target_scrapes_cache_flush_forced_total",
                "Total number of scrape caches that were flushed because they grew while scrapes \
                 failed.",
            ),
        ] {
            registry.counter(name, help);
        }
        let reload_lengths = summaries(
            registry,
            "prometheus_target_reload_length_seconds",
            "Actual interval to reload the scrape pool with a given configuration.",
            "interval",
        );
        let sync_lengths = summaries(
            registry,
            "prometheus_target_sync_length_seconds",
            "Actual interval to sync the scrape pool.",
            "scrape_job",
        );
        let interval_lengths = summaries(
            registry,
            "prometheus_target_interval_length_seconds",
            "Actual intervals between scrapes.",
            "interval",
        );
        let sample_limit_fills = SampleLimitFills::default();
        let fills = sample_limit_fills.clone();
        registry.gauge_family_fn(
            "narthex_target_sample_limit_fill_ratio",
            "Largest share of sample_limit that the last scrape of a target of the pool used.",
            move || fills.largest(),
        );
        let mut histogram = |name, help| {
            registry.family(name, help, Histograms::new_with_constructor(HistogramBuckets))
        };
        let sync_histogram = histogram(
            "prometheus_target_sync_length_histogram_seconds",
            "Actual interval to sync the scrape pool.",
        );
        let interval_histogram = histogram(
            "prometheus_target_interval_length_histogram_seconds",
            "Actual intervals between scrapes.",
        );
        let duration = histogram(
            "prometheus_target_scrape_duration_seconds",
            "Total duration of the scrape from start to commit completion in seconds.",
        )
        .get_or_create_owned(&Vec::new());
        let rejected = registry.family(
            "narthex_scrape_rejected_samples_total",
            "Total number of samples, histograms and exemplars of scrapes that storage rejected, \
             by reason.",
            Family::<LabelPairs, Counter>::default(),
        );
        let not_stored = registry.family(
            "narthex_scrapes_not_stored_total",
            "Total number of scrapes that storage did not accept, by reason.",
            Family::<LabelPairs, Counter>::default(),
        );
        for reason in ScrapeStorageError::REASONS {
            not_stored.get_or_create_owned(&of_reason(reason));
        }
        Self {
            pools: registry.counter(
                "prometheus_target_scrape_pools_total",
                "Total number of scrape pool creation attempts.",
            ),
            pool_reloads: registry.counter(
                "prometheus_target_scrape_pool_reloads_total",
                "Total number of scrape pool reloads.",
            ),
            exceeded_target_limit: registry.counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config \
                 reload.",
            ),
            target_limits: registry.family(
                "prometheus_target_scrape_pool_target_limit",
                "Maximum number of targets allowed in this scrape pool.",
                Family::default(),
            ),
            targets: registry.family(
                "prometheus_target_scrape_pool_targets",
                "Current number of targets in this scrape pool.",
                Family::default(),
            ),
            syncs: registry.family(
                "prometheus_target_scrape_pool_sync_total",
                "Total number of syncs that were executed on a scrape pool.",
                Family::default(),
            ),
            sync_failures: registry.family(
                "prometheus_target_sync_failed_total",
                "Total number of target sync failures.",
                Family::default(),
            ),
            sync_lengths,
            sync_histogram,
            reload_lengths,
            equal_labels: registry.family(
                "narthex_scrape_pool_targets_with_equal_labels",
                "Current number of targets whose labels another target of the pool has, too.",
                Family::default(),
            ),
            interval_lengths,
            interval_histogram,
            missed_ticks: registry.counter(
                "narthex_scrape_missed_ticks_total",
                "Total number of scrapes that were skipped because the one before took too long.",
            ),
            sample_limit_fills,
            exceeded_body_size: registry.counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit.",
            ),
            exceeded_samples: registry.counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            exceeded_labels: registry.counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config \
                 reload.",
            ),
            exceeded_buckets: registry.counter(
                "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                "Total number of scrapes that hit the native histogram bucket limit and were \
                 rejected.",
            ),
            duplicates: registry.counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different \
                 values.",
            ),
            out_of_order: registry.counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            out_of_bounds: registry.counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time \
                 bounds.",
            ),
            late_exemplars: registry.counter(
                "prometheus_target_scrapes_exemplar_out_of_order_total",
                "Total number of exemplar rejected due to not being out of the expected order.",
            ),
            rejected: RejectReason::ALL
                .map(|reason| rejected.get_or_create_owned(&of_reason(reason.label()))),
            not_stored,
            duration,
        }
    }

    /// Counts the result of a scrape.
    pub(super) fn observe_scrape(&self, report: &ScrapeReport, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
        match &report.error {
            Some(ScrapeError::Fetch(error)) if error.is_body_size_limit() => {
                self.exceeded_body_size.inc();
            }
            Some(ScrapeError::SampleLimit { .. }) => {
                self.exceeded_samples.inc();
            }
            Some(ScrapeError::LabelLimit(_)) => {
                self.exceeded_labels.inc();
            }
            Some(ScrapeError::BucketLimit { .. }) => {
                self.exceeded_buckets.inc();
            }
            _ => {}
        }
        if let Some(error) = &report.storage_error {
            self.observe_storage_error(error);
        }
        self.late_exemplars.inc_by(report.late_exemplars);
        let rejections = &report.outcome.rejections;
        if rejections.is_empty() {
            return;
        }
        for (reason, counter) in RejectReason::ALL.into_iter().zip(&self.rejected) {
            counter.inc_by(rejections.count(reason));
        }
        let count = |reasons: &[RejectReason]| -> u64 {
            let kinds = [ItemKind::Sample, ItemKind::Histogram];
            let of_reason = |reason| kinds.map(|kind| rejections.count_of(kind, reason));
            reasons.iter().flat_map(|reason| of_reason(*reason)).sum()
        };
        self.duplicates.inc_by(count(&[RejectReason::DuplicateTimestamp]));
        self.out_of_order.inc_by(count(&[RejectReason::OutOfOrder]));
        self.out_of_bounds.inc_by(count(&[
            RejectReason::OutOfBounds,
            RejectReason::TooOld,
            RejectReason::TooFarAhead,
            RejectReason::OutOfRange,
        ]));
    }

    /// Counts a scrape, or the stale markers of a target, that storage did not accept.
    pub(super) fn observe_storage_error(&self, error: &ScrapeStorageError) {
        self.not_stored.get_or_create_owned(&of_reason(error.reason())).inc();
    }

    /// Notes the time between two scrapes of a target.
    pub(super) fn observe_interval(&self, interval: Duration, actual: Duration) {
        let name = go_duration(interval);
        self.interval_histogram
            .get_or_create_owned(&vec![("interval", name.clone())])
            .observe(actual.as_secs_f64());
        observe(&self.interval_lengths, &name, actual);
    }

    /// Counts a reload of a job with this scrape interval.
    pub(super) fn observe_reload(&self, interval: Duration, took: Duration) {
        self.pool_reloads.inc();
        observe(&self.reload_lengths, &go_duration(interval), took);
    }

    /// Notes a sync of a job.
    pub(super) fn observe_sync(&self, job: &str, took: Duration, failed: usize, targets: usize) {
        let labels = of_job(job);
        self.syncs.get_or_create_owned(&labels).inc();
        self.sync_failures.get_or_create_owned(&labels).inc_by(failed as u64);
        self.targets.get_or_create_owned(&labels).set(gauge(targets as u64));
        self.sync_histogram.get_or_create_owned(&labels).observe(took.as_secs_f64());
        observe(&self.sync_lengths, job, took);
    }

    pub(super) fn set_target_limit(&self, job: &str, limit: u64) {
        self.target_limits.get_or_create_owned(&of_job(job)).set(gauge(limit));
    }

    pub(super) fn set_equal_labels(&self, job: &str, targets: usize) {
        self.equal_labels.get_or_create_owned(&of_job(job)).set(gauge(targets as u64));
    }

    /// Removes the series of a job.
    pub(super) fn remove_job(&self, job: &str) {
        let labels = of_job(job);
        self.target_limits.remove(&labels);
        self.targets.remove(&labels);
        self.syncs.remove(&labels);
        self.sync_failures.remove(&labels);
        self.sync_histogram.remove(&labels);
        self.equal_labels.remove(&labels);
        self.sync_lengths.lock().remove(job);
    }
}

fn of_reason(reason: &str) -> LabelPairs {
    vec![("reason", reason.to_owned())]
}

fn of_job(job: &str) -> LabelPairs {
    vec![("scrape_job", job.to_owned())]
}

/// Formats a duration as Go does, for dashboards that select an interval: `1m0s`.
fn go_duration(duration: Duration) -> String {
    let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
    let seconds = Duration::new(duration.as_secs() % 60, duration.subsec_nanos());
    match (hours, minutes) {
        (0, 0) => format!("{duration:?}"),
        (0, _) => format!("{minutes}m{}s", seconds.as_secs_f64()),
        _ => format!("{hours}h{minutes}m{}s", seconds.as_secs_f64()),
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn observe(summaries: &Summaries, key: &str, duration: Duration) {
    let now = Instant::now();
    let summary = {
        let mut summaries = summaries.lock();
        match summaries.get(key) {
            Some(summary) => Arc::clone(summary),
            None => {
                let summary = Arc::new(DurationSummary::new(now));
                summaries.insert(key.to_owned(), Arc::clone(&summary));
                summary
            }
        }
    };
    summary.observe(duration, now);
}

/// Registers summaries with one label.
fn summaries(registry: &mut Registry, name: &str, help: &str, label: &'static str) -> Summaries {
    let summaries = Summaries::default();
    let states = Arc::clone(&summaries);
    registry.summary_family_fn(name, help, move || {
        let now = Instant::now();
        let states = states.lock();
        let labeled = states.iter();
        labeled.map(|(key, state)| (vec![(label, key.clone())], state.snapshot(now))).collect()
    });
    summaries
}

#[cfg(test)]
mod tests {
    use super::go_duration;
    use std::time::Duration;

    #[test]
    fn intervals_are_written_as_go_writes_them() {
        for (millis, expected) in [
            (500, "500ms"),
            (10_000, "10s"),
            (60_000, "1m0s"),
            (90_500, "1m30.5s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), expected);
        }
    }
}
