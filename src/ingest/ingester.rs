//! Ingestion of a write request: samples, exemplars and metadata into the appender.
//!
//! Within an entry of a series, float samples precede histograms, as in the message. Rejected items
//! are recorded, and ingestion continues.

use crate::ingest::canonical_labels::canonical_labels;
use crate::ingest::limits::IngestLimits;
use crate::ingest::metadata::FamilyMetadata;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::ingest::rejections::{RejectedItems, SeriesRejections};
use crate::ingest::request_series::RequestSeries;
use crate::model::exemplar::Exemplar;
use crate::model::labels::METRIC_NAME;
use crate::model::metadata::MetadataRef;
use crate::model::sample::Sample;
use crate::tsdb::db::appender::Appender;
use crate::tsdb::head::append::metadata::FamilyError;
use crate::tsdb::head::exemplars::ExemplarRejection;
use crate::tsdb::wal::error::WalError;
use std::fmt;

/// A request that is being stored.
pub(crate) struct RequestIngester<'a> {
    appender: Appender<'a>,
    limits: &'a IngestLimits,
    /// Latest accepted timestamp, ms.
    max_timestamp: i64,
    outcome: WriteOutcome,
}

impl<'a> RequestIngester<'a> {
    /// Starts a request that arrived at `now_ms`, ms since the Unix epoch.
    pub(crate) fn new(appender: Appender<'a>, limits: &'a IngestLimits, now_ms: i64) -> Self {
        let max_timestamp = now_ms.saturating_add(limits.max_future_ms);
        Self { appender, limits, max_timestamp, outcome: WriteOutcome::default() }
    }

    /// Appends the samples, the histograms and the metadata of a series.
    pub(crate) fn ingest_samples(&mut self, series: &impl RequestSeries) {
        let metadata = match series.metadata() {
            Ok(metadata) => metadata,
            Err(error) => return self.reject_samples(series, &error),
        };
        let before = self.outcome.samples + self.outcome.histograms;
        self.ingest_floats_and_histograms(series);
        let stored = self.outcome.samples + self.outcome.histograms - before;
        match metadata {
            // Without a stored sample, the last series of the appender may be another one.
            Some(metadata) if stored > 0 => self.store_series_metadata(series, metadata),
            Some(_) => {}
            None => self.outcome.without_metadata += stored,
        }
    }

    fn ingest_floats_and_histograms(&mut self, series: &impl RequestSeries) {
        let max_timestamp = self.max_timestamp;
        if series.samples().len() > 0 {
            let rejections = SeriesRejections::new(ItemKind::Sample);
            let samples = series
                .samples()
                .filter(|sample| rejections.accept_timestamp(sample.t, max_timestamp));
            self.outcome.samples +=
                self.store(series, series.samples().len(), &rejections, samples);
            self.outcome.newest_ms = self.outcome.newest_ms.max(rejections.newest());
        }
        if series.histograms().len() > 0 {
            let rejections = SeriesRejections::new(ItemKind::Histogram);
            let samples = series.histograms().filter_map(|histogram| match histogram {
                Ok(sample) => {
                    rejections.accept_timestamp(sample.t, max_timestamp).then_some(sample)
                }
                Err(error) => {
                    rejections.record_histogram(error);
                    None
                }
            });
            self.outcome.histograms +=
                self.store(series, series.histograms().len(), &rejections, samples);
            self.outcome.newest_ms = self.outcome.newest_ms.max(rejections.newest());
        }
    }

    /// Rejects all samples of a series with invalid metadata references.
    fn reject_samples<S: RequestSeries>(&mut self, series: &S, error: &S::StringError) {
        for (kind, count) in [
            (ItemKind::Sample, series.samples().len()),
            (ItemKind::Histogram, series.histograms().len()),
        ] {
            if count > 0 {
                let count = count as u64;
                let detail = &format!("metadata: {error}");
                self.reject_all(
                    series,
                    RejectedItems { kind, reason: RejectReason::BadLabels, count, detail },
                );
            }
        }
    }

    /// Rejects a series without samples, histograms and exemplars.
    pub(crate) fn reject_empty(&mut self, series: &impl RequestSeries) {
        let detail = &"no sample, histogram or exemplar";
        self.reject_all(
            series,
            RejectedItems {
                kind: ItemKind::Sample,
                reason: RejectReason::NoSamples,
                count: 1,
                detail,
            },
        );
    }

    /// Stores the metadata of the series that was appended to last.
    fn store_series_metadata(&mut self, series: &impl RequestSeries, metadata: MetadataRef<'_>) {
        match self.limits.metadata.check_size(&metadata) {
            Ok(()) => self.appender.set_last_series_metadata(metadata),
            Err(error) => {
                let entry = RejectedItems {
                    kind: ItemKind::Metadata,
                    reason: RejectReason::Metadata,
                    count: 1,
                    detail: &error,
                };
                self.reject_all(series, entry);
            }
        }
    }

    /// Appends samples of one kind. Returns the number of stored ones.
    ///
    /// `count` includes the samples that `samples` rejects on the way into `rejections`.
    fn store(
        &mut self,
        series: &impl RequestSeries,
        count: usize,
        rejections: &SeriesRejections,
        samples: impl Iterator<Item = Sample> + Clone,
    ) -> u64 {
        let reject =
            |sample: Sample, rejection| rejections.record(RejectReason::from(rejection), sample.t);
        let is_known = match series.label_bytes() {
            Some(packed) => self.appender.append_existing(packed, samples.clone(), reject),
            None => false,
        };
        let all = |reason, detail| RejectedItems {
            kind: rejections.kind(),
            reason,
            count: count as u64,
            detail,
        };
        if !is_known {
            let labels = match canonical_labels(series, &self.limits.labels) {
                Ok(labels) => labels,
                Err(error) => return self.reject_all(series, all(RejectReason::BadLabels, &error)),
            };
            if let Err(error) = self.appender.append_or_create(&labels, samples, reject) {
                return self.reject_all(series, all(RejectReason::SeriesLimit, &error));
            }
        }
        count as u64 - self.outcome.rejections.add_series(rejections, series.labels())
    }

    /// Rejects all `items`. Returns 0, the number of stored ones.
    fn reject_all(&mut self, series: &impl RequestSeries, items: RejectedItems<'_>) -> u64 {
        self.outcome.rejections.add_all(items, series.labels());
        0
    }

    /// Appends the exemplars of a series, which must exist.
    pub(crate) fn store_exemplars(&mut self, series: &impl RequestSeries) {
        let count = series.exemplars().len() as u64;
        if count == 0 {
            return;
        }
        if let Err(error) = series.metadata() {
            let detail = &format!("metadata: {error}");
            let all = RejectedItems {
                kind: ItemKind::Exemplar,
                reason: RejectReason::BadLabels,
                count,
                detail,
            };
            return self.outcome.rejections.add_all(all, series.labels());
        }
        let labels = match canonical_labels(series, &self.limits.labels) {
            Ok(labels) => labels,
            Err(error) => {
                let all = RejectedItems {
                    kind: ItemKind::Exemplar,
                    reason: RejectReason::BadLabels,
                    count,
                    detail: &error,
                };
                return self.outcome.rejections.add_all(all, series.labels());
            }
        };
        let rejections = SeriesRejections::new(ItemKind::Exemplar);
        let exemplars = series.exemplars().filter_map(|exemplar| match exemplar {
            Ok(exemplar) => {
                rejections.accept_timestamp(exemplar.t, self.max_timestamp).then_some(exemplar)
            }
            Err(error) => {
                rejections.record(RejectReason::BadLabels, error.t);
                None
            }
        });
        let mut ignored = 0;
        let reject = |exemplar: Exemplar, rejection| match rejection {
            ExemplarRejection::OutOfOrder => {
                rejections.record(RejectReason::OutOfOrder, exemplar.t)
            }
            ExemplarRejection::LabelsTooLong => {
                rejections.record(RejectReason::BadLabels, exemplar.t)
            }
            ExemplarRejection::UnknownSeries => {
                rejections.record(RejectReason::UnknownSeries, exemplar.t)
            }
            ExemplarRejection::Disabled => ignored += 1,
        };
        self.appender.append_exemplars(labels.as_bytes(), exemplars, reject);
        self.outcome.exemplars +=
            count - ignored - self.outcome.rejections.add_series(&rejections, series.labels());
        self.outcome.exemplars_ignored += ignored;
    }

    /// Stores the metadata of a metric family.
    ///
    /// # Errors
    /// [`WalError`] if the WAL cannot be written.
    pub(crate) fn store_metadata(&mut self, entry: FamilyMetadata<'_>) -> Result<(), WalError> {
        let detail: &dyn fmt::Display = match entry.to_metadata(&self.limits.metadata) {
            Ok(metadata) => match self.appender.set_family_metadata(entry.family, &metadata) {
                Ok(()) => return Ok(()),
                Err(FamilyError::Log(error)) => return Err(error),
                Err(FamilyError::Limit(limit)) => &{ limit },
            },
            Err(error) => &{ error },
        };
        let family = std::iter::once((METRIC_NAME, entry.family));
        let entry = RejectedItems {
            kind: ItemKind::Metadata,
            reason: RejectReason::Metadata,
            count: 1,
            detail,
        };
        self.outcome.rejections.add_all(entry, family);
        Ok(())
    }

    /// Waits until the request is logged. Returns the outcome.
    ///
    /// # Errors
    /// [`WalError`] if the WAL cannot be written.
    pub(crate) fn commit(self) -> Result<WriteOutcome, WalError> {
        self.appender.commit()?;
        Ok(self.outcome)
    }
}
