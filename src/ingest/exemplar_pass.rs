//! Second pass over a request: exemplars, after all samples of the request.
//!
//! The series of an entry with samples is known from the first pass. Senders also put exemplars
//! into entries of their own, whose series is looked up by its labels.

use crate::ingest::canonical_labels::{CanonicalLabels, canonical_labels};
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::ingest::rejections::{RejectedItems, SeriesRejections};
use crate::ingest::request_series::RequestSeries;
use crate::ingest::request_state::RequestState;
use crate::ingest::write_request::SeriesVisitor;
use crate::model::exemplar::Exemplar;
use crate::tsdb::db::{ExemplarRejection, SeriesHandle};
use std::fmt;

/// Visitor that appends exemplars.
pub(crate) struct ExemplarPass<'r, 'a>(pub(crate) &'r mut RequestState<'a>);

impl SeriesVisitor for ExemplarPass<'_, '_> {
    fn visit(&mut self, position: usize, series: &impl RequestSeries) {
        if series.exemplars().len() == 0 {
            return;
        }
        if let Err(error) = series.metadata() {
            return self.reject_labels(series, &format!("metadata: {error}"));
        }
        if let Some(handle) = self.0.kept_series(position) {
            return self.append(series, Some(&handle));
        }
        match canonical_labels(series, self.0.limits) {
            Ok(CanonicalLabels { labels, over_dry_run }) => {
                if let Some(over) = over_dry_run {
                    let count = series.exemplars().len() as u64;
                    self.0.outcome.dry_run.add(over, count, series.labels());
                }
                let handle = self.0.appender.find_series(labels.as_bytes());
                self.append(series, handle.as_ref());
            }
            Err(error) => self.reject_labels(series, &error),
        }
    }
}

impl ExemplarPass<'_, '_> {
    /// Rejects all exemplars of a series because of its labels.
    fn reject_labels(&mut self, series: &impl RequestSeries, detail: &dyn fmt::Display) {
        let count = series.exemplars().len() as u64;
        let (kind, reason) = (ItemKind::Exemplar, RejectReason::BadLabels);
        self.0.reject_all(series, RejectedItems { kind, reason, count, detail });
    }

    /// Appends the exemplars of an entry; `handle` is `None` if its series does not exist.
    fn append(&mut self, series: &impl RequestSeries, handle: Option<&SeriesHandle>) {
        let max_timestamp = self.0.max_timestamp;
        let rejections = SeriesRejections::new(ItemKind::Exemplar);
        let exemplars = series.exemplars().filter_map(|exemplar| match exemplar {
            Ok(exemplar) => {
                rejections.accept_timestamp(exemplar.t, max_timestamp).then_some(exemplar)
            }
            Err(error) => {
                rejections.record(RejectReason::BadLabels, error.t);
                None
            }
        });
        let mut ignored = 0;
        let mut reject = |exemplar: Exemplar, rejection| match rejection {
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
        match handle {
            Some(handle) => self.0.appender.append_exemplars(handle, exemplars, reject),
            None => {
                exemplars.for_each(|exemplar| reject(exemplar, ExemplarRejection::UnknownSeries))
            }
        }
        self.0.add_ahead(series, &rejections);
        let count = series.exemplars().len() as u64;
        let outcome = &mut self.0.outcome;
        let rejected = outcome.rejections.add_series(&rejections, series.labels());
        outcome.exemplars += count - ignored - rejected;
        outcome.exemplars_ignored += ignored;
    }
}
