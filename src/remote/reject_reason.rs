//! Why something of a request is not stored, and what it is.

use crate::tsdb::head::append::SampleRejection;
use std::fmt;

/// What a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ItemKind {
    /// A float sample.
    Sample,
    /// A native histogram.
    Histogram,
    /// An exemplar.
    Exemplar,
    /// What is said of a metric family.
    Metadata,
}

impl ItemKind {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Sample, Self::Histogram, Self::Exemplar, Self::Metadata];
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sample => "sample",
            Self::Histogram => "histogram",
            Self::Exemplar => "exemplar",
            Self::Metadata => "metadata",
        })
    }
}

/// Why something was not stored, and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectReason {
    /// Older than the newest sample of its series.
    OutOfOrder,
    /// Older than anything that is still taken.
    OutOfBounds,
    /// Older than the out-of-order window.
    TooOld,
    /// Another value is stored at that time.
    DuplicateTimestamp,
    /// Too far ahead of the clock.
    TooFarAhead,
    /// Too near to an end of the times of 64 bits.
    OutOfRange,
    /// The labels don't name a series, or are over a limit.
    BadLabels,
    /// The series would be one too many.
    SeriesLimit,
    /// A native histogram that is none.
    InvalidHistogram,
    /// An exemplar of a series that is not there.
    UnknownSeries,
    /// What is said of a metric family: too long, or of too many.
    Metadata,
    /// A series with nothing to store.
    NoSamples,
}

impl RejectReason {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 12] = [
        Self::OutOfOrder,
        Self::OutOfBounds,
        Self::TooOld,
        Self::DuplicateTimestamp,
        Self::TooFarAhead,
        Self::OutOfRange,
        Self::BadLabels,
        Self::SeriesLimit,
        Self::InvalidHistogram,
        Self::UnknownSeries,
        Self::Metadata,
        Self::NoSamples,
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::OutOfBounds => "out_of_bounds",
            Self::TooOld => "too_old",
            Self::DuplicateTimestamp => "duplicate_timestamp",
            Self::TooFarAhead => "too_far_in_future",
            Self::OutOfRange => "timestamp_out_of_range",
            Self::BadLabels => "invalid_labels",
            Self::SeriesLimit => "series_limit",
            Self::InvalidHistogram => "invalid_histogram",
            Self::UnknownSeries => "unknown_series",
            Self::Metadata => "metadata",
            Self::NoSamples => "no_samples",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfOrder => "out of order",
            Self::OutOfBounds => "out of bounds",
            Self::TooOld => "too old",
            Self::DuplicateTimestamp => "duplicate timestamp with another value",
            Self::TooFarAhead => "too far in the future",
            Self::OutOfRange => "timestamp out of range",
            Self::BadLabels => "invalid labels",
            Self::SeriesLimit => "over the limit of active series",
            Self::InvalidHistogram => "invalid histogram",
            Self::UnknownSeries => "of a series without samples",
            Self::Metadata => "entries of metadata",
            Self::NoSamples => "series without a sample, histogram or exemplar",
        })
    }
}

impl From<SampleRejection> for RejectReason {
    fn from(rejection: SampleRejection) -> Self {
        match rejection {
            SampleRejection::DuplicateTimestamp => Self::DuplicateTimestamp,
            SampleRejection::OutOfOrder => Self::OutOfOrder,
            SampleRejection::OutOfBounds => Self::OutOfBounds,
            SampleRejection::TooOld => Self::TooOld,
            SampleRejection::OutOfRange => Self::OutOfRange,
        }
    }
}
