//! Limits for scraped native histograms: resolution, and number of buckets.
//!
//! A histogram above a limit is reduced to a lower schema before it is stored. It is rejected only
//! if no schema is low enough, or if it has custom buckets, which cannot be merged.
//!
//! As in Prometheus, schemas above the highest stored one are reduced only if the resolution is
//! limited. Otherwise validation rejects them.
//!
//! Source: `scrape` of Prometheus (`native_histogram_bucket_limit`,
//! `native_histogram_min_bucket_factor`).

use crate::model::histogram::reduce::{HIGHEST_STORED_SCHEMA, limit_float_schema, limit_schema};
use crate::model::histogram::validate::{InvalidHistogram, LOWEST_STORED_SCHEMA};
use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram};

/// Limits of resolution and of the number of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistogramLimits {
    max_schema: i32,
    /// 0 = unlimited.
    max_buckets: usize,
}

/// Rejection of a histogram that exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum HistogramLimitError {
    /// The histogram cannot be stored, or not be reduced.
    #[error("invalid histogram: {0}")]
    Invalid(#[from] InvalidHistogram),
    /// The lowest schema has too many buckets too, or the schema cannot be stored.
    #[error(
        "histogram has {buckets} buckets in schema {schema}, which cannot be reduced, but \
         native_histogram_bucket_limit is {limit}"
    )]
    TooManyBuckets {
        /// Schema after the reductions.
        schema: i32,
        /// Number of buckets in this schema.
        buckets: usize,
        /// Highest allowed number.
        limit: usize,
    },
    /// Custom buckets exceed the limit.
    #[error(
        "histogram has {buckets} custom buckets, which cannot be merged, but \
         native_histogram_bucket_limit is {limit}"
    )]
    TooManyCustomBuckets {
        /// Number of buckets.
        buckets: usize,
        /// Highest allowed number.
        limit: usize,
    },
}

impl Default for HistogramLimits {
    fn default() -> Self {
        Self { max_schema: HIGHEST_STORED_SCHEMA, max_buckets: 0 }
    }
}

impl HistogramLimits {
    /// Creates limits.
    ///
    /// `min_bucket_factor` is the lowest factor between the bounds of a bucket. A factor of 1 or
    /// less does not limit the resolution. `max_buckets` counts positive and negative buckets
    /// together; 0 = unlimited.
    #[must_use]
    pub fn new(min_bucket_factor: f64, max_buckets: usize) -> Self {
        Self { max_schema: highest_schema_for(min_bucket_factor), max_buckets }
    }

    /// Reduces the histogram until it is within the limits.
    ///
    /// # Errors
    /// [`HistogramLimitError`]; the histogram may then have a lower schema than before.
    pub fn limit(self, histogram: &mut Histogram) -> Result<(), HistogramLimitError> {
        if self.max_schema < HIGHEST_STORED_SCHEMA {
            limit_schema(histogram, self.max_schema)?;
        }
        loop {
            let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len();
            let Some(schema) = self.next_schema(histogram.schema, buckets)? else { return Ok(()) };
            limit_schema(histogram, schema)?;
        }
    }

    /// Reduces the histogram like [`HistogramLimits::limit`].
    ///
    /// # Errors
    /// As [`HistogramLimits::limit`].
    pub fn limit_float(self, histogram: &mut FloatHistogram) -> Result<(), HistogramLimitError> {
        if self.max_schema < HIGHEST_STORED_SCHEMA {
            limit_float_schema(histogram, self.max_schema)?;
        }
        // Step by step as in Prometheus, so that sums of floats are rounded in the same way.
        loop {
            let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len();
            let Some(schema) = self.next_schema(histogram.schema, buckets)? else { return Ok(()) };
            limit_float_schema(histogram, schema)?;
        }
    }

    /// Returns the schema to which a histogram must be reduced next, or `None` if it is within the
    /// limit.
    fn next_schema(self, schema: i32, buckets: usize) -> Result<Option<i32>, HistogramLimitError> {
        let limit = self.max_buckets;
        if limit == 0 || buckets <= limit {
            Ok(None)
        } else if schema == CUSTOM_BUCKETS_SCHEMA {
            Err(HistogramLimitError::TooManyCustomBuckets { buckets, limit })
        } else if schema > LOWEST_STORED_SCHEMA && schema <= HIGHEST_STORED_SCHEMA {
            Ok(Some(schema - 1))
        } else {
            Err(HistogramLimitError::TooManyBuckets { schema, buckets, limit })
        }
    }
}

/// Returns the highest stored schema whose bucket bounds grow at least by `min_bucket_factor`.
fn highest_schema_for(min_bucket_factor: f64) -> i32 {
    if min_bucket_factor.is_nan() || min_bucket_factor <= 1.0 {
        return HIGHEST_STORED_SCHEMA;
    }
    let schema = (-min_bucket_factor.log2().log2()).floor();
    // The cast saturates at infinity.
    (schema as i32).clamp(LOWEST_STORED_SCHEMA, HIGHEST_STORED_SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::{HistogramLimitError, HistogramLimits, highest_schema_for};
    use crate::model::histogram::validate::{BucketSign, InvalidHistogram};
    use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};

    /// Histogram with the positive buckets 1 to `buckets`, one observation in each.
    fn with_buckets(schema: i32, buckets: u32) -> Histogram {
        let mut deltas = vec![0; buckets as usize];
        deltas[0] = 1;
        Histogram {
            schema,
            count: u64::from(buckets),
            positive_spans: vec![Span { offset: 1, length: buckets }],
            positive_buckets: deltas,
            ..Default::default()
        }
    }

    fn with_float_buckets(schema: i32, buckets: u32) -> FloatHistogram {
        FloatHistogram {
            schema,
            count: f64::from(buckets),
            positive_spans: vec![Span { offset: 1, length: buckets }],
            positive_buckets: vec![1.0; buckets as usize],
            ..Default::default()
        }
    }

    #[test]
    fn bucket_factor_limits_schema() {
        let cases = [
            (f64::NEG_INFINITY, 8),
            (0.0, 8),
            (1.0, 8),
            (1.002, 8),
            (1.00271, 8),
            (1.003, 7),
            (1.1, 2),
            (1.4, 1),
            (2.0, 0),
            (2.1, -1),
            (4.0, -1),
            (16.0, -2),
            (256.0, -3),
            (65536.0, -4),
            (1e9, -4),
            (f64::INFINITY, -4),
            (f64::NAN, 8),
        ];
        for (factor, schema) in cases {
            assert_eq!(highest_schema_for(factor), schema, "{factor}");
        }
    }

    #[test]
    fn resolution_is_halved_until_buckets_fit() {
        let cases = [
            // limit, schema, buckets, reduced schema, buckets left
            (0, 2, 1000, 2, 1000),
            (16, 2, 16, 2, 16),
            (15, 2, 16, 1, 8),
            (7, 2, 16, 0, 4),
            (1, 2, 16, -2, 1),
            (1, 8, 4096, -4, 1),
        ];
        for (limit, schema, buckets, reduced, left) in cases {
            let limits = HistogramLimits::new(0.0, limit);
            let mut histogram = with_buckets(schema, buckets);
            limits.limit(&mut histogram).unwrap();
            assert_eq!((histogram.schema, histogram.positive_buckets.len()), (reduced, left));
            let mut float = with_float_buckets(schema, buckets);
            limits.limit_float(&mut float).unwrap();
            assert_eq!((float.schema, float.positive_buckets.len()), (reduced, left));
            assert_eq!(float.positive_buckets[0], f64::from(buckets) / left as f64);
        }
    }

    #[test]
    fn factor_applies_before_bucket_limit() {
        let limits = HistogramLimits::new(2.0, 2);
        let mut histogram = with_buckets(3, 16);
        limits.limit(&mut histogram).unwrap();
        assert_eq!((histogram.schema, histogram.positive_buckets), (0, vec![8, 0]));
        let mut fine = with_buckets(12, 64);
        limits.limit(&mut fine).unwrap();
        assert_eq!((fine.schema, fine.positive_buckets), (0, vec![64]));
        let mut unlimited = with_buckets(12, 64);
        HistogramLimits::default().limit(&mut unlimited).unwrap();
        assert_eq!(unlimited.schema, 12);
        let mut custom = with_buckets(CUSTOM_BUCKETS_SCHEMA, 2);
        let before = custom.clone();
        limits.limit(&mut custom).unwrap();
        assert_eq!(custom, before);
    }

    #[test]
    fn irreducible_histograms_are_rejected() {
        let limits = HistogramLimits::new(0.0, 2);
        let rejections = [
            (-4, 3, HistogramLimitError::TooManyBuckets { schema: -4, buckets: 3, limit: 2 }),
            (
                CUSTOM_BUCKETS_SCHEMA,
                3,
                HistogramLimitError::TooManyCustomBuckets { buckets: 3, limit: 2 },
            ),
            (-5, 3, HistogramLimitError::TooManyBuckets { schema: -5, buckets: 3, limit: 2 }),
            (9, 3, HistogramLimitError::TooManyBuckets { schema: 9, buckets: 3, limit: 2 }),
            // 1,000 buckets of schema 0 are 63 buckets of schema -4.
            (0, 1000, HistogramLimitError::TooManyBuckets { schema: -4, buckets: 63, limit: 2 }),
        ];
        for (schema, buckets, error) in rejections {
            assert_eq!(limits.limit(&mut with_buckets(schema, buckets)), Err(error));
            assert_eq!(limits.limit_float(&mut with_float_buckets(schema, buckets)), Err(error));
        }
        let mut broken = with_buckets(2, 5);
        broken.positive_spans[0].length = 4;
        let mismatch = InvalidHistogram::BucketCountMismatch {
            side: BucketSign::Positive,
            named: 4,
            present: 5,
        };
        assert_eq!(limits.limit(&mut broken), Err(HistogramLimitError::Invalid(mismatch)));
    }

    #[test]
    fn errors_name_limit_and_key() {
        let limits = HistogramLimits::new(0.0, 2);
        assert_eq!(
            limits.limit(&mut with_buckets(CUSTOM_BUCKETS_SCHEMA, 3)).unwrap_err().to_string(),
            "histogram has 3 custom buckets, which cannot be merged, but \
             native_histogram_bucket_limit is 2"
        );
        assert_eq!(
            limits.limit(&mut with_buckets(-4, 3)).unwrap_err().to_string(),
            "histogram has 3 buckets in schema -4, which cannot be reduced, but \
             native_histogram_bucket_limit is 2"
        );
    }
}
