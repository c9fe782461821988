//! Problems of a body in the protobuf format.

use crate::exposition::classic_histogram::ConversionError;
use crate::model::histogram::validate::InvalidHistogram;

/// Problem of a body in the protobuf format, without its place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProtobufProblem {
    /// The length before a family is not a varint of at most five bytes.
    #[error("invalid length of a metric family")]
    FamilyLength,
    /// The body ends within a family.
    #[error("truncated metric family: expected at least {expected} bytes, got {remaining} bytes")]
    TruncatedFamily {
        /// Number of bytes of the family and of its length.
        expected: u64,
        /// Number of bytes up to the end of the body.
        remaining: usize,
    },
    /// A varint is truncated or longer than ten bytes.
    #[error("truncated or overlong varint")]
    Varint,
    /// A value is longer than its message.
    #[error("value exceeds its message")]
    Truncated,
    /// A field number is not positive.
    #[error("invalid field number")]
    FieldNumber,
    /// A wire type is unknown, or a group ends that did not start.
    #[error("invalid wire type")]
    WireType,
    /// A known field has another wire type than its type demands.
    #[error("wrong wire type of field {field}")]
    WrongType {
        /// Number of the field.
        field: i32,
    },
    /// A family has no name, or one that is not UTF-8.
    #[error("invalid metric name {name:?}")]
    MetricName {
        /// Name in the body, shortened.
        name: String,
    },
    /// A family has an unknown type.
    #[error("unknown metric type {number}")]
    MetricType {
        /// Number of the type.
        number: i32,
    },
    /// The help text of a family is not UTF-8.
    #[error("help text is not valid UTF-8")]
    Help,
    /// The unit of a family is not UTF-8.
    #[error("unit is not valid UTF-8")]
    Unit,
    /// A label has no name, or one that is not UTF-8.
    #[error("invalid label name {name:?}")]
    LabelName {
        /// Name in the body, shortened.
        name: String,
    },
    /// A label value is not UTF-8.
    #[error("invalid label value {value:?}")]
    LabelValue {
        /// Value in the body, shortened.
        value: String,
    },
    /// A repeated field of a metric has too many values.
    #[error("metric has more than {limit} {items}")]
    TooMany {
        /// Name of the repeated values.
        items: &'static str,
        /// Highest allowed number.
        limit: usize,
    },
    /// The spans of a native histogram do not match its buckets.
    #[error("invalid native histogram: {0}")]
    Histogram(#[from] InvalidHistogram),
    /// A classic histogram cannot be converted to one with custom buckets.
    #[error("cannot convert classic histogram: {0}")]
    Conversion(#[from] ConversionError),
}
