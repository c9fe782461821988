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
}

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

    pub(super) fn series(&self) -> &HeadSeries {
        &self.series
    }
}
