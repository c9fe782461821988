//! Compaction of bucket layouts: removes empty buckets from spans and counts.
//!
//! A gap between two buckets with observations is filled with empty buckets if it is short enough,
//! because a span costs more than a few empty buckets. Everything else that is empty is removed.
//! The observations do not change.
//!
//! Source: `model/histogram` of Prometheus, `Compact`.

use crate::model::histogram::buckets::{Bucket, FloatBuckets, IntBuckets};
use crate::model::histogram::{FloatHistogram, Histogram, Span};

/// Removes empty buckets, except for at most `max_empty` in a row between other buckets.
///
/// Buckets whose spans go backwards or exceed 32 bits do not change; validation rejects them.
pub(crate) fn compact(histogram: &mut Histogram, max_empty: u16) {
    compact_deltas(&mut histogram.positive_spans, &mut histogram.positive_buckets, max_empty);
    compact_deltas(&mut histogram.negative_spans, &mut histogram.negative_buckets, max_empty);
}

/// Removes all empty buckets. The exceptions are those of [`compact`].
pub(crate) fn compact_float(histogram: &mut FloatHistogram) {
    compact_counts(&mut histogram.positive_spans, &mut histogram.positive_buckets);
    compact_counts(&mut histogram.negative_spans, &mut histogram.negative_buckets);
}

fn compact_deltas(spans: &mut Vec<Span>, deltas: &mut Vec<i64>, max_empty: u16) {
    let has_empty_bucket = IntBuckets::new(spans, deltas).any(|bucket| bucket.count == 0);
    if !has_empty_bucket && has_compact_spans(spans, max_empty) {
        return;
    }
    let buckets = IntBuckets::new(spans, deltas).filter(|bucket| bucket.count != 0);
    if let Some(mut layout) = CompactLayout::new(buckets, max_empty) {
        let mut before = 0i64;
        for count in &mut layout.counts {
            let delta = count.wrapping_sub(before);
            before = std::mem::replace(count, delta);
        }
        (*spans, *deltas) = (layout.spans, layout.counts);
    }
}

fn compact_counts(spans: &mut Vec<Span>, counts: &mut Vec<f64>) {
    if !counts.contains(&0.0) && has_compact_spans(spans, 0) {
        return;
    }
    let buckets = FloatBuckets::new(spans, counts).filter(|bucket| bucket.count != 0.0);
    if let Some(layout) = CompactLayout::new(buckets, 0) {
        (*spans, *counts) = (layout.spans, layout.counts);
    }
}

/// Returns `true` if no span is empty and every gap is longer than `max_empty` buckets.
fn has_compact_spans(spans: &[Span], max_empty: u16) -> bool {
    spans.iter().all(|span| span.length > 0)
        && spans.iter().skip(1).all(|span| span.offset > i32::from(max_empty))
}

/// Spans and absolute counts without superfluous empty buckets.
struct CompactLayout<C> {
    spans: Vec<Span>,
    counts: Vec<C>,
}

impl<C: Copy + Default> CompactLayout<C> {
    /// Collects buckets with observations. Returns `None` if their indices do not ascend or exceed
    /// 32 bits.
    fn new(buckets: impl Iterator<Item = Bucket<C>>, max_empty: u16) -> Option<Self> {
        let mut layout = Self { spans: Vec::new(), counts: Vec::new() };
        let mut next = 0i64;
        for bucket in buckets {
            let gap = i32::try_from(bucket.index - next).ok()?;
            match layout.spans.last_mut() {
                Some(_) if gap < 0 => return None,
                Some(span) if gap <= i32::from(max_empty) => {
                    span.length += gap.unsigned_abs() + 1;
                    let filler = std::iter::repeat_n(C::default(), gap.unsigned_abs() as usize);
                    layout.counts.extend(filler);
                }
                _ => layout.spans.push(Span { offset: gap, length: 1 }),
            }
            layout.counts.push(bucket.count);
            next = bucket.index + 1;
        }
        Some(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::{compact, compact_float};
    use crate::model::histogram::{FloatHistogram, Histogram, Span};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    /// Spans and counts, maximum number of empty buckets, and the compact spans and counts.
    type Case = (&'static [(i32, u32)], &'static [i64], u16, &'static [(i32, u32)], &'static [i64]);

    fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
        spans.iter().map(|&(offset, length)| Span { offset, length }).collect()
    }

    /// Compacts a histogram with the positive buckets `counts` and returns its spans and counts.
    fn compacted(
        layout: &[(i32, u32)],
        counts: &[i64],
        max_empty: u16,
    ) -> (Vec<(i32, u32)>, Vec<i64>) {
        let mut before = 0;
        let deltas =
            counts.iter().map(|&count| count - std::mem::replace(&mut before, count)).collect();
        let mut histogram = Histogram {
            positive_spans: spans(layout),
            positive_buckets: deltas,
            ..Default::default()
        };
        compact(&mut histogram, max_empty);
        let layout =
            histogram.positive_spans.iter().map(|span| (span.offset, span.length)).collect();
        let mut sum = 0;
        let counts = histogram.positive_buckets.iter().map(|delta| {
            sum += delta;
            sum
        });
        (layout, counts.collect())
    }

    #[test]
    fn empty_buckets_are_removed() {
        let cases: [Case; 11] = [
            (&[(-3, 2), (4, 1)], &[1, 2, 3], 0, &[(-3, 2), (4, 1)], &[1, 2, 3]),
            (&[(0, 0)], &[], 0, &[], &[]),
            (&[(0, 3)], &[0, 0, 0], 2, &[], &[]),
            (&[(-2, 5)], &[0, 1, 0, 2, 0], 0, &[(-1, 1), (1, 1)], &[1, 2]),
            (&[(-2, 5)], &[0, 1, 0, 2, 0], 1, &[(-1, 3)], &[1, 0, 2]),
            (&[(0, 4)], &[1, 0, 0, 2], 1, &[(0, 1), (2, 1)], &[1, 2]),
            (&[(0, 1), (2, 1)], &[1, 2], 2, &[(0, 4)], &[1, 0, 0, 2]),
            (&[(0, 1), (3, 1)], &[1, 2], 2, &[(0, 1), (3, 1)], &[1, 2]),
            (&[(1, 1), (0, 2), (1, 0), (1, 1)], &[1, 2, 3, 4], 0, &[(1, 3), (2, 1)], &[1, 2, 3, 4]),
            (&[(1, 1), (1, 1), (1, 1)], &[1, 0, 2], 2, &[(1, 1), (3, 1)], &[1, 2]),
            // A negative offset is possible only if it does not reorder buckets.
            (&[(0, 1), (-1, 0), (3, 1)], &[1, 2], 0, &[(0, 1), (2, 1)], &[1, 2]),
        ];
        for (layout, counts, max_empty, compact_layout, compact_counts) in cases {
            let (spans, kept) = compacted(layout, counts, max_empty);
            assert_eq!(spans, compact_layout, "{layout:?} {counts:?}");
            assert_eq!(kept, compact_counts, "{layout:?} {counts:?}");
        }
    }

    #[test]
    fn buckets_that_cannot_be_stored_do_not_change() {
        let layouts: [&[(i32, u32)]; 2] = [&[(0, 2), (-2, 1)], &[(0, 2), (i32::MAX, 0), (1, 1)]];
        for layout in layouts {
            let (spans, counts) = compacted(layout, &[1, 0, 2], 0);
            assert_eq!((spans.as_slice(), counts), (layout, vec![1, 0, 2]));
        }
    }

    #[test]
    fn float_zero_has_no_sign_and_nan_is_kept() {
        let mut histogram = FloatHistogram {
            negative_spans: spans(&[(0, 4)]),
            negative_buckets: vec![-0.0, 0.5, f64::NAN, 0.0],
            ..Default::default()
        };
        compact_float(&mut histogram);
        assert_eq!(histogram.negative_spans, spans(&[(1, 2)]));
        assert_eq!(histogram.negative_buckets[0], 0.5);
        assert!(histogram.negative_buckets[1].is_nan());
        assert_eq!(histogram.negative_buckets.len(), 2);
    }

    proptest! {
        #[test]
        fn observations_do_not_change(
            layout in prop::collection::vec((0..4i32, 0..4u32), 0..8),
            counts in prop::collection::vec(-1..2i64, 32),
            max_empty in 0..4u16,
            start in any::<i16>(),
        ) {
            let mut layout = layout;
            if let Some(first) = layout.first_mut() {
                first.0 = i32::from(start);
            }
            let present = layout.iter().map(|(_, length)| *length as usize).sum::<usize>();
            let mut histogram = Histogram {
                positive_spans: spans(&layout),
                positive_buckets: counts[..present].to_vec(),
                ..Default::default()
            };
            let observed = |histogram: &Histogram| {
                let buckets = histogram.iter_positive().map(|bucket| (bucket.index, bucket.count));
                buckets.filter(|(_, count)| *count != 0).collect::<Vec<_>>()
            };
            let before = observed(&histogram);
            compact(&mut histogram, max_empty);
            prop_assert_eq!(observed(&histogram), before);
            let named: usize =
                histogram.positive_spans.iter().map(|span| span.length as usize).sum();
            prop_assert_eq!(histogram.positive_buckets.len(), named);
            let gaps = histogram.positive_spans.iter().skip(1).map(|span| span.offset);
            prop_assert!(gaps.into_iter().all(|gap| gap > i32::from(max_empty)));
            let compact_once = histogram.clone();
            compact(&mut histogram, max_empty);
            prop_assert_eq!(histogram, compact_once);
        }
    }
}
