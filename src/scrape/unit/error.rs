//! Errors that fail a scrape: none of its samples are stored.

use crate::exposition::format::ContentTypeError;
use crate::exposition::parse_error::ParseError;
use crate::model::histogram::limits::HistogramLimitError;
use crate::model::histogram::validate::InvalidHistogram;
use crate::model::label_editor::EditLabelsError;
use crate::model::relabel::error::RelabelError;
use crate::scrape::cache::series::CacheFull;
use crate::scrape::request::fetch::FetchError;
use crate::scrape::unit::label_limits::OverLabelLimit;
use std::fmt;
use std::sync::Arc;

/// Maximum number of samples in a body.
pub const MAX_SAMPLES: u64 = 8_000_000;

/// Error that fails a scrape.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ScrapeError {
    /// The exchange with the target failed.
    #[error("{0}")]
    Fetch(Arc<FetchError>),
    /// The job has more targets than its `target_limit`.
    #[error("target_limit exceeded (number of targets: {targets}, limit: {limit})")]
    TargetLimit {
        /// Number of targets of the job.
        targets: usize,
        /// Limit of the job.
        limit: u64,
    },
    /// The Content-Type names no format.
    #[error("{0}")]
    ContentType(ContentTypeError),
    /// The body is malformed.
    #[error("{0}")]
    Parse(ParseError),
    /// The body has more samples than any scrape may have.
    #[error("body has more than {MAX_SAMPLES} samples")]
    TooManySamples,
    /// The raw bytes of all series are too long.
    #[error("{0}")]
    Cache(#[from] CacheFull),
    /// A series has no name after relabeling.
    #[error("missing metric name (__name__ label) in {0}")]
    NoMetricName(SeriesText),
    /// A name of a series is invalid under the validation scheme.
    #[error("invalid metric name or label names: {0}")]
    InvalidNames(SeriesText),
    /// The labels of a series form no label set.
    #[error("invalid labels: {0}")]
    Labels(#[from] EditLabelsError),
    /// Metric relabeling failed.
    #[error("cannot relabel series: {0}")]
    Relabel(#[from] RelabelError),
    /// A series exceeds a limit of labels.
    #[error("{0}")]
    LabelLimit(OverLabelLimit),
    /// More samples than `sample_limit` remain after relabeling.
    #[error("sample limit exceeded ({samples} samples after relabeling, sample_limit: {limit})")]
    SampleLimit {
        /// Number of samples after relabeling.
        samples: u64,
        /// Limit of the job.
        limit: u64,
    },
    /// A native histogram exceeds the bucket limit.
    #[error("histogram bucket limit exceeded: {error} in {series}")]
    BucketLimit {
        /// Histogram and limit.
        error: HistogramLimitError,
        /// First series over the limit.
        series: SeriesText,
    },
    /// A native histogram is invalid.
    #[error("invalid histogram: {error} in {series}")]
    Histogram {
        /// Problem of the histogram.
        error: InvalidHistogram,
        /// Series of the histogram.
        series: SeriesText,
    },
}

/// Labels of a series for an error, shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesText(String);

/// Maximum length of the labels in an error, bytes.
const MAX_TEXT: usize = 300;

impl SeriesText {
    /// Formats a series.
    pub(super) fn new(series: impl fmt::Display) -> Self {
        let mut text = series.to_string();
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push('…');
        }
        Self(text)
    }
}

impl fmt::Display for SeriesText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
