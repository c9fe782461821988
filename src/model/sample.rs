//! What a series can have at one time: a float or a native histogram, and when its count began.

use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
use crate::model::histogram::validate::InvalidHistogram;
use crate::model::histogram::{FloatHistogram, Histogram};

/// A value of a series.
#[derive(Clone, Debug)]
pub enum SampleValue {
    /// A float; its bits count.
    Float(f64),
    /// A native histogram whose counts are whole numbers.
    Histogram(Box<Histogram>),
    /// A native histogram whose counts are floats.
    FloatHistogram(Box<FloatHistogram>),
}

/// Which variant of [`SampleValue`] a value is. A chunk holds values of one kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// [`SampleValue::Float`].
    Float,
    /// [`SampleValue::Histogram`].
    Histogram,
    /// [`SampleValue::FloatHistogram`].
    FloatHistogram,
}

/// A value at a time: what is appended, stored and read.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When the count began that the value is of, in milliseconds since the Unix epoch; 0 where that is not known.
    pub start_timestamp: i64,
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// The value.
    pub value: SampleValue,
}

impl SampleValue {
    /// Its kind.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> ValueType {
        match self {
            Self::Float(_) => ValueType::Float,
            Self::Histogram(_) => ValueType::Histogram,
            Self::FloatHistogram(_) => ValueType::FloatHistogram,
        }
    }

    /// Whether this is the marker of a series' end. A histogram is one by its sum.
    #[inline]
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let bits = match self {
            Self::Float(v) => v.to_bits(),
            Self::Histogram(histogram) => histogram.sum.to_bits(),
            Self::FloatHistogram(histogram) => histogram.sum.to_bits(),
        };
        bits == STALE_NAN_BITS
    }

    /// Whether both say the same, however their buckets are laid out: what is stored of a value is the same as the value.
    /// Floats are by their bits; stale markers of one kind are.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        if self.is_stale() && other.is_stale() {
            return self.kind() == other.kind();
        }
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a.is_equivalent(b),
            (Self::FloatHistogram(a), Self::FloatHistogram(b)) => a.is_equivalent(b),
            _ => false,
        }
    }

    /// Makes it one that can be stored, as Prometheus does with what it takes in: histograms of a resolution over the
    /// highest that is stored are merged to that. Floats are taken as they are.
    ///
    /// # Errors
    /// A histogram that cannot be stored, and why.
    pub fn normalize_for_storage(&mut self) -> Result<(), InvalidHistogram> {
        match self {
            Self::Float(_) => Ok(()),
            Self::Histogram(histogram) => {
                histogram.limit_resolution()?;
                histogram.validate()
            }
            Self::FloatHistogram(histogram) => {
                histogram.limit_resolution()?;
                histogram.validate()
            }
        }
    }
}

impl Sample {
    /// A point of which no start is known.
    #[inline]
    #[must_use]
    pub fn new(t: i64, value: SampleValue) -> Self {
        Self { start_timestamp: 0, t, value }
    }
}

impl From<FloatSample> for Sample {
    #[inline]
    fn from(sample: FloatSample) -> Self {
        Self::new(sample.t, SampleValue::Float(sample.v))
    }
}
