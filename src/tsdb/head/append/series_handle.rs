//! Handle to the series of an append: its metadata, exemplars and later samples need no second
//! look-up.
//!
//! A handle does not keep the series in the head, and may be kept for any time. A series that has
//! no chunk and no sample of an in-flight batch may be collected; an append to its handle then says
//! so ([`SeriesGone`]) or does nothing. The handle keeps labels and state of a collected series in
//! memory, so it should be dropped then.

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::store::SeriesLimitReached;
use std::sync::Arc;

/// Series that an append found or created. It costs no allocation.
#[derive(Clone, Debug)]
pub struct SeriesHandle {
    series: Arc<HeadSeries>,
}

/// Error of an append to a series that is no longer in the head. Its labels find or create the
/// series that has taken its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the series is no longer in the head")]
pub struct SeriesGone;

/// Series of an append that may have created it.
#[derive(Clone, Debug)]
pub struct AppendedSeries {
    /// The series.
    pub handle: SeriesHandle,
    /// Limit in a dry run that the series exceeded when this append created it.
    pub over_limit: Option<SeriesLimitReached>,
}

impl SeriesHandle {
    pub(super) fn new(series: Arc<HeadSeries>) -> Self {
        Self { series }
    }

    /// Labels of the series.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.series.labels
    }

    /// Reference of the series, which no other series ever has.
    #[must_use]
    pub fn series_ref(&self) -> SeriesRef {
        self.series.series_ref
    }

    /// Prefetches the state of the series, for an append about 16 series later.
    #[inline]
    pub fn prefetch_state(&self) {
        self.series.prefetch_state();
    }

    /// Prefetches the end of the open chunk, for an append about 8 series later. The state should
    /// have been prefetched before.
    #[inline]
    pub fn prefetch_open_chunk(&self) {
        self.series.prefetch_open_chunk();
    }

    pub(super) fn arc(&self) -> &Arc<HeadSeries> {
        &self.series
    }
}
