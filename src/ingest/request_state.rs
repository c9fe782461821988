//! State of a request that is being stored.

use crate::ingest::data_limit::{DataLimit, OverLimit};
use crate::ingest::limits::IngestLimits;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::rejections::{RejectedItems, SeriesRejections};
use crate::ingest::request_series::RequestSeries;
use crate::ingest::timestamp_bound::TimestampBound;
use crate::ingest::write_request::RequestSize;
use crate::tsdb::db::SeriesHandle;
use crate::tsdb::db::appender::Appender;

/// Appender, limits and outcome of one request.
pub(crate) struct RequestState<'a> {
    pub(crate) appender: Appender<'a>,
    pub(crate) limits: &'a IngestLimits,
    pub(crate) max_timestamp: TimestampBound,
    pub(crate) outcome: WriteOutcome,
    /// Series of the entries that have both samples and exemplars, by position in the request.
    exemplar_series: Vec<(usize, SeriesHandle)>,
}

impl<'a> RequestState<'a> {
    /// Starts a request that arrived at `now_ms`, ms since the Unix epoch.
    pub(crate) fn new(appender: Appender<'a>, limits: &'a IngestLimits, now_ms: i64) -> Self {
        let max_timestamp = TimestampBound::new(limits, now_ms);
        let outcome = WriteOutcome::default();
        Self { appender, limits, max_timestamp, outcome, exemplar_series: Vec::new() }
    }

    /// Compares the size of the request with limits in a dry run.
    pub(crate) fn check_size(&mut self, size: RequestSize) {
        let dry_run = &self.limits.dry_run;
        for (limit, value, max) in [
            (DataLimit::RequestSeries, size.series, dry_run.series),
            (DataLimit::RequestSamples, size.samples, dry_run.samples),
        ] {
            if value > max {
                let over = OverLimit { limit, value, max };
                self.outcome.dry_run.add_request(over, size.samples);
            }
        }
    }

    /// Counts the items of a series that were accepted only because of a dry run.
    pub(crate) fn add_ahead(&mut self, series: &impl RequestSeries, rejections: &SeriesRejections) {
        if let Some((over, count)) = rejections.ahead(&self.max_timestamp) {
            self.outcome.dry_run.add(over, count, series.labels());
        }
    }

    /// Keeps the series of the entry at `position` for its exemplars. Positions increase.
    pub(crate) fn keep_for_exemplars(&mut self, position: usize, series: SeriesHandle) {
        self.exemplar_series.push((position, series));
    }

    /// Returns the series of the entry at `position`, if it was kept.
    pub(crate) fn kept_series(&self, position: usize) -> Option<SeriesHandle> {
        let kept = &self.exemplar_series;
        let found = kept.binary_search_by_key(&position, |(position, _)| *position).ok()?;
        Some(kept[found].1.clone())
    }

    /// Rejects all `items` of a series.
    pub(crate) fn reject_all(&mut self, series: &impl RequestSeries, items: RejectedItems<'_>) {
        self.outcome.rejections.add_all(items, series.labels());
    }
}
