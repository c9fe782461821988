//! Messages of remote write 1.0 and remote read, declared by hand as an independent reference.
//!
//! Values are declared as `fixed64`, which has the wire format of `double`: the bits never pass
//! through a float, and `Some` is always encoded, even -0.

use prost::Message;

/// Message `prometheus.WriteRequest`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    /// Series and their new samples.
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
    /// Metadata of metric families.
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata: Vec<MetricMetadata>,
}

/// Message `prometheus.MetricMetadata`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricMetadata {
    /// 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, 6 info, 7 state
    /// set.
    #[prost(int32, tag = "1")]
    pub(crate) metric_type: i32,
    #[prost(string, tag = "2")]
    pub(crate) family: String,
    #[prost(string, tag = "4")]
    pub(crate) help: String,
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

/// Message `prometheus.TimeSeries`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    /// Sorted by name in valid requests.
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    /// Sorted by timestamp in valid requests.
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    /// Sorted by timestamp in valid requests.
    #[prost(message, repeated, tag = "3")]
    pub(crate) exemplars: Vec<Exemplar>,
    /// Sorted by timestamp in valid requests.
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

/// Message `prometheus.Exemplar`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    /// Bits of the value; absent means 0.
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) bits: Option<u64>,
    #[prost(int64, tag = "3")]
    pub(crate) timestamp: i64,
}

/// Message `prometheus.Histogram`. Doubles are declared as bits. One of the two types of each count
/// is set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) count_int: Option<u64>,
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) count_float: Option<u64>,
    /// The sum of all observations.
    #[prost(fixed64, tag = "3")]
    pub(crate) sum: u64,
    /// Bucket schema, -53 = custom buckets.
    #[prost(sint32, tag = "4")]
    pub(crate) schema: i32,
    /// Zero threshold, as bits.
    #[prost(fixed64, tag = "5")]
    pub(crate) zero_threshold: u64,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) zero_count_int: Option<u64>,
    #[prost(fixed64, optional, tag = "7")]
    pub(crate) zero_count_float: Option<u64>,
    /// Spans of the negative buckets.
    #[prost(message, repeated, tag = "8")]
    pub(crate) negative_spans: Vec<BucketSpan>,
    /// Deltas of integer histograms.
    #[prost(sint64, repeated, tag = "9")]
    pub(crate) negative_deltas: Vec<i64>,
    /// Counts of float histograms, as bits.
    #[prost(fixed64, repeated, tag = "10")]
    pub(crate) negative_counts: Vec<u64>,
    /// Spans of the positive buckets.
    #[prost(message, repeated, tag = "11")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    /// Deltas of integer histograms.
    #[prost(sint64, repeated, tag = "12")]
    pub(crate) positive_deltas: Vec<i64>,
    /// Counts of float histograms, as bits.
    #[prost(fixed64, repeated, tag = "13")]
    pub(crate) positive_counts: Vec<u64>,
    /// 0 unknown, 1 yes, 2 no, 3 gauge.
    #[prost(int32, tag = "14")]
    pub(crate) reset_hint: i32,
    #[prost(int64, tag = "15")]
    pub(crate) timestamp: i64,
    /// Upper bounds of custom buckets.
    #[prost(fixed64, repeated, tag = "16")]
    pub(crate) custom_values: Vec<u64>,
}

/// Message `prometheus.BucketSpan`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BucketSpan {
    /// Gap to the previous span; for the first span its index.
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}

/// Message `prometheus.Label`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// Message `prometheus.Sample`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    /// Bits of the value; absent means 0.
    #[prost(fixed64, optional, tag = "1")]
    pub(crate) bits: Option<u64>,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

/// Message `prometheus.ReadRequest`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadRequest {
    /// Queries, with one result each.
    #[prost(message, repeated, tag = "1")]
    pub(crate) queries: Vec<Query>,
    /// 0 is SAMPLES, 1 is STREAMED_XOR_CHUNKS; by preference.
    #[prost(int32, repeated, tag = "2")]
    pub(crate) accepted_response_types: Vec<i32>,
}

/// Message `prometheus.Query`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Query {
    #[prost(int64, tag = "1")]
    pub(crate) start: i64,
    #[prost(int64, tag = "2")]
    pub(crate) end: i64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) matchers: Vec<Matcher>,
    /// Hints about the use of the response.
    #[prost(message, optional, tag = "4")]
    pub(crate) hints: Option<ReadHints>,
}

/// Message `prometheus.LabelMatcher`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Matcher {
    /// 0 is `=`, 1 is `!=`, 2 is `=~`, 3 is `!~`.
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    /// The value or pattern.
    #[prost(string, tag = "3")]
    pub(crate) value: String,
}

/// Message `prometheus.ReadHints`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadHints {
    #[prost(int64, tag = "1")]
    pub(crate) step: i64,
    /// Function around the selector.
    #[prost(string, tag = "2")]
    pub(crate) function: String,
    /// Start of the range, ms.
    #[prost(int64, tag = "3")]
    pub(crate) start: i64,
    /// End of the range, ms.
    #[prost(int64, tag = "4")]
    pub(crate) end: i64,
}

/// Message `prometheus.ReadResponse`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadResponse {
    /// Results in the order of the queries.
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<QueryResult>,
}

/// Message `prometheus.QueryResult`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueryResult {
    /// Sorted by their labels.
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

impl Matcher {
    /// `name=value`.
    pub(crate) fn equal(name: &str, value: &str) -> Matcher {
        Matcher { kind: 0, name: name.to_owned(), value: value.to_owned() }
    }

    /// `name=~pattern`.
    pub(crate) fn regex(name: &str, pattern: &str) -> Matcher {
        Matcher { kind: 2, name: name.to_owned(), value: pattern.to_owned() }
    }
}

impl TimeSeries {
    /// A series with its samples, the labels in the order given.
    pub(crate) fn new(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
        TimeSeries {
            labels: labels
                .iter()
                .map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() })
                .collect(),
            samples: samples
                .iter()
                .map(|&(t, v)| Sample { bits: Some(v.to_bits()), timestamp: t })
                .collect(),
            ..TimeSeries::default()
        }
    }
}

impl WriteRequest {
    /// A request with one series.
    pub(crate) fn one(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> WriteRequest {
        WriteRequest {
            timeseries: vec![TimeSeries::new(labels, samples)],
            ..WriteRequest::default()
        }
    }

    /// The body of a request: snappy's block format.
    pub(crate) fn body(&self) -> Vec<u8> {
        snappy(&self.encode_to_vec())
    }
}

/// Bytes in snappy's block format.
pub(crate) fn snappy(raw: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(raw).expect("snappy takes any bytes")
}
