//! Handle to the series of an append: its metadata and exemplars need no second look-up.
//!
//! A handle does not keep the series in the head. A series that has no chunk and no sample of an
//! in-flight batch may be collected; an append to its handle then does nothing.

use crate::model::labels::Labels;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::store::SeriesLimitReached;
use std::sync::Arc;

/// Series that an append found or created. It costs no allocation.
#[derive(Clone, Debug)]
pub struct SeriesHandle {
    series: Arc<HeadSeries>,
    over_limit: Option<SeriesLimitReached>,
}

impl SeriesHandle {
    pub(super) fn new(series: Arc<HeadSeries>) -> Self {
        Self { series, over_limit: None }
    }

    /// Adds the limit in a dry run that the series exceeded when the append created it.
    pub(super) fn with_over_limit(self, over_limit: Option<SeriesLimitReached>) -> Self {
        Self { over_limit, ..self }
    }

    /// Returns the limit in a dry run that the series exceeded when this append created it.
    #[must_use]
    pub fn over_limit(&self) -> Option<SeriesLimitReached> {
        self.over_limit
    }

    /// Labels of the series.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.series.labels
    }

    pub(super) fn series(&self) -> &HeadSeries {
        &self.series
    }
}
