//! A write request on its way into the appender: its points, its exemplars, its metadata, and what became of each.
//!
//! Of each entry of a series the floats come before the histograms, as the message has them. What can't be stored is noted and the rest goes on.

use crate::model::exemplar::Exemplar;
use crate::model::labels::{LabelError, Labels, LabelsBuilder, METRIC_NAME};
use crate::model::metadata::MetadataRef;
use crate::model::value::Point;
use crate::remote::bad_refs::BadRefs;
use crate::remote::limits::{LabelLimits, WriteLimits};
use crate::remote::metadata::FamilyMetadata;
use crate::remote::outcome::Outcome;
use crate::remote::reason::{Kind, Reason};
use crate::remote::refusal::{Refused, SeriesRefusals};
use crate::remote::request_series::RequestSeries;
use crate::tsdb::db::appender::Appender;
use crate::tsdb::head::append::metadata::FamilyError;
use crate::tsdb::head::exemplars::ExemplarRejection;
use crate::tsdb::wal::error::WalError;
use std::fmt;

/// A request while it is stored.
pub(crate) struct Storing<'a> {
    appender: Appender<'a>,
    limits: &'a WriteLimits,
    /// The last timestamp that is not too far ahead.
    latest: i64,
    outcome: Outcome,
}

impl<'a> Storing<'a> {
    /// Begins; `now_ms` is the time, in milliseconds since the Unix epoch.
    pub(crate) fn new(appender: Appender<'a>, limits: &'a WriteLimits, now_ms: i64) -> Self {
        let latest = now_ms.saturating_add(limits.max_future_ms);
        Self { appender, limits, latest, outcome: Outcome::default() }
    }

    /// Stores the samples and histograms of a series.
    pub(crate) fn store_points(&mut self, series: &impl RequestSeries) {
        let metadata = match series.metadata() {
            Ok(metadata) => metadata,
            Err(bad) => return self.refuse_points(series, &bad),
        };
        let before = self.outcome.samples + self.outcome.histograms;
        self.store_values(series);
        let stored = self.outcome.samples + self.outcome.histograms - before;
        match metadata {
            // Where nothing is stored, what was appended to last may be another series.
            Some(metadata) if stored > 0 => self.store_series_metadata(series, metadata),
            Some(_) => {}
            None => self.outcome.without_metadata += stored,
        }
    }

    fn store_values(&mut self, series: &impl RequestSeries) {
        let latest = self.latest;
        if series.samples().len() > 0 {
            let refused = SeriesRefusals::new(Kind::Sample);
            let points = series.samples().filter(|point| refused.is_timely(point.t, latest));
            self.outcome.samples += self.store(series, series.samples().len(), &refused, points);
            self.outcome.newest_ms = self.outcome.newest_ms.max(refused.newest());
        }
        if series.histograms().len() > 0 {
            let refused = SeriesRefusals::new(Kind::Histogram);
            let points = series.histograms().filter_map(|histogram| match histogram {
                Ok(point) => refused.is_timely(point.t, latest).then_some(point),
                Err(bad) => {
                    refused.note_histogram(bad);
                    None
                }
            });
            self.outcome.histograms += self.store(series, series.histograms().len(), &refused, points);
            self.outcome.newest_ms = self.outcome.newest_ms.max(refused.newest());
        }
    }

    /// Notes that a series can't be read as its metadata can't be.
    fn refuse_points(&mut self, series: &impl RequestSeries, bad: &BadRefs) {
        for (kind, count) in [(Kind::Sample, series.samples().len()), (Kind::Histogram, series.histograms().len())] {
            if count > 0 {
                let count = count as u64;
                let detail = &format!("metadata: {bad}");
                self.refuse_all(series, Refused { kind, reason: Reason::BadLabels, count, detail });
            }
        }
    }

    /// Notes that a series has nothing to store.
    pub(crate) fn refuse_empty(&mut self, series: &impl RequestSeries) {
        let detail = &"no sample, histogram or exemplar";
        self.refuse_all(series, Refused { kind: Kind::Sample, reason: Reason::NoSamples, count: 1, detail });
    }

    /// Stores the metadata of the series whose points were stored last.
    fn store_series_metadata(&mut self, series: &impl RequestSeries, metadata: MetadataRef<'_>) {
        match self.limits.metadata.check_text(&metadata) {
            Ok(()) => self.appender.set_metadata_of_last(metadata),
            Err(bad) => {
                let entry = Refused { kind: Kind::Metadata, reason: Reason::Metadata, count: 1, detail: &bad };
                self.refuse_all(series, entry);
            }
        }
    }

    /// Stores points of one kind, which are `count` together with those that are noted on the way; says how many are stored.
    fn store(
        &mut self,
        series: &impl RequestSeries,
        count: usize,
        refused: &SeriesRefusals,
        points: impl Iterator<Item = Point> + Clone,
    ) -> u64 {
        let reject = |point: Point, rejection| refused.note(Reason::from(rejection), point.t);
        let known = match series.packed_labels() {
            Some(packed) => self.appender.append_known(packed, points.clone(), reject),
            None => false,
        };
        let all = |reason, detail| Refused { kind: refused.kind(), reason, count: count as u64, detail };
        if !known {
            let labels = match canonical(series, &self.limits.labels) {
                Ok(labels) => labels,
                Err(error) => return self.refuse_all(series, all(Reason::BadLabels, &error)),
            };
            if let Err(error) = self.appender.append(&labels, points, reject) {
                return self.refuse_all(series, all(Reason::SeriesLimit, &error));
            }
        }
        count as u64 - self.outcome.refusals.add_series(refused, series.labels())
    }

    /// Notes that nothing of these is stored, and says so.
    fn refuse_all(&mut self, series: &impl RequestSeries, things: Refused<'_>) -> u64 {
        self.outcome.refusals.add_all(things, series.labels());
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
            let all = Refused { kind: Kind::Exemplar, reason: Reason::BadLabels, count, detail };
            return self.outcome.refusals.add_all(all, series.labels());
        }
        let labels = match canonical(series, &self.limits.labels) {
            Ok(labels) => labels,
            Err(error) => {
                let all = Refused { kind: Kind::Exemplar, reason: Reason::BadLabels, count, detail: &error };
                return self.outcome.refusals.add_all(all, series.labels());
            }
        };
        let refused = SeriesRefusals::new(Kind::Exemplar);
        let exemplars = series.exemplars().filter_map(|exemplar| match exemplar {
            Ok(exemplar) => refused.is_timely(exemplar.t, self.latest).then_some(exemplar),
            Err(bad) => {
                refused.note(Reason::BadLabels, bad.t);
                None
            }
        });
        let mut ignored = 0;
        let reject = |exemplar: Exemplar, why| match why {
            ExemplarRejection::OutOfOrder => refused.note(Reason::OutOfOrder, exemplar.t),
            ExemplarRejection::LabelsTooLong => refused.note(Reason::BadLabels, exemplar.t),
            ExemplarRejection::UnknownSeries => refused.note(Reason::UnknownSeries, exemplar.t),
            ExemplarRejection::SwitchedOff => ignored += 1,
        };
        self.appender.append_exemplars(labels.as_packed(), exemplars, reject);
        self.outcome.exemplars += count - ignored - self.outcome.refusals.add_series(&refused, series.labels());
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
        let entry = Refused { kind: Kind::Metadata, reason: Reason::Metadata, count: 1, detail };
        self.outcome.refusals.add_all(entry, family);
        Ok(())
    }

    /// Waits for the log; says what became of the request.
    ///
    /// # Errors
    /// Where the log can't be written.
    pub(crate) fn commit(self) -> Result<Outcome, WalError> {
        self.appender.commit()?;
        Ok(self.outcome)
    }
}

/// Why labels don't name a series.
#[derive(Debug, thiserror::Error)]
enum BadLabels {
    #[error(transparent)]
    NotASet(#[from] LabelError),
    #[error(transparent)]
    Refs(#[from] BadRefs),
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
fn canonical(series: &impl RequestSeries, limits: &LabelLimits) -> Result<Labels, BadLabels> {
    if let Some(bad) = series.bad_labels() {
        return Err(bad.into());
    }
    let count = series.labels().count();
    if count > limits.count {
        return Err(BadLabels::TooMany(count, limits.count));
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in series.labels() {
        if name.len() > limits.name_bytes {
            return Err(BadLabels::LongName(name.len(), limits.name_bytes));
        }
        if value.len() > limits.value_bytes {
            return Err(BadLabels::LongValue(value.len(), limits.value_bytes));
        }
        builder.add(name, value);
    }
    let labels = builder.build()?;
    if labels.get(METRIC_NAME).is_none() { Err(BadLabels::NoMetricName) } else { Ok(labels) }
}

#[cfg(test)]
#[path = "storing_tests.rs"]
mod tests;
