//! Metrics of remote write, under Prometheus's names if it has them.

use crate::ingest::clock_skew::{ClockSkew, ObservedRequest};
use crate::ingest::data_limit::DataLimit;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::metrics::registry::{Counter, Registry};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: &'static str,
}

/// Item kinds that Prometheus counts by type, with its label values.
const TYPES: [(ItemKind, TypeLabel); 2] = [
    (ItemKind::Sample, TypeLabel { r#type: "float" }),
    (ItemKind::Histogram, TypeLabel { r#type: "histogram" }),
];

/// Reasons that Prometheus counts, with the name and help text of its counter.
const PROMETHEUS_REASONS: [(RejectReason, &str, &str); 3] = [
    (
        RejectReason::OutOfOrder,
        "prometheus_tsdb_out_of_order_samples_total",
        "Total number of samples rejected as out of order.",
    ),
    (
        RejectReason::OutOfBounds,
        "prometheus_tsdb_out_of_bound_samples_total",
        "Total number of samples rejected as out of bounds.",
    ),
    (
        RejectReason::TooOld,
        "prometheus_tsdb_too_old_samples_total",
        "Total number of samples rejected as older than the out-of-order window.",
    ),
];

/// Metrics of writes; clones share them.
#[derive(Debug, Clone)]
pub struct WriteMetrics {
    samples: Counter,
    histograms: Counter,
    exemplars: Counter,
    exemplars_ignored: Counter,
    rejected: [Counter; RejectReason::ALL.len()],
    dry_run: [Counter; DataLimit::ALL.len()],
    /// Prometheus's counters for some of the reasons, in the order of [`TYPES`].
    prometheus_rejected: [(RejectReason, [Counter; TYPES.len()]); PROMETHEUS_REASONS.len()],
    invalid_labels: Counter,
    without_metadata: Counter,
    metadata: Counter,
    clock_skew: Arc<ClockSkew>,
}

impl WriteMetrics {
    /// Registers the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let clock_skew = Arc::new(ClockSkew::default());
        let shown = Arc::clone(&clock_skew);
        registry.gauge_fn(
            "narthex_remote_write_max_ahead_seconds",
            "Largest time by which a sample, accepted or rejected, was ahead of the server clock \
             in the last minutes with writes.",
            move || shown.max_ahead_ms().map_or(f64::NAN, |ahead_ms| ahead_ms as f64 / 1000.0),
        );
        let rejected: Family<ReasonLabel, Counter> = registry.family(
            "narthex_remote_write_rejected_samples_total",
            "Total number of rejected samples, histograms, exemplars and metadata, by reason.",
            Family::default(),
        );
        let dry_run: Family<LimitLabels, Counter> = registry.family(
            "narthex_remote_write_rejected_samples_dry_run_total",
            "Total number of samples, histograms, exemplars and metadata that limits in a dry run \
             would have rejected, by limit and reason.",
            Family::default(),
        );
        Self {
            clock_skew,
            dry_run: DataLimit::ALL.map(|limit| {
                let labels = LimitLabels { limit: limit.flag(), reason: limit.reason() };
                dry_run.get_or_create_owned(&labels)
            }),
            prometheus_rejected: prometheus_rejections(registry),
            samples: registry.counter(
                "narthex_remote_write_samples_total",
                "Total number of samples stored by remote write, duplicates included.",
            ),
            histograms: registry.counter(
                "narthex_remote_write_histograms_total",
                "Total number of native histograms stored by remote write, duplicates included.",
            ),
            exemplars: registry.counter(
                "narthex_remote_write_exemplars_total",
                "Total number of exemplars stored by remote write, duplicates included.",
            ),
            exemplars_ignored: registry.counter(
                "narthex_remote_write_exemplars_ignored_total",
                "Total number of exemplars ignored because exemplar storage is disabled.",
            ),
            rejected: RejectReason::ALL.map(|reason| {
                rejected.get_or_create_owned(&ReasonLabel { reason: reason.label() })
            }),
            invalid_labels: registry.counter(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples which were rejected \
                 due to invalid labels.",
            ),
            without_metadata: registry.counter(
                "prometheus_api_remote_write_without_metadata_appended_samples_total",
                "The total number of received remote write samples which were ingested \
                 without corresponding metadata.",
            ),
            metadata: registry.counter(
                "narthex_remote_write_metadata_total",
                "Total number of metadata entries received by remote write 1.0, \
                 duplicates and rejected ones included.",
            ),
        }
    }

    /// Counts a request that arrived at `now_ms`.
    pub(crate) fn count(&self, outcome: &WriteOutcome, now_ms: i64) {
        self.observe_clock(outcome, now_ms);
        self.samples.inc_by(outcome.samples);
        self.histograms.inc_by(outcome.histograms);
        self.exemplars.inc_by(outcome.exemplars);
        self.exemplars_ignored.inc_by(outcome.exemplars_ignored);
        self.without_metadata.inc_by(outcome.without_metadata);
        self.metadata.inc_by(outcome.families);
        if !outcome.dry_run.is_empty() {
            for (limit, counter) in DataLimit::ALL.into_iter().zip(&self.dry_run) {
                counter.inc_by(outcome.dry_run.count(limit));
            }
        }
        if outcome.rejections.is_empty() {
            return;
        }
        for (reason, counters) in &self.prometheus_rejected {
            for ((kind, _), counter) in TYPES.iter().zip(counters) {
                counter.inc_by(outcome.rejections.count_of(*kind, *reason));
            }
        }
        for (kind, _) in TYPES {
            self.invalid_labels.inc_by(outcome.rejections.count_of(kind, RejectReason::BadLabels));
        }
        for (reason, counter) in RejectReason::ALL.into_iter().zip(&self.rejected) {
            counter.inc_by(outcome.rejections.count(reason));
        }
    }

    /// Compares the samples with the server clock. Logs at most one warning a minute.
    fn observe_clock(&self, outcome: &WriteOutcome, now_ms: i64) {
        let Some(newest_ms) = outcome.newest_ms else { return };
        let ahead = |(kind, _): (ItemKind, TypeLabel)| {
            outcome.rejections.count_of(kind, RejectReason::TooFarAhead)
        };
        let rejected = TYPES.map(ahead).into_iter().sum();
        if let Some(warning) =
            self.clock_skew.observe(ObservedRequest { now_ms, newest_ms, rejected })
        {
            tracing::warn!(
                samples = warning.rejected,
                ahead_seconds = warning.max_ahead_ms as f64 / 1000.0,
                likely_cause = %warning.cause,
                "rejected samples that are too far ahead of the server clock"
            );
        }
    }
}

/// Registers Prometheus's counters of rejected samples, by type.
fn prometheus_rejections(
    registry: &mut Registry,
) -> [(RejectReason, [Counter; TYPES.len()]); PROMETHEUS_REASONS.len()] {
    PROMETHEUS_REASONS.map(|(reason, name, help)| {
        let family = registry.family::<TypeLabel, Counter, _>(name, help, Family::default());
        (reason, TYPES.map(|(_, label)| family.get_or_create_owned(&label)))
    })
}
