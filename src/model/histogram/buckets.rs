//! Iterators over the buckets of a histogram, with index and absolute count.
//!
//! Indices are 64 bits wide, so arbitrary 32-bit spans cannot overflow them.

use crate::model::histogram::{FloatHistogram, Histogram, Span};
use std::slice::Iter;

/// Bucket with its absolute count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket<C> {
    /// Index among the schema's buckets of this sign, or among the custom buckets.
    pub index: i64,
    /// Number of observations in this bucket only (not cumulative).
    pub count: C,
}

/// Iterator over the bucket indices of spans. A span can have four billion of them.
#[derive(Debug, Clone)]
pub struct BucketIndices<'a> {
    spans: Iter<'a, Span>,
    next: i64,
    remaining: u32,
}

/// Iterator over the buckets of a [`Histogram`].
///
/// Invalid deltas wrap around; [`Histogram::validate`] rejects them.
#[derive(Debug, Clone)]
pub struct IntBuckets<'a> {
    indices: BucketIndices<'a>,
    deltas: Iter<'a, i64>,
    count: i64,
}

/// Iterator over the buckets of a [`FloatHistogram`].
#[derive(Debug, Clone)]
pub struct FloatBuckets<'a> {
    indices: BucketIndices<'a>,
    counts: Iter<'a, f64>,
}

impl Histogram {
    /// Iterates over the positive buckets, including empty ones. Ends at the shorter of spans and
    /// counts.
    #[must_use]
    pub fn iter_positive(&self) -> IntBuckets<'_> {
        IntBuckets::new(&self.positive_spans, &self.positive_buckets)
    }

    /// Iterates over the negative buckets like [`Histogram::iter_positive`].
    #[must_use]
    pub fn iter_negative(&self) -> IntBuckets<'_> {
        IntBuckets::new(&self.negative_spans, &self.negative_buckets)
    }
}

impl FloatHistogram {
    /// Iterates over the positive buckets like [`Histogram::iter_positive`].
    #[must_use]
    pub fn iter_positive(&self) -> FloatBuckets<'_> {
        FloatBuckets::new(&self.positive_spans, &self.positive_buckets)
    }

    /// Iterates over the negative buckets like [`Histogram::iter_positive`].
    #[must_use]
    pub fn iter_negative(&self) -> FloatBuckets<'_> {
        FloatBuckets::new(&self.negative_spans, &self.negative_buckets)
    }
}

impl<'a> BucketIndices<'a> {
    /// Returns an iterator over the indices of `spans`.
    #[must_use]
    pub fn new(spans: &'a [Span]) -> Self {
        Self { spans: spans.iter(), next: 0, remaining: 0 }
    }
}

impl Iterator for BucketIndices<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        while self.remaining == 0 {
            let span = self.spans.next()?;
            self.next += i64::from(span.offset);
            self.remaining = span.length;
        }
        self.remaining -= 1;
        let index = self.next;
        self.next += 1;
        Some(index)
    }
}

impl<'a> IntBuckets<'a> {
    pub(super) fn new(spans: &'a [Span], deltas: &'a [i64]) -> Self {
        Self { indices: BucketIndices::new(spans), deltas: deltas.iter(), count: 0 }
    }
}

impl Iterator for IntBuckets<'_> {
    type Item = Bucket<i64>;

    fn next(&mut self) -> Option<Bucket<i64>> {
        self.count = self.count.wrapping_add(*self.deltas.next()?);
        Some(Bucket { index: self.indices.next()?, count: self.count })
    }
}

impl<'a> FloatBuckets<'a> {
    pub(super) fn new(spans: &'a [Span], counts: &'a [f64]) -> Self {
        Self { indices: BucketIndices::new(spans), counts: counts.iter() }
    }
}

impl Iterator for FloatBuckets<'_> {
    type Item = Bucket<f64>;

    fn next(&mut self) -> Option<Bucket<f64>> {
        let count = *self.counts.next()?;
        Some(Bucket { index: self.indices.next()?, count })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, BucketIndices};
    use crate::model::histogram::{FloatHistogram, Histogram, Span};

    fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
        spans.iter().map(|&(offset, length)| Span { offset, length }).collect()
    }

    #[test]
    fn buckets_have_indices_of_spans() {
        let positive_spans = spans(&[(-3, 2), (0, 0), (1, 1), (2, 0), (3, 2)]);
        let integer = Histogram {
            positive_spans: positive_spans.clone(),
            positive_buckets: vec![1, 1, -2, 5, 0],
            ..Default::default()
        };
        let buckets: Vec<_> =
            integer.iter_positive().map(|bucket| (bucket.index, bucket.count)).collect();
        assert_eq!(buckets, [(-3, 1), (-2, 2), (0, 0), (6, 5), (7, 5)]);
        let float = FloatHistogram {
            negative_spans: positive_spans,
            negative_buckets: vec![0.5, 2.0],
            ..Default::default()
        };
        let buckets: Vec<_> = float.iter_negative().collect();
        assert_eq!(buckets, [Bucket { index: -3, count: 0.5 }, Bucket { index: -2, count: 2.0 }]);
        assert_eq!(float.iter_positive().count(), 0);
    }

    #[test]
    fn indices_beyond_32_bits_do_not_wrap() {
        let spans = spans(&[(i32::MAX, 1), (i32::MAX, 1)]);
        assert_eq!(
            BucketIndices::new(&spans).collect::<Vec<_>>(),
            [i64::from(i32::MAX), 2 * i64::from(i32::MAX) + 1]
        );
    }

    #[test]
    fn iteration_ends_at_shorter_of_spans_and_counts() {
        let more_counts =
            Histogram { positive_buckets: vec![i64::MAX, i64::MAX], ..Default::default() };
        assert_eq!(more_counts.iter_positive().count(), 0);
        let more_spans =
            Histogram { positive_spans: spans(&[(0, u32::MAX)]), ..Default::default() };
        assert_eq!(more_spans.iter_positive().count(), 0);
    }
}
