//! Tests of the reduction to lower schemas.

use super::{limit_float_resolution, limit_resolution};
use crate::model::histogram::validate::{BucketSign, InvalidHistogram};
use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};
use std::collections::BTreeMap;

fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
    spans.iter().map(|&(offset, length)| Span { offset, length }).collect()
}

#[test]
fn schema_9_merges_pairs_of_buckets() {
    let mut histogram = Histogram {
        schema: 9,
        count: 19,
        // Buckets 0 to 3 and 7 become 0, 1, 1, 2 and 4 in schema 8.
        positive_spans: spans(&[(0, 4), (3, 1)]),
        positive_buckets: vec![1, 1, 1, 1, 1],
        // Buckets -1 and 0 both become 0.
        negative_spans: spans(&[(-1, 2)]),
        negative_buckets: vec![2, 0],
        ..Default::default()
    };
    histogram.validate().unwrap_err();
    limit_resolution(&mut histogram).unwrap();
    assert_eq!(histogram.schema, 8);
    assert_eq!(histogram.positive_spans, spans(&[(0, 3), (1, 1)]));
    assert_eq!(
        histogram.iter_positive().map(|bucket| bucket.count).collect::<Vec<_>>(),
        [1, 5, 4, 5]
    );
    assert_eq!(histogram.negative_spans, spans(&[(0, 1)]));
    assert_eq!(histogram.negative_buckets, [4]);
    histogram.validate().unwrap();
}

#[test]
fn highest_schema_reduces_to_two_buckets() {
    let mut histogram = FloatHistogram {
        schema: 52,
        count: 6.5,
        positive_spans: spans(&[(i32::MIN + 1, 1), (i32::MAX - 1, 2), (5, 1)]),
        positive_buckets: vec![1.0, 2.0, 0.5, 3.0],
        ..Default::default()
    };
    limit_float_resolution(&mut histogram).unwrap();
    assert_eq!(histogram.positive_spans, spans(&[(0, 2)]));
    assert_eq!(histogram.positive_buckets, [3.0, 3.5]);
}

#[test]
fn other_schemas_are_unchanged() {
    for schema in [CUSTOM_BUCKETS_SCHEMA, -9, -5, -4, 0, 8, 53, i32::MAX, i32::MIN] {
        let before = Histogram {
            schema,
            positive_spans: spans(&[(0, 1)]),
            positive_buckets: vec![1],
            ..Default::default()
        };
        let mut after = before.clone();
        limit_resolution(&mut after).unwrap();
        assert_eq!(after, before);
    }
}

#[test]
fn mismatched_spans_are_rejected() {
    let side = BucketSign::Positive;
    for (list, error) in [
        (spans(&[(0, 1), (-1, 1)]), InvalidHistogram::SpanOffset { side, number: 2, offset: -1 }),
        (spans(&[(0, 1)]), InvalidHistogram::BucketCountMismatch { side, named: 1, present: 2 }),
        (
            spans(&[(0, u32::MAX), (0, u32::MAX)]),
            InvalidHistogram::BucketCountMismatch { side, named: 8_589_934_590, present: 2 },
        ),
        (
            spans(&[(i32::MAX, 1), (i32::MAX, 1)]),
            InvalidHistogram::BucketCountMismatch { side, named: 2, present: 3 },
        ),
    ] {
        let present = if let InvalidHistogram::BucketCountMismatch { present, .. } = error {
            present
        } else {
            2
        };
        let mut histogram = Histogram {
            schema: 9,
            positive_spans: list,
            positive_buckets: vec![1; present],
            ..Default::default()
        };
        let before = histogram.clone();
        assert_eq!(limit_resolution(&mut histogram), Err(error));
        assert_eq!(histogram, before);
    }
    let mut far = Histogram {
        schema: 9,
        positive_spans: spans(&[(i32::MAX, 1), (i32::MAX, 1), (i32::MAX, 1)]),
        positive_buckets: vec![1, 0, 0],
        ..Default::default()
    };
    assert_eq!(limit_resolution(&mut far), Ok(()));
    assert_eq!(far.validate(), Err(InvalidHistogram::BucketIndex { side }));
}

fn sparse_counts() -> impl Strategy<Value = BTreeMap<i32, u32>> {
    prop::collection::btree_map(-2000..2000i32, 0..1000u32, 0..30)
}

fn with_counts(schema: i32, counts: &BTreeMap<i32, u32>) -> Histogram {
    let mut histogram = Histogram { schema, ..Default::default() };
    let (mut next, mut before) = (0, 0);
    for (&index, &count) in counts {
        if index != next || histogram.positive_spans.is_empty() {
            histogram.positive_spans.push(Span { offset: index - next, length: 0 });
        }
        histogram.positive_spans.last_mut().unwrap().length += 1;
        histogram.positive_buckets.push(i64::from(count) - before);
        histogram.count += u64::from(count);
        (next, before) = (index + 1, i64::from(count));
    }
    histogram
}

proptest! {
    #[test]
    fn merged_buckets_have_the_sum_of_counts(schema in 9..=52i32, counts in sparse_counts()) {
        let mut expected = BTreeMap::<i64, i64>::new();
        for (&index, &count) in &counts {
            // The upper bound is 2^(index / 2^schema). In schema 8, the next bound that is not
            // lower applies.
            let ratio = f64::from(index) / f64::from(schema - 8).exp2();
            *expected.entry(ratio.ceil() as i64).or_default() += i64::from(count);
        }
        let mut histogram = with_counts(schema, &counts);
        let mut float = FloatHistogram {
            schema,
            positive_spans: histogram.positive_spans.clone(),
            positive_buckets: counts.values().map(|&count| f64::from(count)).collect(),
            ..Default::default()
        };
        limit_resolution(&mut histogram).unwrap();
        prop_assert!(histogram.validate().is_ok());
        let buckets = histogram.iter_positive().map(|bucket| (bucket.index, bucket.count));
        prop_assert!(buckets.eq(expected.clone()));
        limit_float_resolution(&mut float).unwrap();
        prop_assert!(float.validate().is_ok());
        prop_assert_eq!(&float.positive_spans, &histogram.positive_spans);
        let buckets = float.iter_positive().map(|bucket| (bucket.index, bucket.count as i64));
        prop_assert!(buckets.eq(expected));
    }
}
