//! What a histogram must be so that it can be stored: the rules of Prometheus, and bucket indices of 32 bits.
//!
//! Of integer histograms the counts of all buckets make up the count of all observations, but for observations that are
//! not a number: they fall into no bucket, and the sum tells of them. Float counts are not compared, as they are rounded.
//!
//! Source: `model/histogram` of Prometheus, `Validate`. There counts that do not fit into 64 bits wrap around, here too.

use crate::model::histogram::buckets::{FloatBuckets, IntBuckets};
use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};
use std::fmt;

/// The exponential schemas that are stored.
const STORED_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// Which buckets of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketSign {
    /// Those of observations above zero, and custom ones.
    Positive,
    /// Those of observations below zero.
    Negative,
}

/// What is wrong with a histogram.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InvalidHistogram {
    /// A schema that is not stored.
    #[error("schema {0} is not known (exponential ones are -4 to 8, custom buckets have -53)")]
    Schema(i32),
    /// A span goes backwards.
    #[error("{side} span {number} has the negative offset {offset}")]
    SpanOffset {
        /// Whose spans.
        side: BucketSign,
        /// Which, counted from 1.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// The spans name another number of buckets than there are.
    #[error("{side} spans name {named} buckets, but there are {present}")]
    BucketCountMismatch {
        /// Whose spans.
        side: BucketSign,
        /// The spans' number.
        named: u64,
        /// The number of counts.
        present: usize,
    },
    /// A span goes beyond the indices that 32 bits can hold.
    #[error("{side} spans go beyond the last bucket index")]
    BucketIndex {
        /// Whose spans.
        side: BucketSign,
    },
    /// A bucket has less than no observations.
    #[error("{side} bucket {number} has the negative count {count}")]
    NegativeBucket {
        /// Whose bucket.
        side: BucketSign,
        /// Which of those that are present, counted from 1.
        number: usize,
        /// What it has (as a float, so rounded).
        count: f64,
    },
    /// The zero bucket has less than no observations.
    #[error("the zero bucket has the negative count {0}")]
    NegativeZeroBucket(f64),
    /// There are less than no observations.
    #[error("the count {0} is negative")]
    NegativeCount(f64),
    /// The buckets do not make up the count.
    #[error("the buckets have {buckets} observations, but the count is {count}")]
    CountMismatch {
        /// All buckets together.
        buckets: u64,
        /// The histogram's count.
        count: u64,
    },
    /// Custom bounds that are not finite numbers, each larger than the one before.
    #[error("custom bounds are not finite numbers that rise")]
    CustomBounds,
    /// Buckets beyond the last custom bound.
    #[error("spans reach to {reach} buckets, but {bounds} custom bounds make {}", bounds + 1)]
    TooFewCustomBounds {
        /// The number of buckets up to the end of the last span.
        reach: u64,
        /// The number of bounds.
        bounds: usize,
    },
    /// Custom buckets together with a zero bucket.
    #[error("custom buckets with a zero bucket")]
    CustomZeroBucket,
    /// Custom buckets together with negative ones.
    #[error("custom buckets with negative buckets")]
    CustomNegativeBuckets,
    /// Custom bounds in an exponential schema.
    #[error("custom bounds in exponential schema {0}")]
    ExponentialCustomBounds(i32),
}

impl Histogram {
    /// Whether it can be stored as it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        self.layout().validate()?;
        let negative = sum_bucket_counts(self.iter_negative(), BucketSign::Negative)?;
        let positive = sum_bucket_counts(self.iter_positive(), BucketSign::Positive)?;
        let buckets = negative.wrapping_add(positive).wrapping_add(self.zero_count);
        let fits = if self.sum.is_nan() { buckets <= self.count } else { buckets == self.count };
        if fits {
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
    /// Whether it can be stored as it is.
    ///
    /// # Errors
    /// What is wrong with it.
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

/// What a histogram is, but for its counts.
struct HistogramShape<'a> {
    schema: i32,
    has_zero_bucket: bool,
    positive: BucketSpans<'a>,
    negative: BucketSpans<'a>,
    custom_values: &'a [f64],
}

/// The buckets of one side, but for their counts.
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
        let rises = self.custom_values.is_sorted_by(|before, after| before < after);
        // Minus infinity may stand first: Prometheus lets it.
        let ends_finite = self.custom_values.last().is_none_or(|last| *last < f64::INFINITY);
        if !rises || !ends_finite {
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

/// Spans go forward, and name as many buckets as are present.
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
#[path = "validate_tests.rs"]
mod tests;
