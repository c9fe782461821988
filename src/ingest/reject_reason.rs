//! Reasons for the rejection of items of a request.

use crate::tsdb::db::SampleRejection;
use std::fmt;

/// Kind of an item in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ItemKind {
    /// A float sample of a series.
    Sample,
    /// A native histogram of a series.
    Histogram,
    /// An exemplar of a series.
    Exemplar,
    /// Metadata of a series or metric family.
    Metadata,
}

impl ItemKind {
    /// All values, in the order of counting.
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

/// Reason for a permanent rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectReason {
    /// Older than the newest sample of its series.
    OutOfOrder,
    /// Older than the head accepts.
    OutOfBounds,
    /// Older than the out-of-order window.
    TooOld,
    /// The series has another value at that timestamp.
    DuplicateTimestamp,
    /// Too far ahead of the server clock.
    TooFarAhead,
    /// Too near to an end of the 64-bit timestamp range.
    OutOfRange,
    /// The labels do not name a series, or exceed a limit.
    BadLabels,
    /// The limit of active series is reached.
    SeriesLimit,
    /// A native histogram that is not valid.
    InvalidHistogram,
    /// An exemplar of an unknown series.
    UnknownSeries,
    /// Metadata over the size limit, without a name, or of too many families.
    Metadata,
    /// A series without samples, histograms and exemplars.
    NoSamples,
}

impl RejectReason {
    /// All values, in the order of counting.
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

    /// Returns the value of the label `reason`.
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

// Counters are indexed by the discriminant, so `ALL` must be complete and in order.
const _: () = {
    let all = RejectReason::ALL;
    assert!(RejectReason::NoSamples as usize + 1 == all.len(), "ALL ends with the last reason");
    let mut index = 0;
    while index < all.len() {
        assert!(all[index] as usize == index, "ALL has the order of the enum");
        index += 1;
    }
};

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
            Self::Metadata => "metadata entries",
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
