//! Native histograms as plain values: integer and float, with exponential or custom buckets.
//!
//! A histogram's buckets are a sparse list: *spans* say which bucket indices are present, the bucket lists hold one count
//! for each index of the spans, in order. Source: `model/histogram` of Prometheus.
//!
//! Invariant: none; these are values as they were read. Whoever takes them in validates them.

pub mod buckets;
pub mod equivalence;
pub mod reduce;
pub mod validate;

/// The schema of histograms with custom buckets.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// What is known about a counter reset between the histogram before and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CounterResetHint {
    /// Nothing is known.
    #[default]
    Unknown,
    /// There was a reset.
    Reset,
    /// There was none.
    NotReset,
    /// A gauge histogram, which knows no resets.
    Gauge,
}

impl CounterResetHint {
    /// The hint that Prometheus writes as `byte`, or `None` where there is no such hint.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Unknown, Self::Reset, Self::NotReset, Self::Gauge].get(usize::from(byte)).copied()
    }

    /// The byte that Prometheus writes for the hint.
    #[must_use]
    pub fn as_byte(self) -> u8 {
        self as u8
    }
}

/// A run of buckets that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// For the first span the index of its first bucket, for the others the gap to the end of the one before.
    pub offset: i32,
    /// How many buckets the run has.
    pub length: u32,
}

/// A histogram whose counts are whole numbers.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Histogram {
    /// What is known about a counter reset before it.
    pub reset_hint: CounterResetHint,
    /// The resolution: bucket bounds grow by 2^(2^-schema); [`CUSTOM_BUCKETS_SCHEMA`] for custom buckets.
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// The sum of all observations; the stale marker stands here too.
    pub sum: f64,
    /// The positive buckets that are present.
    pub positive_spans: Vec<Span>,
    /// The negative buckets that are present.
    pub negative_spans: Vec<Span>,
    /// The first count, then each one's difference to the one before.
    pub positive_buckets: Vec<i64>,
    /// As `positive_buckets`.
    pub negative_buckets: Vec<i64>,
    /// The upper bounds of custom buckets, the infinite one left out; empty for other schemas.
    pub custom_values: Vec<f64>,
}

/// A histogram whose counts are floats.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FloatHistogram {
    /// What is known about a counter reset before it.
    pub reset_hint: CounterResetHint,
    /// As [`Histogram::schema`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// The sum of all observations; the stale marker stands here too.
    pub sum: f64,
    /// The positive buckets that are present.
    pub positive_spans: Vec<Span>,
    /// The negative buckets that are present.
    pub negative_spans: Vec<Span>,
    /// One count (not a difference) for each bucket.
    pub positive_buckets: Vec<f64>,
    /// As `positive_buckets`.
    pub negative_buckets: Vec<f64>,
    /// As [`Histogram::custom_values`].
    pub custom_values: Vec<f64>,
}

/// Whether Prometheus 3 knows a schema: exponential ones from -9 to 52, of which those over 8 are read at a lower
/// resolution, and the one of custom buckets.
#[must_use]
pub fn is_known_schema(schema: i32) -> bool {
    (-9..=52).contains(&schema) || schema == CUSTOM_BUCKETS_SCHEMA
}
