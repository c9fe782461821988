//! Appends of one scrape.
//!
//! The scraper checks a whole body before it appends anything, because an append cannot be undone.
//! It then hands over series one at a time, with the handles that it kept from earlier scrapes, so
//! a known series needs neither labels nor a look-up. [`ScrapeAppend::commit`] makes everything
//! visible together and writes it to the WAL.
//!
//! Limits, the clock check and rejections are those of all protocols. The scraper applies the
//! limits of its configuration before.

use crate::ingest::data_limit::{DataLimit, OverLimit};
use crate::ingest::limits::IngestLimits;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::ingest::rejections::{RejectedItems, SeriesRejections};
use crate::ingest::timestamp_bound::TimestampBound;
use crate::model::exemplar::Exemplar;
use crate::model::float_sample::STALE_NAN_BITS;
use crate::model::labels::Labels;
use crate::model::metadata::MetadataRef;
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::db::appender::Appender;
use crate::tsdb::db::{
    ExemplarRejection, OutOfOrderPolicy, SampleRejection, SeriesGone, SeriesHandle, WalError,
};
use std::cell::Cell;

/// Appender of one scrape.
#[derive(Debug)]
pub struct ScrapeAppend<'a> {
    appender: Appender<'a>,
    limits: &'a IngestLimits,
    bound: TimestampBound,
    outcome: WriteOutcome,
}

/// Result of an append to a series.
#[derive(Clone, Debug)]
pub enum Appended {
    /// The sample is stored.
    Stored,
    /// The sample is stored in another series with the same labels: the handle was missing, or its
    /// series was no longer in the head.
    StoredIn(SeriesHandle),
    /// The sample is rejected and counted.
    Rejected,
    /// The sample is rejected and counted, because this series, found by its labels, has another
    /// value at that timestamp.
    RejectedDuplicate(SeriesHandle),
}

impl<'a> ScrapeAppend<'a> {
    /// Starts the appends of a scrape at `now_ms`, ms since the Unix epoch.
    #[must_use]
    pub fn new(appender: Appender<'a>, limits: &'a IngestLimits, now_ms: i64) -> Self {
        let bound = TimestampBound::new(limits, now_ms);
        Self { appender, limits, bound, outcome: WriteOutcome::default() }
    }

    /// Appends a sample to a series of an earlier scrape.
    pub fn append(&mut self, series: &SeriesHandle, sample: Sample) -> Appended {
        let kind = kind_of(&sample);
        let rejections = SeriesRejections::new(kind);
        if !rejections.accept_timestamp(sample.t, self.bound) {
            return self.finish(kind, &rejections, series.labels());
        }
        let reject =
            |sample: Sample, rejection| rejections.record(RejectReason::from(rejection), sample.t);
        let mut samples = std::iter::once(sample);
        let policy = OutOfOrderPolicy::Accept;
        match self.appender.append_to(series, policy, samples.by_ref(), reject) {
            Ok(()) => self.finish(kind, &rejections, series.labels()),
            Err(SeriesGone) => match samples.next() {
                // The handle keeps the labels of the collected series.
                Some(sample) => self.append_new(series.labels(), sample),
                None => self.finish(kind, &rejections, series.labels()),
            },
        }
    }

    /// Appends a sample to the series with these labels, which may not exist yet.
    pub fn append_new(&mut self, labels: &Labels, sample: Sample) -> Appended {
        let kind = kind_of(&sample);
        let rejections = SeriesRejections::new(kind);
        if !rejections.accept_timestamp(sample.t, self.bound) {
            return self.finish(kind, &rejections, labels);
        }
        if let Some(over) = self.limits.labels.exceeded_by(|| labels.iter()) {
            return self.reject(kind, RejectReason::BadLabels, labels, &over);
        }
        if let Some(over) = self.limits.dry_run.labels.exceeded_by(|| labels.iter()) {
            self.outcome.dry_run.add(over, 1, labels.iter());
        }
        let is_duplicate = Cell::new(false);
        let reject = |sample: Sample, rejection| {
            is_duplicate.set(rejection == SampleRejection::DuplicateTimestamp);
            rejections.record(RejectReason::from(rejection), sample.t);
        };
        match self.appender.append_or_create(labels, std::iter::once(sample), reject) {
            Ok(created) => {
                if let Some(limit) = created.as_ref().and_then(|new| new.over_limit) {
                    let max = limit.limit as u64;
                    let over = OverLimit { limit: DataLimit::ActiveSeries, value: max + 1, max };
                    self.outcome.dry_run.add(over, 1, labels.iter());
                }
                let appended = self.finish(kind, &rejections, labels);
                match (appended, created) {
                    (Appended::Stored, Some(new)) => Appended::StoredIn(new.handle),
                    (Appended::Rejected, Some(new)) if is_duplicate.get() => {
                        Appended::RejectedDuplicate(new.handle)
                    }
                    (appended, _) => appended,
                }
            }
            Err(error) => self.reject(kind, RejectReason::SeriesLimit, labels, &error),
        }
    }

    /// Appends a stale marker, unless the series has a newer sample or is no longer in the head.
    /// Returns `true` if it is stored.
    pub fn append_stale_marker(&mut self, series: &SeriesHandle, t: i64) -> bool {
        let marker = Sample::new(t, SampleValue::Float(f64::from_bits(STALE_NAN_BITS)));
        let mut is_stored = true;
        let policy = OutOfOrderPolicy::Reject;
        let samples = std::iter::once(marker);
        let appended = self.appender.append_to(series, policy, samples, |_, _| is_stored = false);
        is_stored &= appended.is_ok();
        self.outcome.samples += u64::from(is_stored);
        is_stored
    }

    /// Appends the zero at which a counter or histogram began, unless the series has a newer
    /// sample, or the zero is beyond a limit. Nothing is counted: the zero of an older start is
    /// usual, and the limits count the sample itself.
    pub fn append_start_zero(&mut self, labels: &Labels, zero: Sample) -> Option<SeriesHandle> {
        let is_ahead = !SeriesRejections::new(kind_of(&zero)).accept_timestamp(zero.t, self.bound);
        if is_ahead || self.limits.labels.exceeded_by(|| labels.iter()).is_some() {
            return None;
        }
        let policy = OutOfOrderPolicy::Reject;
        let samples = std::iter::once(zero);
        let appended = self.appender.append_or_create_with(labels, policy, samples, |_, _| {});
        Some(appended.ok()??.handle)
    }

    /// Counts a sample that the scraper rejects, because it repeats a series of the scrape.
    pub fn reject_repeated(&mut self, kind: ItemKind, labels: &Labels, t: i64) {
        let rejections = SeriesRejections::new(kind);
        rejections.record(RejectReason::DuplicateTimestamp, t);
        self.outcome.rejections.add_series(&rejections, labels.iter());
    }

    /// Sets the metadata of a series. Metadata over the limit is rejected and counted.
    pub fn set_metadata(&mut self, series: &SeriesHandle, metadata: MetadataRef<'_>) {
        match self.limits.metadata.check_size(&metadata) {
            Ok(()) => {
                if let Some(over) = self.limits.dry_run.metadata.exceeded_by(&metadata) {
                    self.outcome.dry_run.add(over, 1, series.labels().iter());
                }
                self.appender.set_series_metadata(series, metadata);
            }
            Err(error) => {
                let reason = RejectReason::Metadata;
                self.reject(ItemKind::Metadata, reason, series.labels(), &error);
            }
        }
    }

    /// Appends the exemplars of a sample, in ascending order of time. `repeated` is the number of
    /// others that are stored already.
    ///
    /// Targets repeat exemplars until new ones replace them, so out-of-order exemplars are counted
    /// only if all of them are. Returns their number then, otherwise 0.
    pub fn append_exemplars(
        &mut self,
        series: &SeriesHandle,
        exemplars: impl ExactSizeIterator<Item = Exemplar>,
        repeated: u64,
    ) -> u64 {
        let rejections = SeriesRejections::new(ItemKind::Exemplar);
        let late = SeriesRejections::new(ItemKind::Exemplar);
        let bound = self.bound;
        let count = exemplars.len() as u64;
        let mut out_of_order = 0;
        let mut ignored = 0;
        let exemplars = exemplars.filter(|one| rejections.accept_timestamp(one.t, bound));
        self.appender.append_exemplars(series, exemplars, |exemplar, rejection| match rejection {
            ExemplarRejection::OutOfOrder => {
                out_of_order += 1;
                late.record(RejectReason::OutOfOrder, exemplar.t);
            }
            ExemplarRejection::LabelsTooLong => {
                rejections.record(RejectReason::BadLabels, exemplar.t);
            }
            ExemplarRejection::UnknownSeries => {
                rejections.record(RejectReason::UnknownSeries, exemplar.t);
            }
            ExemplarRejection::Disabled => ignored += 1,
        });
        let total = &mut self.outcome.rejections;
        let rejected = total.add_series(&rejections, series.labels().iter());
        let all_late = out_of_order == count + repeated && out_of_order > 0;
        if all_late {
            total.add_series(&late, series.labels().iter());
        }
        self.outcome.exemplars += repeated + count - rejected - out_of_order - ignored;
        self.outcome.exemplars_ignored += ignored;
        if all_late { out_of_order } else { 0 }
    }

    /// Waits until the WAL holds the scrape, as durably as the sync mode promises.
    ///
    /// # Errors
    /// [`WalError`] if that failed. Items may or may not be stored.
    pub fn commit(self) -> Result<WriteOutcome, WalError> {
        self.appender.commit()?;
        Ok(self.outcome)
    }

    /// Counts the sample of a series whose rejections are complete.
    fn finish(
        &mut self,
        kind: ItemKind,
        rejections: &SeriesRejections,
        labels: &Labels,
    ) -> Appended {
        if let Some((over, count)) = rejections.ahead(&self.bound) {
            self.outcome.dry_run.add(over, count, labels.iter());
        }
        self.outcome.newest_ms = self.outcome.newest_ms.max(rejections.newest());
        if self.outcome.rejections.add_series(rejections, labels.iter()) > 0 {
            return Appended::Rejected;
        }
        match kind {
            ItemKind::Histogram => self.outcome.histograms += 1,
            _ => self.outcome.samples += 1,
        }
        Appended::Stored
    }

    fn reject(
        &mut self,
        kind: ItemKind,
        reason: RejectReason,
        labels: &Labels,
        detail: &dyn std::fmt::Display,
    ) -> Appended {
        let items = RejectedItems { kind, reason, count: 1, detail };
        self.outcome.rejections.add_all(items, labels.iter());
        Appended::Rejected
    }
}

/// Returns the kind of the items of a sample's type.
fn kind_of(sample: &Sample) -> ItemKind {
    match sample.value {
        SampleValue::Float(_) => ItemKind::Sample,
        SampleValue::Histogram(_) | SampleValue::FloatHistogram(_) => ItemKind::Histogram,
    }
}
