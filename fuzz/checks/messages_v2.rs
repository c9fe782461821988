//! Complete `io.prometheus.write.v2.Request`, declared by hand for prost, like [`super::messages`]
//! for 1.0.

use super::messages;
use super::messages::{BucketSpan, Count, ZeroCount};
use prost::Message;

/// Message `io.prometheus.write.v2.Request` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    /// Symbol table, referenced by index.
    #[prost(string, repeated, tag = "4")]
    pub(crate) symbols: Vec<String>,
    /// Series in the order of the message.
    #[prost(message, repeated, tag = "5")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

/// Message `io.prometheus.write.v2.TimeSeries` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    /// Symbol references of label names and values, alternating.
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    /// Float samples in the order of the message.
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    /// Native histograms in the order of the message.
    #[prost(message, repeated, tag = "3")]
    pub(crate) histograms: Vec<Histogram>,
    /// Exemplars in the order of the message.
    #[prost(message, repeated, tag = "4")]
    pub(crate) exemplars: Vec<Exemplar>,
    /// Type, unit and help of the metric.
    #[prost(message, optional, tag = "5")]
    pub(crate) metadata: Option<Metadata>,
}

/// Message `io.prometheus.write.v2.Sample` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    /// Bits of the value: `fixed64` has the wire format of `double`.
    #[prost(fixed64, tag = "1")]
    pub(crate) bits: u64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "3")]
    pub(crate) start_timestamp: i64,
}

/// Message `io.prometheus.write.v2.Exemplar` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    /// Symbol references of label names and values, alternating.
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    /// Bits of the value, as above.
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "3")]
    pub(crate) timestamp: i64,
}

/// Message `io.prometheus.write.v2.Metadata` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metadata {
    /// Number of the enum value.
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    /// Symbol reference of the help text.
    #[prost(uint32, tag = "3")]
    pub(crate) help_ref: u32,
    /// Symbol reference of the unit.
    #[prost(uint32, tag = "4")]
    pub(crate) unit_ref: u32,
}

/// Message `Histogram`: fields of 1.0 and a start timestamp.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(oneof = "Count", tags = "1, 2")]
    pub(crate) count: Option<Count>,
    #[prost(double, tag = "3")]
    pub(crate) sum: f64,
    #[prost(sint32, tag = "4")]
    pub(crate) schema: i32,
    #[prost(double, tag = "5")]
    pub(crate) zero_threshold: f64,
    #[prost(oneof = "ZeroCount", tags = "6, 7")]
    pub(crate) zero_count: Option<ZeroCount>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) negative_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "9")]
    pub(crate) negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "10")]
    pub(crate) negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub(crate) positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    pub(crate) positive_counts: Vec<f64>,
    /// Number of the enum value.
    #[prost(int32, tag = "14")]
    pub(crate) reset_hint: i32,
    #[prost(int64, tag = "15")]
    pub(crate) timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    pub(crate) custom_values: Vec<f64>,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "17")]
    pub(crate) start_timestamp: i64,
}

impl Histogram {
    /// Converts to 1.0, without the start timestamp.
    pub(crate) fn into_v1(self) -> messages::Histogram {
        messages::Histogram {
            count: self.count,
            sum: self.sum,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            negative_spans: self.negative_spans,
            negative_deltas: self.negative_deltas,
            negative_counts: self.negative_counts,
            positive_spans: self.positive_spans,
            positive_deltas: self.positive_deltas,
            positive_counts: self.positive_counts,
            reset_hint: self.reset_hint,
            timestamp: self.timestamp,
            custom_values: self.custom_values,
        }
    }
}
