//! The messages of remote write 1.0 and remote read, written by hand as an oracle of their own.
//!
//! A sample's value is declared as `fixed64`, which has the wire form of `double`: so its bits never pass through a float,
//! and `Some` is always sent, -0 and all.

use prost::Message;

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    /// The series with their new samples.
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
    /// What is known of metric families.
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata: Vec<MetricMetadata>,
}

/// `prometheus.MetricMetadata`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricMetadata {
    /// 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, 6 info, 7 state set.
    #[prost(int32, tag = "1")]
    pub(crate) metric_type: i32,
    /// The family.
    #[prost(string, tag = "2")]
    pub(crate) family: String,
    /// The help text.
    #[prost(string, tag = "4")]
    pub(crate) help: String,
    /// The unit.
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    /// Sorted by name where the sender keeps to the rules.
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    /// In the order of time where the sender keeps to the rules.
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    /// In the order of time where the sender keeps to the rules.
    #[prost(message, repeated, tag = "3")]
    pub(crate) exemplars: Vec<Exemplar>,
    /// In the order of time where the sender keeps to the rules.
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

/// `prometheus.Exemplar`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    /// Its own labels.
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    /// The 64 bits of the value; absent means 0.
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) bits: Option<u64>,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "3")]
    pub(crate) timestamp: i64,
}

/// `prometheus.Histogram`. Doubles are declared by their bits; of the two forms of a count the one that is sent is there.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    /// Of integer histograms.
    #[prost(uint64, optional, tag = "1")]
    pub(crate) count_int: Option<u64>,
    /// Of float histograms.
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) count_float: Option<u64>,
    /// The sum of all observations.
    #[prost(fixed64, tag = "3")]
    pub(crate) sum: u64,
    /// The resolution, -53 for custom buckets.
    #[prost(sint32, tag = "4")]
    pub(crate) schema: i32,
    /// Half the width of the zero bucket.
    #[prost(fixed64, tag = "5")]
    pub(crate) zero_threshold: u64,
    /// Of integer histograms.
    #[prost(uint64, optional, tag = "6")]
    pub(crate) zero_count_int: Option<u64>,
    /// Of float histograms.
    #[prost(fixed64, optional, tag = "7")]
    pub(crate) zero_count_float: Option<u64>,
    /// Which negative buckets there are.
    #[prost(message, repeated, tag = "8")]
    pub(crate) negative_spans: Vec<BucketSpan>,
    /// Differences, of integer histograms.
    #[prost(sint64, repeated, tag = "9")]
    pub(crate) negative_deltas: Vec<i64>,
    /// Counts, of float histograms.
    #[prost(fixed64, repeated, tag = "10")]
    pub(crate) negative_counts: Vec<u64>,
    /// Which positive buckets there are.
    #[prost(message, repeated, tag = "11")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    /// Differences, of integer histograms.
    #[prost(sint64, repeated, tag = "12")]
    pub(crate) positive_deltas: Vec<i64>,
    /// Counts, of float histograms.
    #[prost(fixed64, repeated, tag = "13")]
    pub(crate) positive_counts: Vec<u64>,
    /// 0 unknown, 1 yes, 2 no, 3 gauge.
    #[prost(int32, tag = "14")]
    pub(crate) reset_hint: i32,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "15")]
    pub(crate) timestamp: i64,
    /// Upper bounds of custom buckets.
    #[prost(fixed64, repeated, tag = "16")]
    pub(crate) custom_values: Vec<u64>,
}

/// `prometheus.BucketSpan`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BucketSpan {
    /// The gap before it, or the first index.
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    /// How many buckets follow.
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    /// The name.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// `prometheus.Sample`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    /// The 64 bits of the value; absent means 0.
    #[prost(fixed64, optional, tag = "1")]
    pub(crate) bits: Option<u64>,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

/// `prometheus.ReadRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadRequest {
    /// Answered one by one.
    #[prost(message, repeated, tag = "1")]
    pub(crate) queries: Vec<Query>,
    /// 0 is SAMPLES, 1 is STREAMED_XOR_CHUNKS; by preference.
    #[prost(int32, repeated, tag = "2")]
    pub(crate) accepted_response_types: Vec<i32>,
}

/// `prometheus.Query`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Query {
    /// Inclusive, in milliseconds.
    #[prost(int64, tag = "1")]
    pub(crate) start: i64,
    /// Inclusive, in milliseconds.
    #[prost(int64, tag = "2")]
    pub(crate) end: i64,
    /// All must hold.
    #[prost(message, repeated, tag = "3")]
    pub(crate) matchers: Vec<Matcher>,
    /// What the reader is about to do with the answer.
    #[prost(message, optional, tag = "4")]
    pub(crate) hints: Option<ReadHints>,
}

/// `prometheus.LabelMatcher`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Matcher {
    /// 0 is `=`, 1 is `!=`, 2 is `=~`, 3 is `!~`.
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    /// The label's name.
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    /// The value or pattern.
    #[prost(string, tag = "3")]
    pub(crate) value: String,
}

/// `prometheus.ReadHints`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadHints {
    /// Milliseconds between evaluations.
    #[prost(int64, tag = "1")]
    pub(crate) step: i64,
    /// The function around the selector.
    #[prost(string, tag = "2")]
    pub(crate) function: String,
    /// Start of the range, in milliseconds.
    #[prost(int64, tag = "3")]
    pub(crate) start: i64,
    /// End of the range, in milliseconds.
    #[prost(int64, tag = "4")]
    pub(crate) end: i64,
}

/// `prometheus.ReadResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadResponse {
    /// One for each query.
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<QueryResult>,
}

/// `prometheus.QueryResult`.
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
