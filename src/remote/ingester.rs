//! A write request on its way into the appender: its points, its exemplars, its metadata, and what became of each.
//!
//! Of each entry of a series the floats come before the histograms, as the message has them. What can't be stored is noted and the rest goes on.

use crate::model::exemplar::Exemplar;
use crate::model::labels::{BuildLabelsError, Labels, LabelsBuilder, METRIC_NAME};
use crate::model::metadata::MetadataRef;
use crate::model::sample::Sample;
use crate::remote::limits::{LabelLimits, WriteLimits};
use crate::remote::metadata::FamilyMetadata;
use crate::remote::reject_reason::{ItemKind, RejectReason};
use crate::remote::rejections::{RejectedItems, SeriesRejections};
use crate::remote::request_series::RequestSeries;
use crate::remote::symbol_ref_error::SymbolRefError;
use crate::remote::write_outcome::WriteOutcome;
use crate::tsdb::db::appender::Appender;
use crate::tsdb::head::append::metadata::FamilyError;
use crate::tsdb::head::exemplars::ExemplarRejection;
use crate::tsdb::wal::error::WalError;
use std::fmt;

/// A request while it is stored.
pub(crate) struct RequestIngester<'a> {
    appender: Appender<'a>,
    limits: &'a WriteLimits,
    /// The last timestamp that is not too far ahead.
    max_timestamp: i64,
    outcome: WriteOutcome,
}

impl<'a> RequestIngester<'a> {
    /// Begins; `now_ms` is the time, in milliseconds since the Unix epoch.
    pub(crate) fn new(appender: Appender<'a>, limits: &'a WriteLimits, now_ms: i64) -> Self {
        let latest = now_ms.saturating_add(limits.max_future_ms);
        Self { appender, limits, max_timestamp: latest, outcome: WriteOutcome::default() }
    }

    /// Stores the samples and histograms of a series.
    pub(crate) fn ingest_samples(&mut self, series: &impl RequestSeries) {
        let metadata = match series.metadata() {
            Ok(metadata) => metadata,
            Err(bad) => return self.reject_samples(series, &bad),
        };
        let before = self.outcome.samples + self.outcome.histograms;
        self.ingest_floats_and_histograms(series);
        let stored = self.outcome.samples + self.outcome.histograms - before;
        match metadata {
            // Where nothing is stored, what was appended to last may be another series.
            Some(metadata) if stored > 0 => self.store_series_metadata(series, metadata),
            Some(_) => {}
            None => self.outcome.without_metadata += stored,
        }
    }

    fn ingest_floats_and_histograms(&mut self, series: &impl RequestSeries) {
        let latest = self.max_timestamp;
        if series.samples().len() > 0 {
            let refused = SeriesRejections::new(ItemKind::Sample);
            let points = series.samples().filter(|point| refused.accept_timestamp(point.t, latest));
            self.outcome.samples += self.store(series, series.samples().len(), &refused, points);
            self.outcome.newest_ms = self.outcome.newest_ms.max(refused.newest());
        }
        if series.histograms().len() > 0 {
            let refused = SeriesRejections::new(ItemKind::Histogram);
            let points = series.histograms().filter_map(|histogram| match histogram {
                Ok(point) => refused.accept_timestamp(point.t, latest).then_some(point),
                Err(bad) => {
                    refused.record_histogram(bad);
                    None
                }
            });
            self.outcome.histograms +=
                self.store(series, series.histograms().len(), &refused, points);
            self.outcome.newest_ms = self.outcome.newest_ms.max(refused.newest());
        }
    }

    /// Notes that a series can't be read as its metadata can't be.
    fn reject_samples(&mut self, series: &impl RequestSeries, bad: &SymbolRefError) {
        for (kind, count) in [
            (ItemKind::Sample, series.samples().len()),
            (ItemKind::Histogram, series.histograms().len()),
        ] {
            if count > 0 {
                let count = count as u64;
                let detail = &format!("metadata: {bad}");
                self.reject_all(
                    series,
                    RejectedItems { kind, reason: RejectReason::BadLabels, count, detail },
                );
            }
        }
    }

    /// Notes that a series has nothing to store.
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

    /// Stores the metadata of the series whose points were stored last.
    fn store_series_metadata(&mut self, series: &impl RequestSeries, metadata: MetadataRef<'_>) {
        match self.limits.metadata.check_size(&metadata) {
            Ok(()) => self.appender.set_last_series_metadata(metadata),
            Err(bad) => {
                let entry = RejectedItems {
                    kind: ItemKind::Metadata,
                    reason: RejectReason::Metadata,
                    count: 1,
                    detail: &bad,
                };
                self.reject_all(series, entry);
            }
        }
    }

    /// Stores points of one kind, which are `count` together with those that are noted on the way; says how many are stored.
    fn store(
        &mut self,
        series: &impl RequestSeries,
        count: usize,
        refused: &SeriesRejections,
        points: impl Iterator<Item = Sample> + Clone,
    ) -> u64 {
        let reject =
            |point: Sample, rejection| refused.record(RejectReason::from(rejection), point.t);
        let known = match series.label_bytes() {
            Some(packed) => self.appender.append_existing(packed, points.clone(), reject),
            None => false,
        };
        let all = |reason, detail| RejectedItems {
            kind: refused.kind(),
            reason,
            count: count as u64,
            detail,
        };
        if !known {
            let labels = match canonical_labels(series, &self.limits.labels) {
                Ok(labels) => labels,
                Err(error) => return self.reject_all(series, all(RejectReason::BadLabels, &error)),
            };
            if let Err(error) = self.appender.append_or_create(&labels, points, reject) {
                return self.reject_all(series, all(RejectReason::SeriesLimit, &error));
            }
        }
        count as u64 - self.outcome.rejections.add_series(refused, series.labels())
    }

    /// Notes that nothing of these is stored, and says so.
    fn reject_all(&mut self, series: &impl RequestSeries, things: RejectedItems<'_>) -> u64 {
        self.outcome.rejections.add_all(things, series.labels());
        0
    }

    /// Stores the exemplars of a series, which must be there.
    pub(crate) fn store_exemplars(&mut self, series: &impl RequestSeries) {
        let count = series.exemplars().len() as u64;
        if count == 0 {
            return;
        }
        if let Err(bad) = series.metadata() {
            let detail = &format!("metadata: {bad}");
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
        let refused = SeriesRejections::new(ItemKind::Exemplar);
        let exemplars = series.exemplars().filter_map(|exemplar| match exemplar {
            Ok(exemplar) => {
                refused.accept_timestamp(exemplar.t, self.max_timestamp).then_some(exemplar)
            }
            Err(bad) => {
                refused.record(RejectReason::BadLabels, bad.t);
                None
            }
        });
        let mut ignored = 0;
        let reject = |exemplar: Exemplar, why| match why {
            ExemplarRejection::OutOfOrder => refused.record(RejectReason::OutOfOrder, exemplar.t),
            ExemplarRejection::LabelsTooLong => refused.record(RejectReason::BadLabels, exemplar.t),
            ExemplarRejection::UnknownSeries => {
                refused.record(RejectReason::UnknownSeries, exemplar.t)
            }
            ExemplarRejection::Disabled => ignored += 1,
        };
        self.appender.append_exemplars(labels.as_bytes(), exemplars, reject);
        self.outcome.exemplars +=
            count - ignored - self.outcome.rejections.add_series(&refused, series.labels());
        self.outcome.exemplars_ignored += ignored;
    }

    /// Stores what is said of a metric family.
    ///
    /// # Errors
    /// Where the log can't be written.
    pub(crate) fn store_metadata(&mut self, entry: FamilyMetadata<'_>) -> Result<(), WalError> {
        let detail: &dyn fmt::Display = match entry.to_metadata(&self.limits.metadata) {
            Ok(metadata) => match self.appender.set_family_metadata(entry.family, &metadata) {
                Ok(()) => return Ok(()),
                Err(FamilyError::Log(error)) => return Err(error),
                Err(FamilyError::Limit(limit)) => &{ limit },
            },
            Err(bad) => &{ bad },
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

    /// Waits for the log; says what became of the request.
    ///
    /// # Errors
    /// Where the log can't be written.
    pub(crate) fn commit(self) -> Result<WriteOutcome, WalError> {
        self.appender.commit()?;
        Ok(self.outcome)
    }
}

/// Why labels don't name a series.
#[derive(Debug, thiserror::Error)]
enum SeriesLabelsError {
    #[error(transparent)]
    NotASet(#[from] BuildLabelsError),
    #[error(transparent)]
    Refs(#[from] SymbolRefError),
    #[error("no metric name")]
    NoMetricName,
    #[error("{0} labels, the limit is {1}")]
    TooMany(usize, usize),
    #[error("label name of {0} bytes, the limit is {1}")]
    LongName(usize, usize),
    #[error("label value of {0} bytes, the limit is {1}")]
    LongValue(usize, usize),
}

/// The label set that the labels of a series mean, in whatever order and form they were sent.
fn canonical_labels(
    series: &impl RequestSeries,
    limits: &LabelLimits,
) -> Result<Labels, SeriesLabelsError> {
    if let Some(bad) = series.label_error() {
        return Err(bad.into());
    }
    let count = series.labels().count();
    if count > limits.count {
        return Err(SeriesLabelsError::TooMany(count, limits.count));
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in series.labels() {
        if name.len() > limits.name_bytes {
            return Err(SeriesLabelsError::LongName(name.len(), limits.name_bytes));
        }
        if value.len() > limits.value_bytes {
            return Err(SeriesLabelsError::LongValue(value.len(), limits.value_bytes));
        }
        builder.add(name, value);
    }
    let labels = builder.build()?;
    if labels.get(METRIC_NAME).is_none() {
        Err(SeriesLabelsError::NoMetricName)
    } else {
        Ok(labels)
    }
}

#[cfg(test)]
#[path = "ingester_tests.rs"]
mod tests;
