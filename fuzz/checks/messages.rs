//! Complete `prometheus.WriteRequest`, declared by hand for prost: the reference for the in-place
//! decoder.
//!
//! The generated messages are not used, because they would share a mistake in `proto/`.

use prost::{Message, Oneof};

/// Message `prometheus.WriteRequest` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    /// Series with samples, in the order of the message.
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
    /// Metadata of metric families.
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata: Vec<MetricMetadata>,
}

/// Message `prometheus.TimeSeries` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    /// Label pairs in the order of the message.
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    /// Float samples in the order of the message.
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    /// Exemplars in the order of the message.
    #[prost(message, repeated, tag = "3")]
    pub(crate) exemplars: Vec<Exemplar>,
    /// Native histograms in the order of the message.
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

/// Message `prometheus.Label` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    /// Label name, possibly empty.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// Label value, possibly empty.
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// Message `prometheus.Sample` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    /// Bits of the value: `fixed64` has the wire format of `double`.
    #[prost(fixed64, tag = "1")]
    pub(crate) bits: u64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

/// Message `prometheus.Exemplar` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    /// Labels of the exemplar itself.
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    /// Bits of the value, as above.
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "3")]
    pub(crate) timestamp: i64,
}

/// Message `prometheus.MetricMetadata` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricMetadata {
    /// Number of the enum value.
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    /// Name of the metric family.
    #[prost(string, tag = "2")]
    pub(crate) metric_family_name: String,
    /// Help text of the family.
    #[prost(string, tag = "4")]
    pub(crate) help: String,
    /// Unit of the family.
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

/// Message `prometheus.Histogram` with all its fields.
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
}

/// Oneof `prometheus.Histogram.count` of the message.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Count {
    #[prost(uint64, tag = "1")]
    Int(u64),
    #[prost(double, tag = "2")]
    Float(f64),
}

/// Oneof `prometheus.Histogram.zero_count` of the message.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ZeroCount {
    #[prost(uint64, tag = "6")]
    Int(u64),
    #[prost(double, tag = "7")]
    Float(f64),
}

/// Message `prometheus.BucketSpan` with all its fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}
