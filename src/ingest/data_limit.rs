//! Limits of data that have a dry run.
//!
//! A limit in a dry run stores the data that it would reject, and the outcome of the request has
//! the counts. A bound remains for each limit of items and requests: it keeps the data storable,
//! other senders unaffected, and the index of a request no larger than the largest request. The
//! plain fields of [`crate::ingest::limits::IngestLimits`] have the bounds of items. The number of
//! series in the head has no bound in a dry run.
//!
//! A check that costs something is made where the limit itself is checked. So a known series pays
//! for none of them.

use std::fmt;

/// Limit of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DataLimit {
    /// Time by which a sample is ahead of the server clock.
    MaxFuture,
    /// Number of labels.
    Labels,
    /// Size of a label name.
    LabelNameSize,
    /// Size of a label value, and of the name of a metric family.
    LabelValueSize,
    /// Size of unit and help text.
    MetadataSize,
    /// Number of series in a request.
    RequestSeries,
    /// Number of samples, histograms and exemplars in a request.
    RequestSamples,
    /// Number of series in the head.
    ActiveSeries,
}

impl DataLimit {
    /// All values, in the order of counting.
    pub const ALL: [Self; 8] = [
        Self::MaxFuture,
        Self::Labels,
        Self::LabelNameSize,
        Self::LabelValueSize,
        Self::MetadataSize,
        Self::RequestSeries,
        Self::RequestSamples,
        Self::ActiveSeries,
    ];

    /// Returns the name of the flag, which is also the value of the label `limit`.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::MaxFuture => "storage.remote.write-max-future",
            Self::Labels => "storage.remote.write-max-labels",
            Self::LabelNameSize => "storage.remote.write-max-label-name-size",
            Self::LabelValueSize => "storage.remote.write-max-label-value-size",
            Self::MetadataSize => "storage.remote.write-max-metadata-size",
            Self::RequestSeries => "storage.remote.write-max-series",
            Self::RequestSamples => "storage.remote.write-max-samples",
            Self::ActiveSeries => "storage.tsdb.max-active-series",
        }
    }

    /// Returns the value of the label `reason` of data over the limit.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::MaxFuture => "too_far_in_future",
            Self::Labels | Self::LabelNameSize | Self::LabelValueSize => "invalid_labels",
            Self::MetadataSize => "metadata",
            Self::RequestSeries | Self::RequestSamples => "too_large",
            Self::ActiveSeries => "series_limit",
        }
    }
}

// Counters are indexed by the discriminant, so `ALL` must be complete and in order.
const _: () = {
    let all = DataLimit::ALL;
    assert!(DataLimit::ActiveSeries as usize + 1 == all.len(), "ALL ends with the last limit");
    let mut index = 0;
    while index < all.len() {
        assert!(all[index] as usize == index, "ALL has the order of the enum");
        index += 1;
    }
};

/// Value over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// The limit that is exceeded.
    pub limit: DataLimit,
    /// Count, bytes or milliseconds.
    pub value: u64,
    /// Maximum value.
    pub max: u64,
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, value, max } = self;
        match limit {
            DataLimit::MaxFuture => write!(f, "{value} ms ahead, the limit is {max}"),
            DataLimit::Labels => write!(f, "{value} labels, the limit is {max}"),
            DataLimit::LabelNameSize => {
                write!(f, "label name of {value} bytes, the limit is {max}")
            }
            DataLimit::LabelValueSize => {
                write!(f, "label value of {value} bytes, the limit is {max}")
            }
            DataLimit::MetadataSize => {
                write!(f, "unit and help text of {value} bytes, the limit is {max}")
            }
            DataLimit::RequestSeries => write!(f, "request of {value} series, the limit is {max}"),
            DataLimit::RequestSamples => {
                write!(f, "request of {value} samples, the limit is {max}")
            }
            DataLimit::ActiveSeries => write!(f, "the limit of {max} active series is reached"),
        }
    }
}
