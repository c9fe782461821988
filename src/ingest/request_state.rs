//! State of a request that is being stored.

use crate::ingest::limits::IngestLimits;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::rejections::RejectedItems;
use crate::ingest::request_series::RequestSeries;
use crate::tsdb::db::SeriesHandle;
use crate::tsdb::db::appender::Appender;

/// Appender, limits and outcome of one request.
pub(crate) struct RequestState<'a> {
    pub(crate) appender: Appender<'a>,
    pub(crate) limits: &'a IngestLimits,
    /// Latest accepted timestamp, ms.
    pub(crate) max_timestamp: i64,
    pub(crate) outcome: WriteOutcome,
    /// Series of the entries that have both samples and exemplars, by position in the request.
    exemplar_series: Vec<(usize, SeriesHandle)>,
}

impl<'a> RequestState<'a> {
    /// Starts a request that arrived at `now_ms`, ms since the Unix epoch.
    pub(crate) fn new(appender: Appender<'a>, limits: &'a IngestLimits, now_ms: i64) -> Self {
        let max_timestamp = now_ms.saturating_add(limits.max_future_ms);
        let outcome = WriteOutcome::default();
        Self { appender, limits, max_timestamp, outcome, exemplar_series: Vec::new() }
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
