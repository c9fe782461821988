//! First pass over a request: samples, histograms and metadata of its series.
//!
//! Within an entry, float samples precede histograms, as in the message.

use crate::ingest::canonical_labels::canonical_labels;
use crate::ingest::data_limit::{DataLimit, OverLimit};
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::ingest::rejections::{RejectedItems, SeriesRejections};
use crate::ingest::request_series::RequestSeries;
use crate::ingest::request_state::RequestState;
use crate::ingest::write_request::SeriesVisitor;
use crate::model::metadata::MetadataRef;
use crate::model::sample::Sample;
use crate::tsdb::db::SeriesHandle;

/// Visitor that appends samples.
pub(crate) struct SamplePass<'r, 'a> {
    pub(crate) request: &'r mut RequestState<'a>,
    pub(crate) rejects_empty: bool,
}

/// Samples of one kind of an entry that were appended.
struct Appended {
    /// Number of stored samples.
    stored: u64,
    /// `None` if the series does not exist.
    series: Option<SeriesHandle>,
}

impl Appended {
    const NOTHING: Self = Self { stored: 0, series: None };
}

impl SeriesVisitor for SamplePass<'_, '_> {
    fn visit(&mut self, position: usize, series: &impl RequestSeries) {
        let has_exemplars = series.exemplars().len() > 0;
        if self.rejects_empty
            && !has_exemplars
            && series.samples().len() == 0
            && series.histograms().len() == 0
        {
            return self.reject_empty(series);
        }
        let metadata = match series.metadata() {
            Ok(metadata) => metadata,
            Err(error) => return self.reject_samples(series, &error),
        };
        let floats = self.append_floats(series);
        let histograms = self.append_histograms(series);
        let stored = floats.stored + histograms.stored;
        let handle = histograms.series.or(floats.series);
        match (metadata, &handle) {
            (Some(metadata), Some(handle)) if stored > 0 => {
                self.store_metadata(series, handle, metadata)
            }
            (Some(_), _) => {}
            (None, _) => self.request.outcome.without_metadata += stored,
        }
        if let Some(handle) = handle.filter(|_| has_exemplars) {
            self.request.keep_for_exemplars(position, handle);
        }
    }
}

impl SamplePass<'_, '_> {
    fn append_floats(&mut self, series: &impl RequestSeries) -> Appended {
        let count = series.samples().len();
        if count == 0 {
            return Appended::NOTHING;
        }
        let max_timestamp = self.request.max_timestamp;
        let rejections = SeriesRejections::new(ItemKind::Sample);
        let samples =
            series.samples().filter(|sample| rejections.accept_timestamp(sample.t, max_timestamp));
        let appended = self.append(series, count, &rejections, samples);
        self.request.outcome.samples += appended.stored;
        self.observe_newest(&rejections);
        appended
    }

    fn append_histograms(&mut self, series: &impl RequestSeries) -> Appended {
        let count = series.histograms().len();
        if count == 0 {
            return Appended::NOTHING;
        }
        let max_timestamp = self.request.max_timestamp;
        let rejections = SeriesRejections::new(ItemKind::Histogram);
        let samples = series.histograms().filter_map(|histogram| match histogram {
            Ok(sample) => rejections.accept_timestamp(sample.t, max_timestamp).then_some(sample),
            Err(error) => {
                rejections.record_histogram(error);
                None
            }
        });
        let appended = self.append(series, count, &rejections, samples);
        self.request.outcome.histograms += appended.stored;
        self.observe_newest(&rejections);
        appended
    }

    fn observe_newest(&mut self, rejections: &SeriesRejections) {
        let newest_ms = &mut self.request.outcome.newest_ms;
        *newest_ms = (*newest_ms).max(rejections.newest());
    }

    /// Appends samples of one kind.
    ///
    /// `count` includes the samples that `samples` rejects on the way into `rejections`.
    fn append(
        &mut self,
        series: &impl RequestSeries,
        count: usize,
        rejections: &SeriesRejections,
        samples: impl Iterator<Item = Sample> + Clone,
    ) -> Appended {
        let reject =
            |sample: Sample, rejection| rejections.record(RejectReason::from(rejection), sample.t);
        let all = |reason, detail| RejectedItems {
            kind: rejections.kind(),
            reason,
            count: count as u64,
            detail,
        };
        let request = &mut *self.request;
        let known = series
            .label_bytes()
            .and_then(|packed| request.appender.append_existing(packed, samples.clone(), reject));
        let handle = match known {
            Some(handle) => Some(handle),
            None => {
                let canonical = match canonical_labels(series, request.limits) {
                    Ok(canonical) => canonical,
                    Err(error) => {
                        request.reject_all(series, all(RejectReason::BadLabels, &error));
                        return Appended::NOTHING;
                    }
                };
                if let Some(over) = canonical.over_dry_run {
                    request.outcome.dry_run.add(over, count as u64, series.labels());
                }
                match request.appender.append_or_create(&canonical.labels, samples, reject) {
                    Ok(created) => {
                        if let Some(limit) = created.as_ref().and_then(|new| new.over_limit) {
                            let max = limit.limit as u64;
                            let limit = DataLimit::ActiveSeries;
                            let over = OverLimit { limit, value: max + 1, max };
                            request.outcome.dry_run.add(over, count as u64, series.labels());
                        }
                        created.map(|new| new.handle)
                    }
                    Err(error) => {
                        request.reject_all(series, all(RejectReason::SeriesLimit, &error));
                        return Appended::NOTHING;
                    }
                }
            }
        };
        request.add_ahead(series, rejections);
        let rejected = request.outcome.rejections.add_series(rejections, series.labels());
        Appended { stored: count as u64 - rejected, series: handle }
    }

    /// Rejects all samples of a series whose metadata cannot be resolved.
    fn reject_samples<S: RequestSeries>(&mut self, series: &S, error: &S::StringError) {
        for (kind, count) in [
            (ItemKind::Sample, series.samples().len()),
            (ItemKind::Histogram, series.histograms().len()),
        ] {
            if count > 0 {
                let count = count as u64;
                let detail = &format!("metadata: {error}");
                let reason = RejectReason::BadLabels;
                self.request.reject_all(series, RejectedItems { kind, reason, count, detail });
            }
        }
    }

    /// Rejects a series without samples, histograms and exemplars.
    fn reject_empty(&mut self, series: &impl RequestSeries) {
        let items = RejectedItems {
            kind: ItemKind::Sample,
            reason: RejectReason::NoSamples,
            count: 1,
            detail: &"no sample, histogram or exemplar",
        };
        self.request.reject_all(series, items);
    }

    fn store_metadata(
        &mut self,
        series: &impl RequestSeries,
        handle: &SeriesHandle,
        metadata: MetadataRef<'_>,
    ) {
        let limits = self.request.limits;
        match limits.metadata.check_size(&metadata) {
            Ok(()) => {
                if let Some(over) = limits.dry_run.metadata.exceeded_by(&metadata) {
                    self.request.outcome.dry_run.add(over, 1, series.labels());
                }
                self.request.appender.set_series_metadata(handle, metadata);
            }
            Err(error) => {
                let items = RejectedItems {
                    kind: ItemKind::Metadata,
                    reason: RejectReason::Metadata,
                    count: 1,
                    detail: &error,
                };
                self.request.reject_all(series, items);
            }
        }
    }
}
