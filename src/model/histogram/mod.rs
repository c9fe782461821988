//! Native histograms, integer and float, with exponential or custom buckets.
//!
//! The buckets are sparse: *spans* define the indices of the present buckets, and the bucket lists
//! hold one value per index, in order. The types hold unvalidated input; [`Histogram::validate`]
//! checks it. Source: `model/histogram` of Prometheus.
//!
//! | module | content |
//! |---|---|
//! | [`buckets`] | iteration over buckets with index and count |
//! | `compact` | removal of empty buckets |
//! | [`equivalence`] | equality independent of the bucket layout |
//! | `limits` | limits of resolution and number of buckets |
//! | [`reduce`] | reduction to a lower schema |
//! | [`validate`] | checks before storage |

pub mod buckets;
pub(crate) mod compact;
pub mod equivalence;
pub mod limits;
pub mod reduce;
pub mod validate;

/// Schema of histograms with custom buckets.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// Knowledge about a counter reset between the previous histogram and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CounterResetHint {
    /// It is unknown whether a reset occurred.
    #[default]
    Unknown,
    /// A reset occurred before this histogram.
    Reset,
    /// No reset occurred before this histogram.
    NotReset,
    /// This is a gauge histogram, for which resets have no meaning.
    Gauge,
}

impl CounterResetHint {
    /// Returns the hint of Prometheus's encoding `byte`, or `None` if the byte is invalid.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Unknown, Self::Reset, Self::NotReset, Self::Gauge].get(usize::from(byte)).copied()
    }

    /// Returns the byte of Prometheus's encoding.
    #[must_use]
    pub fn as_byte(self) -> u8 {
        self as u8
    }
}

/// Run of consecutive buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index of the first bucket for the first span, else the gap after the previous span.
    pub offset: i32,
    /// Number of buckets in the run.
    pub length: u32,
}

/// Native histogram with integer counts.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Histogram {
    /// Hint about a counter reset before this histogram.
    pub reset_hint: CounterResetHint,
    /// Resolution: bucket bounds grow by 2^(2^-schema). [`CUSTOM_BUCKETS_SCHEMA`] for custom
    /// buckets.
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Number of observations in the zero bucket.
    pub zero_count: u64,
    /// Number of all observations.
    pub count: u64,
    /// Sum of all observations. A stale marker is stored here.
    pub sum: f64,
    /// Indices of the present positive buckets.
    pub positive_spans: Vec<Span>,
    /// Indices of the present negative buckets.
    pub negative_spans: Vec<Span>,
    /// First count, then the difference of each count to the previous one.
    pub positive_buckets: Vec<i64>,
    /// Values of the negative buckets, encoded as in `positive_buckets`.
    pub negative_buckets: Vec<i64>,
    /// Upper bounds of custom buckets, without +Inf. Empty for other schemas.
    pub custom_values: Vec<f64>,
}

/// Native histogram with float counts.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FloatHistogram {
    /// Hint about a counter reset before this histogram.
    pub reset_hint: CounterResetHint,
    /// Resolution of the buckets, as [`Histogram::schema`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Number of observations in the zero bucket.
    pub zero_count: f64,
    /// Number of all observations.
    pub count: f64,
    /// Sum of all observations. A stale marker is stored here.
    pub sum: f64,
    /// Indices of the present positive buckets.
    pub positive_spans: Vec<Span>,
    /// Indices of the present negative buckets.
    pub negative_spans: Vec<Span>,
    /// Absolute count of each bucket.
    pub positive_buckets: Vec<f64>,
    /// Values of the negative buckets, encoded as in `positive_buckets`.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, as [`Histogram::custom_values`].
    pub custom_values: Vec<f64>,
}

/// Returns `true` for the schemas of Prometheus 3: custom buckets and -9 to 52. Schemas above 8 are
/// reduced when they are read.
#[must_use]
pub fn is_known_schema(schema: i32) -> bool {
    (-9..=52).contains(&schema) || schema == CUSTOM_BUCKETS_SCHEMA
}
