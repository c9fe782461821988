//! Samples of any value type: a float or a native histogram at a timestamp.

use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
use crate::model::histogram::validate::InvalidHistogram;
use crate::model::histogram::{FloatHistogram, Histogram, equivalence, reduce};

/// Value of a sample.
#[derive(Clone, Debug)]
pub enum SampleValue {
    /// Float; all bits are significant.
    Float(f64),
    /// Native histogram with integer counts.
    Histogram(Box<Histogram>),
    /// Native histogram with float counts.
    FloatHistogram(Box<FloatHistogram>),
}

/// Type of a [`SampleValue`]. All values of a chunk have the same type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Type of the variant [`SampleValue::Float`].
    Float,
    /// Type of the variant [`SampleValue::Histogram`].
    Histogram,
    /// Type of the variant [`SampleValue::FloatHistogram`].
    FloatHistogram,
}

/// Value of a series at a timestamp.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Start timestamp of the counter or histogram, ms since the Unix epoch; 0 = unknown.
    pub start_timestamp: i64,
    /// Timestamp, ms since the Unix epoch.
    pub t: i64,
    /// Float or histogram at `t`.
    pub value: SampleValue,
}

impl SampleValue {
    /// Returns the type of the value.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> ValueType {
        match self {
            Self::Float(_) => ValueType::Float,
            Self::Histogram(_) => ValueType::Histogram,
            Self::FloatHistogram(_) => ValueType::FloatHistogram,
        }
    }

    /// Returns `true` if the value is a stale marker. For a histogram, its sum decides.
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

    /// Returns `true` if both values are equal except for the layout of their buckets, which
    /// storage may change.
    ///
    /// Floats are compared by their bits. Stale markers of the same type are equal.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        if self.is_stale() && other.is_stale() {
            return self.kind() == other.kind();
        }
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => equivalence::are_equivalent(a, b),
            (Self::FloatHistogram(a), Self::FloatHistogram(b)) => {
                equivalence::are_equivalent_floats(a, b)
            }
            _ => false,
        }
    }

    /// Normalizes the value for storage, as Prometheus does: histograms with a schema above the
    /// highest stored one are reduced to that schema. Floats do not change.
    ///
    /// # Errors
    /// [`InvalidHistogram`] if the histogram cannot be stored.
    pub fn normalize_for_storage(&mut self) -> Result<(), InvalidHistogram> {
        match self {
            Self::Float(_) => Ok(()),
            Self::Histogram(histogram) => {
                reduce::limit_resolution(histogram)?;
                histogram.validate()
            }
            Self::FloatHistogram(histogram) => {
                reduce::limit_float_resolution(histogram)?;
                histogram.validate()
            }
        }
    }
}

impl Sample {
    /// Returns a sample with an unknown start timestamp.
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
