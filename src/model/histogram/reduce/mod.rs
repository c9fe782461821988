//! Reduction of a histogram to a lower schema by merging buckets.
//!
//! Bucket `i` of schema `s` is part of bucket `((i - 1) >> (s - t)) + 1` of the lower schema `t`.
//! Prometheus accepts schemas 9 to 52 and stores them with schema 8. It also accepts schemas below
//! -4, but cannot use them.
//!
//! Source: `model/histogram` of Prometheus, `ReduceResolution`.

use crate::model::histogram::buckets::{FloatBuckets, IntBuckets};
use crate::model::histogram::validate::{BucketSign, InvalidHistogram, check_spans};
use crate::model::histogram::{FloatHistogram, Histogram, Span};

/// Highest schema that is stored.
pub const HIGHEST_STORED_SCHEMA: i32 = 8;
/// Highest schema that is accepted.
const HIGHEST_SCHEMA: i32 = 52;

/// Reduces schemas 9 to 52 to schema 8. Other histograms do not change.
///
/// # Errors
/// [`InvalidHistogram`] if the spans do not match the buckets. The histogram is then unchanged.
pub fn limit_resolution(histogram: &mut Histogram) -> Result<(), InvalidHistogram> {
    limit_schema(histogram, HIGHEST_STORED_SCHEMA)
}

/// Reduces the schema like [`limit_resolution`].
///
/// # Errors
/// As [`limit_resolution`].
pub fn limit_float_resolution(histogram: &mut FloatHistogram) -> Result<(), InvalidHistogram> {
    limit_float_schema(histogram, HIGHEST_STORED_SCHEMA)
}

/// Reduces exponential schemas above `max_schema` to it. Other histograms do not change.
///
/// # Errors
/// As [`limit_resolution`].
pub(crate) fn limit_schema(
    histogram: &mut Histogram,
    max_schema: i32,
) -> Result<(), InvalidHistogram> {
    let Some(reduction) = Reduction::new(histogram.schema, max_schema) else { return Ok(()) };
    let positive = reduction.reduce_int_buckets(
        &histogram.positive_spans,
        &histogram.positive_buckets,
        BucketSign::Positive,
    )?;
    let negative = reduction.reduce_int_buckets(
        &histogram.negative_spans,
        &histogram.negative_buckets,
        BucketSign::Negative,
    )?;
    (histogram.positive_spans, histogram.positive_buckets) = (positive.spans, positive.buckets);
    (histogram.negative_spans, histogram.negative_buckets) = (negative.spans, negative.buckets);
    histogram.schema = max_schema;
    Ok(())
}

/// Reduces the schema like [`limit_schema`].
///
/// # Errors
/// As [`limit_resolution`].
pub(crate) fn limit_float_schema(
    histogram: &mut FloatHistogram,
    max_schema: i32,
) -> Result<(), InvalidHistogram> {
    let Some(reduction) = Reduction::new(histogram.schema, max_schema) else { return Ok(()) };
    let positive = reduction.reduce_float_buckets(
        &histogram.positive_spans,
        &histogram.positive_buckets,
        BucketSign::Positive,
    )?;
    let negative = reduction.reduce_float_buckets(
        &histogram.negative_spans,
        &histogram.negative_buckets,
        BucketSign::Negative,
    )?;
    (histogram.positive_spans, histogram.positive_buckets) = (positive.spans, positive.buckets);
    (histogram.negative_spans, histogram.negative_buckets) = (negative.spans, negative.buckets);
    histogram.schema = max_schema;
    Ok(())
}

/// Reduction from one schema to a lower one.
struct Reduction {
    /// Difference between the schemas.
    shift: u32,
}

/// Merged buckets of one sign.
#[derive(Default)]
struct ReducedBuckets<C> {
    spans: Vec<Span>,
    buckets: Vec<C>,
    /// Index of the last bucket.
    last: i64,
}

impl Reduction {
    /// Returns the reduction to `max_schema`, or `None` if `schema` is not an exponential schema
    /// above it.
    fn new(schema: i32, max_schema: i32) -> Option<Self> {
        let is_higher = (max_schema + 1..=HIGHEST_SCHEMA).contains(&schema);
        is_higher.then(|| Self { shift: schema.abs_diff(max_schema) })
    }

    fn target_index(&self, index: i64) -> i64 {
        ((index - 1) >> self.shift) + 1
    }

    fn reduce_int_buckets(
        &self,
        spans: &[Span],
        deltas: &[i64],
        side: BucketSign,
    ) -> Result<ReducedBuckets<i64>, InvalidHistogram> {
        check_spans(spans, deltas.len(), side)?;
        let mut reduced = ReducedBuckets::<i64>::default();
        for bucket in IntBuckets::new(spans, deltas) {
            match reduced.bucket_at(self.target_index(bucket.index), side)? {
                Some(merged) => *merged = merged.wrapping_add(bucket.count),
                None => reduced.buckets.push(bucket.count),
            }
        }
        // Convert counts to deltas.
        let mut before = 0i64;
        for bucket in &mut reduced.buckets {
            let count = *bucket;
            *bucket = count.wrapping_sub(before);
            before = count;
        }
        Ok(reduced)
    }

    fn reduce_float_buckets(
        &self,
        spans: &[Span],
        counts: &[f64],
        side: BucketSign,
    ) -> Result<ReducedBuckets<f64>, InvalidHistogram> {
        check_spans(spans, counts.len(), side)?;
        let mut reduced = ReducedBuckets::<f64>::default();
        for bucket in FloatBuckets::new(spans, counts) {
            match reduced.bucket_at(self.target_index(bucket.index), side)? {
                Some(merged) => *merged += bucket.count,
                None => reduced.buckets.push(bucket.count),
            }
        }
        Ok(reduced)
    }
}

impl<C> ReducedBuckets<C> {
    /// Returns the bucket at `index`, which is not below the last one. Returns `None` for a new
    /// bucket, whose count the caller pushes.
    fn bucket_at(
        &mut self,
        index: i64,
        side: BucketSign,
    ) -> Result<Option<&mut C>, InvalidHistogram> {
        let out_of_range = |_| InvalidHistogram::BucketIndex { side };
        match self.spans.last_mut() {
            Some(_) if index == self.last => return Ok(self.buckets.last_mut()),
            Some(span) if index == self.last + 1 => span.length += 1,
            Some(_) => {
                let offset = i32::try_from(index - self.last - 1).map_err(out_of_range)?;
                self.spans.push(Span { offset, length: 1 });
            }
            None => self
                .spans
                .push(Span { offset: i32::try_from(index).map_err(out_of_range)?, length: 1 }),
        }
        self.last = index;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
