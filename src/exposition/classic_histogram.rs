//! Buckets, sum and count of one classic histogram, and their conversion to custom buckets.
//!
//! The bounds of the classic buckets become the custom bounds. Counts that are not whole make a
//! float histogram, others an integer one. A histogram that is not cumulative, or whose count
//! differs from that of its last bucket, cannot be converted.
//!
//! Source: `util/convertnhcb` of Prometheus.

use crate::exposition::histogram_buffer::HistogramBuffer;
use crate::model::histogram::compact::{compact, compact_float};
use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};

/// Maximum number of buckets: as many as a native histogram in a remote-write request can have.
const MAX_BUCKETS: usize = 1 << 16;
/// Maximum number of consecutive empty buckets that an integer histogram keeps.
const MAX_EMPTY_BUCKETS: u16 = 2;

/// Cumulative bucket.
#[derive(Debug, Clone, Copy)]
struct CumulativeBucket {
    /// Upper bound; not NaN.
    le: f64,
    count: f64,
}

/// Collector for the values of one classic histogram, which is reused for the next one.
///
/// The values can come in any order; of buckets with the same bound, the first one counts.
#[derive(Debug, Default)]
pub(crate) struct ClassicHistogram {
    buckets: Vec<CumulativeBucket>,
    count: Option<f64>,
    sum: f64,
    is_sorted: bool,
    /// First defect; later values do not matter then.
    defect: Option<ConversionError>,
}

/// Reason why a classic histogram cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ConversionError {
    /// The bound of a bucket is NaN.
    #[error("bucket bound is NaN")]
    NanBound,
    /// A bucket has a negative count.
    #[error("bucket le={le:?} has negative count {count:?}")]
    NegativeBucket {
        /// Upper bound of the bucket.
        le: f64,
        /// Cumulative count.
        count: f64,
    },
    /// The count of observations is negative.
    #[error("count {0:?} is negative")]
    NegativeCount(f64),
    /// A bucket has a lower count than the bucket before it.
    #[error("buckets are not cumulative: le={le:?} has count {count:?}, less than {before:?}")]
    NotCumulative {
        /// Upper bound of the bucket.
        le: f64,
        /// Cumulative count.
        count: f64,
        /// Cumulative count of the bucket before it.
        before: f64,
    },
    /// The count of observations differs from that of the last bucket.
    #[error("count is {count:?}, but the last bucket has {last:?}")]
    CountMismatch {
        /// Count of observations.
        count: f64,
        /// Cumulative count of the last bucket.
        last: f64,
    },
    /// There are too many buckets.
    #[error("more than {} buckets", MAX_BUCKETS)]
    TooManyBuckets,
}

impl ClassicHistogram {
    /// Removes all values.
    pub(crate) fn clear(&mut self) {
        self.buckets.clear();
        self.count = None;
        self.sum = 0.0;
        self.is_sorted = true;
        self.defect = None;
    }

    /// Adds a bucket with its cumulative count.
    pub(crate) fn add_bucket(&mut self, le: f64, count: f64) {
        if self.defect.is_some() {
            return;
        }
        if le.is_nan() {
            self.defect = Some(ConversionError::NanBound);
        } else if count < 0.0 {
            self.defect = Some(ConversionError::NegativeBucket { le, count });
        } else if self.buckets.len() == MAX_BUCKETS {
            self.defect = Some(ConversionError::TooManyBuckets);
        } else {
            self.is_sorted &= self.buckets.last().is_none_or(|last| last.le < le);
            self.buckets.push(CumulativeBucket { le, count });
        }
    }

    /// Sets the count of all observations.
    pub(crate) fn set_count(&mut self, count: f64) {
        if self.defect.is_none() && count < 0.0 {
            self.defect = Some(ConversionError::NegativeCount(count));
        }
        self.count = Some(count);
    }

    /// Sets the sum of all observations.
    pub(crate) fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    /// Converts the values to a histogram in `target`. Without a count, that of the last bucket
    /// applies; without a bucket for +Inf, the count is its count.
    ///
    /// # Errors
    /// [`ConversionError`] with the first defect. The content of `target` is then undefined.
    pub(crate) fn convert(&mut self, target: &mut HistogramBuffer) -> Result<(), ConversionError> {
        if let Some(defect) = self.defect {
            return Err(defect);
        }
        self.sort();
        let last = self.buckets.last().map(|bucket| bucket.count);
        let count = self.count.or(last).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|last| last.le != f64::INFINITY) {
            self.buckets.push(CumulativeBucket { le: f64::INFINITY, count });
        }
        self.check(count)?;
        let has_integers = self.buckets.iter().all(|bucket| is_integer(bucket.count));
        if has_integers && is_integer(count) {
            self.write_integers(count, target);
        } else {
            self.write_floats(count, target);
        }
        Ok(())
    }

    /// Sorts the buckets and removes those with a repeated bound, except for the first one.
    fn sort(&mut self) {
        if !self.is_sorted {
            self.buckets
                .sort_by(|a, b| a.le.partial_cmp(&b.le).unwrap_or(std::cmp::Ordering::Equal));
            self.buckets.dedup_by(|repeated, first| repeated.le == first.le);
            self.is_sorted = true;
        }
    }

    fn check(&self, count: f64) -> Result<(), ConversionError> {
        let mut last = 0.0;
        for bucket in &self.buckets {
            // Both comparisons with NaN are false, so NaN passes as in Prometheus.
            if bucket.count < last {
                let CumulativeBucket { le, count } = *bucket;
                return Err(ConversionError::NotCumulative { le, count, before: last });
            }
            last = bucket.count;
        }
        // NaN differs from itself.
        if count == last { Ok(()) } else { Err(ConversionError::CountMismatch { count, last }) }
    }

    fn write_integers(&self, count: f64, target: &mut HistogramBuffer) {
        let histogram = target.start_integer();
        histogram.schema = CUSTOM_BUCKETS_SCHEMA;
        histogram.count = count as u64;
        histogram.sum = self.sum;
        histogram.positive_spans.push(self.span());
        let (mut cumulative, mut before) = (0, 0);
        let deltas = self.buckets.iter().map(|bucket| {
            let count = bucket.count as i64 - cumulative;
            cumulative = bucket.count as i64;
            count - std::mem::replace(&mut before, count)
        });
        histogram.positive_buckets.extend(deltas);
        histogram.custom_values.extend(self.bounds());
        compact(histogram, MAX_EMPTY_BUCKETS);
    }

    fn write_floats(&self, count: f64, target: &mut HistogramBuffer) {
        let histogram = target.start_float();
        histogram.schema = CUSTOM_BUCKETS_SCHEMA;
        histogram.count = count;
        histogram.sum = self.sum;
        histogram.positive_spans.push(self.span());
        let mut before = 0.0;
        let counts = self
            .buckets
            .iter()
            .map(|bucket| bucket.count - std::mem::replace(&mut before, bucket.count));
        histogram.positive_buckets.extend(counts);
        histogram.custom_values.extend(self.bounds());
        compact_float(histogram);
    }

    /// Returns the span of all buckets.
    fn span(&self) -> Span {
        // At most MAX_BUCKETS + 1.
        Span { offset: 0, length: self.buckets.len() as u32 }
    }

    /// Iterates over the bounds without +Inf.
    fn bounds(&self) -> impl Iterator<Item = f64> {
        self.buckets.iter().map(|bucket| bucket.le).take_while(|le| *le != f64::INFINITY)
    }
}

/// Returns `true` if a non-negative count fits into 63 bits without rounding.
fn is_integer(count: f64) -> bool {
    count.trunc() == count && count < i64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::{ClassicHistogram, ConversionError, MAX_BUCKETS};
    use crate::exposition::histogram_buffer::HistogramBuffer;
    use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};
    use crate::model::sample::SampleValue;
    use proptest::prelude::{Just, Strategy, prop, prop_assert, prop_assert_eq, proptest};

    const INF: f64 = f64::INFINITY;

    /// Buckets, count, and the result.
    type Case<T> = (&'static [(f64, f64)], Option<f64>, T);

    fn convert(
        buckets: &[(f64, f64)],
        count: Option<f64>,
        sum: f64,
    ) -> Result<SampleValue, ConversionError> {
        let mut classic = ClassicHistogram::default();
        // The collector and the target are reused: remains must not matter.
        let mut target = HistogramBuffer::default();
        for (le, count) in [(1.0, 3.0), (0.5, -1.0)] {
            classic.add_bucket(le, count);
        }
        target.start_integer().custom_values.push(7.0);
        target.start_float().positive_buckets.push(7.0);
        classic.clear();
        buckets.iter().for_each(|&(le, count)| classic.add_bucket(le, count));
        count.into_iter().for_each(|count| classic.set_count(count));
        classic.set_sum(sum);
        classic.convert(&mut target)?;
        Ok(target.value().to_sample_value())
    }

    fn span(offset: i32, length: u32) -> Span {
        Span { offset, length }
    }

    fn integer(count: u64, spans: &[Span], deltas: &[i64], bounds: &[f64]) -> Histogram {
        Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: 7.5,
            positive_spans: spans.to_vec(),
            positive_buckets: deltas.to_vec(),
            custom_values: bounds.to_vec(),
            ..Default::default()
        }
    }

    fn float(count: f64, spans: &[Span], counts: &[f64], bounds: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: 7.5,
            positive_spans: spans.to_vec(),
            positive_buckets: counts.to_vec(),
            custom_values: bounds.to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn whole_counts_become_integer_histogram() {
        let full = integer(4, &[span(0, 3)], &[1, 1, -1], &[1.0, 2.0]);
        let cases: [Case<Histogram>; 8] = [
            (&[(1.0, 1.0), (2.0, 3.0), (INF, 4.0)], Some(4.0), full.clone()),
            // Without +Inf, without a count, unsorted, repeated.
            (&[(1.0, 1.0), (2.0, 3.0)], Some(4.0), full.clone()),
            (&[(1.0, 1.0), (2.0, 3.0), (INF, 4.0)], None, full.clone()),
            (&[(INF, 4.0), (2.0, 3.0), (1.0, 1.0)], Some(4.0), full.clone()),
            (&[(1.0, 1.0), (2.0, 3.0), (2.0, 4.0), (INF, 4.0), (INF, 9.0)], Some(4.0), full),
            (&[], None, integer(0, &[], &[], &[])),
            (&[], Some(5.0), integer(5, &[span(0, 1)], &[5], &[])),
            // At most two empty buckets in a row are kept, and none at the ends.
            (
                &[
                    (0.0, 0.0),
                    (1.0, 1.0),
                    (2.0, 1.0),
                    (3.0, 1.0),
                    (4.0, 2.0),
                    (5.0, 2.0),
                    (6.0, 2.0),
                    (7.0, 2.0),
                    (8.0, 4.0),
                    (INF, 4.0),
                ],
                None,
                integer(
                    4,
                    &[span(1, 4), span(3, 1)],
                    &[1, -1, 0, 1, 1],
                    &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
                ),
            ),
        ];
        for (buckets, count, expected) in cases {
            let converted = convert(buckets, count, 7.5);
            let Ok(SampleValue::Histogram(histogram)) = converted else {
                panic!("{buckets:?}: {converted:?}");
            };
            assert_eq!(*histogram, expected);
            assert_eq!(histogram.validate(), Ok(()));
        }
    }

    #[test]
    fn other_counts_become_float_histogram() {
        let bounds = [1.0, 2.0];
        let cases: [Case<FloatHistogram>; 3] = [
            (
                &[(1.0, 0.5), (2.0, 2.0), (INF, 2.5)],
                Some(2.5),
                float(2.5, &[span(0, 3)], &[0.5, 1.5, 0.5], &bounds),
            ),
            (&[(1.0, 0.0), (2.0, 2.5)], Some(2.5), float(2.5, &[span(1, 1)], &[2.5], &bounds)),
            (
                &[(1.0, 0.0), (2.0, 9_223_372_036_854_775_808.0)],
                None,
                float(9_223_372_036_854_775_808.0, &[span(1, 1)], &[2f64.powi(63)], &bounds),
            ),
        ];
        for (buckets, count, expected) in cases {
            let converted = convert(buckets, count, 7.5);
            let Ok(SampleValue::FloatHistogram(histogram)) = converted else {
                panic!("{buckets:?}: {converted:?}");
            };
            assert_eq!(*histogram, expected);
            assert_eq!(histogram.validate(), Ok(()));
        }
        // As in Prometheus, a NaN between numbers passes.
        let converted = convert(&[(1.0, f64::NAN), (2.0, 3.0), (INF, 4.0)], Some(4.0), 0.0);
        let Ok(SampleValue::FloatHistogram(histogram)) = converted else { panic!("{converted:?}") };
        let is_nan: Vec<bool> = histogram.positive_buckets.iter().map(|v| v.is_nan()).collect();
        assert_eq!(is_nan, [true, true, false]);
        assert_eq!(histogram.positive_buckets[2], 1.0);
    }

    #[test]
    fn defects_are_named() {
        let good: &[(f64, f64)] = &[(1.0, 1.0), (INF, 4.0)];
        let cases: [Case<ConversionError>; 8] = [
            (&[(f64::NAN, 1.0), (INF, 4.0)], Some(4.0), ConversionError::NanBound),
            (
                &[(1.0, -1.0), (2.0, -2.0)],
                Some(4.0),
                ConversionError::NegativeBucket { le: 1.0, count: -1.0 },
            ),
            (good, Some(-1.0), ConversionError::NegativeCount(-1.0)),
            (
                &[(1.0, 1.0), (2.0, 0.0), (INF, 4.0)],
                Some(4.0),
                ConversionError::NotCumulative { le: 2.0, count: 0.0, before: 1.0 },
            ),
            (
                &[(2.0, 1.0), (1.0, 3.0), (INF, 4.0)],
                Some(4.0),
                ConversionError::NotCumulative { le: 2.0, count: 1.0, before: 3.0 },
            ),
            (good, Some(9.0), ConversionError::CountMismatch { count: 9.0, last: 4.0 }),
            (good, Some(4.5), ConversionError::CountMismatch { count: 4.5, last: 4.0 }),
            (
                &[(1.0, 5.0)],
                Some(4.0),
                ConversionError::NotCumulative { le: INF, count: 4.0, before: 5.0 },
            ),
        ];
        for (buckets, count, error) in cases {
            assert_eq!(convert(buckets, count, 0.0).map(drop), Err(error), "{buckets:?} {count:?}");
        }
        assert!(matches!(
            convert(&[(1.0, 1.0), (INF, f64::NAN)], Some(f64::NAN), 0.0),
            Err(ConversionError::CountMismatch { .. })
        ));
        let many: Vec<_> = (0..=MAX_BUCKETS).map(|i| (i as f64, 0.0)).collect();
        assert_eq!(convert(&many, None, 0.0).map(drop), Err(ConversionError::TooManyBuckets));
    }

    #[test]
    fn errors_show_bound_and_count() {
        let error = ConversionError::NotCumulative { le: INF, count: 4.0, before: 5.5 };
        assert_eq!(
            error.to_string(),
            "buckets are not cumulative: le=inf has count 4.0, less than 5.5"
        );
    }

    proptest! {
        #[test]
        fn order_of_buckets_does_not_matter(
            counts in prop::collection::vec(0..5u32, 0..20),
            shuffled in prop::collection::vec(0..5u32, 0..20)
                .prop_flat_map(|counts| {
                    let buckets: Vec<_> = cumulative(&counts);
                    (Just(buckets.clone()), Just(buckets).prop_shuffle())
                }),
        ) {
            let (sorted, shuffled) = shuffled;
            let (a, b) = (convert(&sorted, None, 1.0), convert(&shuffled, None, 1.0));
            prop_assert!(a.unwrap().is_equivalent(&b.unwrap()));
            let Ok(SampleValue::Histogram(histogram)) = convert(&cumulative(&counts), None, 1.0)
            else { panic!("no integer histogram") };
            prop_assert_eq!(histogram.validate(), Ok(()));
            let expected = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let found = histogram.iter_positive().filter(|bucket| bucket.count > 0);
            prop_assert!(found
                .map(|bucket| (bucket.index as usize, bucket.count))
                .eq(expected.map(|(i, count)| (i, i64::from(*count)))));
        }
    }

    /// Cumulative buckets with the bounds 0, 1, 2 and so on.
    fn cumulative(counts: &[u32]) -> Vec<(f64, f64)> {
        let mut sum = 0;
        let buckets = counts.iter().enumerate().map(|(i, count)| {
            sum += count;
            (i as f64, f64::from(sum))
        });
        buckets.collect()
    }
}
