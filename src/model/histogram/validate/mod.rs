//! Validation of histograms before storage: the rules of Prometheus, and bucket indices of 32 bits.
//!
//! In integer histograms, the bucket counts must add up to the count of observations. NaN
//! observations are in no bucket, but then the sum is NaN. Float counts are rounded and not
//! compared.
//!
//! Source: `model/histogram` of Prometheus, `Validate`. Sums of counts wrap around at 64 bits, as
//! there.

use crate::model::histogram::buckets::{FloatBuckets, IntBuckets};
use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};
use std::fmt;

/// Lowest exponential schema that is stored.
pub(super) const LOWEST_STORED_SCHEMA: i32 = -4;
/// Exponential schemas that are stored.
const STORED_SCHEMAS: std::ops::RangeInclusive<i32> = LOWEST_STORED_SCHEMA..=8;

/// Sign of the buckets of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketSign {
    /// Buckets of observations above zero, and custom buckets.
    Positive,
    /// Buckets of observations below zero.
    Negative,
}

/// Reason for the rejection of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InvalidHistogram {
    /// The schema cannot be stored.
    #[error("schema {0} is not known (exponential ones are -4 to 8, custom buckets have -53)")]
    Schema(i32),
    /// The offset of a span is negative.
    #[error("{side} span {number} has negative offset {offset}")]
    SpanOffset {
        /// Sign of the buckets.
        side: BucketSign,
        /// Number of the span, from 1.
        number: usize,
        /// Offset of the span.
        offset: i32,
    },
    /// The spans and the counts have different numbers of buckets.
    #[error("{side} spans have {named} buckets, but {present} counts are present")]
    BucketCountMismatch {
        /// Sign of the buckets.
        side: BucketSign,
        /// Number of buckets in the spans.
        named: u64,
        /// Number of bucket counts.
        present: usize,
    },
    /// A bucket index exceeds 32 bits.
    #[error("{side} spans exceed the highest bucket index")]
    BucketIndex {
        /// Sign of the buckets.
        side: BucketSign,
    },
    /// A bucket has a negative count.
    #[error("{side} bucket {number} has negative count {count}")]
    NegativeBucket {
        /// Sign of the bucket.
        side: BucketSign,
        /// Number of the bucket among the present ones, from 1.
        number: usize,
        /// Count of the bucket, rounded to a float.
        count: f64,
    },
    /// The zero bucket has a negative count.
    #[error("zero bucket has negative count {0}")]
    NegativeZeroBucket(f64),
    /// The count of observations is negative.
    #[error("count {0} is negative")]
    NegativeCount(f64),
    /// The bucket counts do not add up to the count of observations.
    #[error("buckets have {buckets} observations, but count is {count}")]
    CountMismatch {
        /// Sum of all bucket counts.
        buckets: u64,
        /// Declared count of observations.
        count: u64,
    },
    /// Custom bucket bounds are not finite or not in ascending order.
    #[error("custom bucket bounds are not finite and ascending")]
    CustomBounds,
    /// The spans have more buckets than the custom bounds define.
    #[error(
        "spans reach bucket {reach}, but {bounds} custom bucket bounds define {} buckets",
        bounds + 1
    )]
    TooFewCustomBounds {
        /// Number of buckets up to the end of the last span.
        reach: u64,
        /// Number of custom bucket bounds.
        bounds: usize,
    },
    /// A histogram with custom buckets has a zero bucket.
    #[error("custom buckets with a zero bucket")]
    CustomZeroBucket,
    /// A histogram with custom buckets has negative buckets.
    #[error("custom buckets with negative buckets")]
    CustomNegativeBuckets,
    /// A histogram with an exponential schema has custom bucket bounds.
    #[error("custom bucket bounds in exponential schema {0}")]
    ExponentialCustomBounds(i32),
}

impl Histogram {
    /// Checks that the histogram can be stored unchanged.
    ///
    /// # Errors
    /// [`InvalidHistogram`] with the first violated rule.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        self.layout().validate()?;
        let negative = sum_bucket_counts(self.iter_negative(), BucketSign::Negative)?;
        let positive = sum_bucket_counts(self.iter_positive(), BucketSign::Positive)?;
        let buckets = negative.wrapping_add(positive).wrapping_add(self.zero_count);
        let is_consistent =
            if self.sum.is_nan() { buckets <= self.count } else { buckets == self.count };
        if is_consistent {
            Ok(())
        } else {
            Err(InvalidHistogram::CountMismatch { buckets, count: self.count })
        }
    }

    fn layout(&self) -> HistogramShape<'_> {
        HistogramShape {
            schema: self.schema,
            has_zero_bucket: self.zero_count != 0 || self.zero_threshold != 0.0,
            positive: BucketSpans {
                spans: &self.positive_spans,
                present: self.positive_buckets.len(),
            },
            negative: BucketSpans {
                spans: &self.negative_spans,
                present: self.negative_buckets.len(),
            },
            custom_values: &self.custom_values,
        }
    }
}

impl FloatHistogram {
    /// Checks that the histogram can be stored unchanged.
    ///
    /// # Errors
    /// [`InvalidHistogram`] with the first violated rule.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        self.layout().validate()?;
        if self.zero_count < 0.0 {
            return Err(InvalidHistogram::NegativeZeroBucket(self.zero_count));
        }
        if self.count < 0.0 {
            return Err(InvalidHistogram::NegativeCount(self.count));
        }
        check_bucket_counts(self.iter_negative(), BucketSign::Negative)?;
        check_bucket_counts(self.iter_positive(), BucketSign::Positive)
    }

    fn layout(&self) -> HistogramShape<'_> {
        HistogramShape {
            schema: self.schema,
            has_zero_bucket: self.zero_count != 0.0 || self.zero_threshold != 0.0,
            positive: BucketSpans {
                spans: &self.positive_spans,
                present: self.positive_buckets.len(),
            },
            negative: BucketSpans {
                spans: &self.negative_spans,
                present: self.negative_buckets.len(),
            },
            custom_values: &self.custom_values,
        }
    }
}

/// Histogram without its counts.
struct HistogramShape<'a> {
    schema: i32,
    has_zero_bucket: bool,
    positive: BucketSpans<'a>,
    negative: BucketSpans<'a>,
    custom_values: &'a [f64],
}

/// Buckets of one sign without their counts.
struct BucketSpans<'a> {
    spans: &'a [Span],
    present: usize,
}

impl HistogramShape<'_> {
    fn validate(&self) -> Result<(), InvalidHistogram> {
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            return self.validate_custom();
        }
        if !STORED_SCHEMAS.contains(&self.schema) {
            return Err(InvalidHistogram::Schema(self.schema));
        }
        self.positive.validate(BucketSign::Positive)?;
        self.negative.validate(BucketSign::Negative)?;
        if self.custom_values.is_empty() {
            Ok(())
        } else {
            Err(InvalidHistogram::ExponentialCustomBounds(self.schema))
        }
    }

    fn validate_custom(&self) -> Result<(), InvalidHistogram> {
        let is_ascending = self.custom_values.is_sorted_by(|before, after| before < after);
        // -Inf is allowed as the first bound, as in Prometheus.
        let is_last_finite = self.custom_values.last().is_none_or(|last| *last < f64::INFINITY);
        if !is_ascending || !is_last_finite {
            return Err(InvalidHistogram::CustomBounds);
        }
        if let Some(first) = self.positive.spans.first()
            && first.offset < 0
        {
            return Err(InvalidHistogram::SpanOffset {
                side: BucketSign::Positive,
                number: 1,
                offset: first.offset,
            });
        }
        self.positive.validate(BucketSign::Positive)?;
        let reach = self
            .positive
            .spans
            .iter()
            .map(|span| u64::from(span.length) + u64::from(span.offset.unsigned_abs()))
            .sum();
        let bounds = self.custom_values.len();
        if bounds as u64 + 1 < reach {
            return Err(InvalidHistogram::TooFewCustomBounds { reach, bounds });
        }
        if self.has_zero_bucket {
            return Err(InvalidHistogram::CustomZeroBucket);
        }
        if self.negative.present > 0 || !self.negative.spans.is_empty() {
            return Err(InvalidHistogram::CustomNegativeBuckets);
        }
        Ok(())
    }
}

impl BucketSpans<'_> {
    fn validate(&self, side: BucketSign) -> Result<(), InvalidHistogram> {
        check_spans(self.spans, self.present, side)?;
        let end: i64 =
            self.spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
        if end > i64::from(i32::MAX) { Err(InvalidHistogram::BucketIndex { side }) } else { Ok(()) }
    }
}

/// Checks that offsets are not negative after the first span and that spans and counts match.
pub(super) fn check_spans(
    spans: &[Span],
    present: usize,
    side: BucketSign,
) -> Result<(), InvalidHistogram> {
    for (i, span) in spans.iter().enumerate().skip(1) {
        if span.offset < 0 {
            return Err(InvalidHistogram::SpanOffset { side, number: i + 1, offset: span.offset });
        }
    }
    let named = spans.iter().map(|span| u64::from(span.length)).sum();
    if named == present as u64 {
        Ok(())
    } else {
        Err(InvalidHistogram::BucketCountMismatch { side, named, present })
    }
}

fn sum_bucket_counts(buckets: IntBuckets<'_>, side: BucketSign) -> Result<u64, InvalidHistogram> {
    let mut sum = 0u64;
    for (i, bucket) in buckets.enumerate() {
        let Ok(count) = u64::try_from(bucket.count) else {
            return Err(InvalidHistogram::NegativeBucket {
                side,
                number: i + 1,
                count: bucket.count as f64,
            });
        };
        sum = sum.wrapping_add(count);
    }
    Ok(sum)
}

fn check_bucket_counts(
    buckets: FloatBuckets<'_>,
    side: BucketSign,
) -> Result<(), InvalidHistogram> {
    for (i, bucket) in buckets.enumerate() {
        if bucket.count < 0.0 {
            return Err(InvalidHistogram::NegativeBucket {
                side,
                number: i + 1,
                count: bucket.count,
            });
        }
    }
    Ok(())
}

impl fmt::Display for BucketSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
        })
    }
}

#[cfg(test)]
mod tests;
