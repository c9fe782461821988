//! Samples of any value type: a float or a native histogram at a timestamp.

use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
use crate::model::histogram::limits::{HistogramLimitError, HistogramLimits};
use crate::model::histogram::validate::InvalidHistogram;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, equivalence, reduce};

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

impl SampleValue {
    /// Reduces a scraped histogram until it is within the limits, and checks that it can be stored.
    /// Floats do not change. Unlike [`SampleValue::normalize_for_storage`], this rejects schemas
    /// above the highest stored one, as Prometheus does when it scrapes.
    ///
    /// # Errors
    /// [`HistogramLimitError`] if the histogram exceeds a limit or cannot be stored.
    pub fn limit_scraped(&mut self, limits: HistogramLimits) -> Result<(), HistogramLimitError> {
        match self {
            Self::Float(_) => Ok(()),
            Self::Histogram(histogram) => {
                limits.limit(histogram)?;
                Ok(histogram.validate()?)
            }
            Self::FloatHistogram(histogram) => {
                limits.limit_float(histogram)?;
                Ok(histogram.validate()?)
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

    /// Returns the zero with which the counter or histogram began, at its start timestamp. `None`
    /// if that is unknown or not before the sample.
    ///
    /// A zero histogram has the buckets' layout of this one, so that both fit into one chunk, and
    /// the hint of a counter reset.
    #[must_use]
    pub fn start_zero(&self) -> Option<Self> {
        if self.start_timestamp == 0 || self.start_timestamp >= self.t {
            return None;
        }
        let reset_hint = CounterResetHint::Reset;
        let value = match &self.value {
            SampleValue::Float(_) => SampleValue::Float(0.0),
            SampleValue::Histogram(histogram) => SampleValue::Histogram(Box::new(Histogram {
                reset_hint,
                schema: histogram.schema,
                zero_threshold: histogram.zero_threshold,
                custom_values: histogram.custom_values.clone(),
                ..Histogram::default()
            })),
            SampleValue::FloatHistogram(histogram) => {
                SampleValue::FloatHistogram(Box::new(FloatHistogram {
                    reset_hint,
                    schema: histogram.schema,
                    zero_threshold: histogram.zero_threshold,
                    custom_values: histogram.custom_values.clone(),
                    ..FloatHistogram::default()
                }))
            }
        };
        Some(Self::new(self.start_timestamp, value))
    }
}

impl From<FloatSample> for Sample {
    #[inline]
    fn from(sample: FloatSample) -> Self {
        Self::new(sample.t, SampleValue::Float(sample.v))
    }
}

#[cfg(test)]
mod tests {
    use super::{Sample, SampleValue};
    use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Histogram, Span};

    #[test]
    fn start_zero_is_before_the_sample_or_absent() {
        let sample = |start_timestamp| Sample {
            start_timestamp,
            ..Sample::new(1_000, SampleValue::Float(5.0))
        };
        assert!([0, 1_000, 1_001].iter().all(|start| sample(*start).start_zero().is_none()));
        let zero = sample(999).start_zero().unwrap();
        assert_eq!((zero.start_timestamp, zero.t), (0, 999));
        assert!(zero.value.is_equivalent(&SampleValue::Float(0.0)));
    }

    #[test]
    fn start_zero_of_histogram_keeps_its_layout() {
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 2,
            sum: 3.0,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![2],
            custom_values: vec![0.5, 1.0],
            ..Histogram::default()
        };
        let value = SampleValue::Histogram(Box::new(histogram));
        let sample = Sample { start_timestamp: 7, t: 8, value };
        let Some(SampleValue::Histogram(zero)) = sample.start_zero().map(|zero| zero.value) else {
            panic!("no zero histogram");
        };
        let expected = Histogram {
            reset_hint: CounterResetHint::Reset,
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: vec![0.5, 1.0],
            ..Histogram::default()
        };
        assert_eq!(*zero, expected);
    }
}
