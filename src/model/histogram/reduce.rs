//! A histogram of a lower resolution out of one of a higher: its buckets merged.
//!
//! Bucket `i` of schema `s` lies in bucket `((i - 1) >> (s - t)) + 1` of the lower schema `t`. Prometheus knows the
//! schemas 9 to 52 and stores what has them at schema 8; schemas below -4 it knows too, but has no use for.
//!
//! Source: `model/histogram` of Prometheus, `ReduceResolution`.

use crate::model::histogram::buckets::{FloatBuckets, IntBuckets};
use crate::model::histogram::validate::{BucketSign, InvalidHistogram, check_spans};
use crate::model::histogram::{FloatHistogram, Histogram, Span};

/// The highest resolution that is stored.
pub const HIGHEST_STORED_SCHEMA: i32 = 8;
/// The highest that is known.
const HIGHEST_SCHEMA: i32 = 52;

impl Histogram {
    /// Merges buckets of schemas 9 to 52 to those of schema 8. Other histograms stay as they are.
    ///
    /// # Errors
    /// Spans that are not those of its buckets; the histogram is as before.
    pub fn limit_resolution(&mut self) -> Result<(), InvalidHistogram> {
        let Some(reduction) = Reduction::to_stored(self.schema) else { return Ok(()) };
        let positive = reduction.reduce_int_buckets(
            &self.positive_spans,
            &self.positive_buckets,
            BucketSign::Positive,
        )?;
        let negative = reduction.reduce_int_buckets(
            &self.negative_spans,
            &self.negative_buckets,
            BucketSign::Negative,
        )?;
        (self.positive_spans, self.positive_buckets) = (positive.spans, positive.buckets);
        (self.negative_spans, self.negative_buckets) = (negative.spans, negative.buckets);
        self.schema = HIGHEST_STORED_SCHEMA;
        Ok(())
    }
}

impl FloatHistogram {
    /// As [`Histogram::limit_resolution`].
    ///
    /// # Errors
    /// As there.
    pub fn limit_resolution(&mut self) -> Result<(), InvalidHistogram> {
        let Some(reduction) = Reduction::to_stored(self.schema) else { return Ok(()) };
        let positive = reduction.reduce_float_buckets(
            &self.positive_spans,
            &self.positive_buckets,
            BucketSign::Positive,
        )?;
        let negative = reduction.reduce_float_buckets(
            &self.negative_spans,
            &self.negative_buckets,
            BucketSign::Negative,
        )?;
        (self.positive_spans, self.positive_buckets) = (positive.spans, positive.buckets);
        (self.negative_spans, self.negative_buckets) = (negative.spans, negative.buckets);
        self.schema = HIGHEST_STORED_SCHEMA;
        Ok(())
    }
}

/// From one schema to a lower one.
struct Reduction {
    /// The difference of the two.
    shift: u32,
}

/// The buckets of one side.
#[derive(Default)]
struct ReducedBuckets<C> {
    spans: Vec<Span>,
    buckets: Vec<C>,
    /// The index of the last bucket.
    last: i64,
}

impl Reduction {
    /// To schema 8, for schemas above it.
    fn to_stored(schema: i32) -> Option<Self> {
        let is_higher = (HIGHEST_STORED_SCHEMA + 1..=HIGHEST_SCHEMA).contains(&schema);
        is_higher.then(|| Self { shift: schema.abs_diff(HIGHEST_STORED_SCHEMA) })
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
        // Back to differences.
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
    /// The bucket at `index`, which is not below the last one; `None` where it is a new one, to be pushed.
    fn bucket_at(
        &mut self,
        index: i64,
        side: BucketSign,
    ) -> Result<Option<&mut C>, InvalidHistogram> {
        let beyond = |_| InvalidHistogram::BucketIndex { side };
        match self.spans.last_mut() {
            Some(_) if index == self.last => return Ok(self.buckets.last_mut()),
            Some(span) if index == self.last + 1 => span.length += 1,
            Some(_) => {
                let offset = i32::try_from(index - self.last - 1).map_err(beyond)?;
                self.spans.push(Span { offset, length: 1 });
            }
            None => {
                self.spans.push(Span { offset: i32::try_from(index).map_err(beyond)?, length: 1 })
            }
        }
        self.last = index;
        Ok(None)
    }
}

#[cfg(test)]
#[path = "reduce_tests.rs"]
mod tests;
