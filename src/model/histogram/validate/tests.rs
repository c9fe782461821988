//! Tests of histogram validation.

use super::{BucketSign, InvalidHistogram};
use crate::model::histogram::equivalence::are_equivalent;
use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};
use crate::model::sample::SampleValue;
use proptest::prelude::{any, prop, proptest};

const INFINITE: f64 = f64::INFINITY;

fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
    spans.iter().map(|&(offset, length)| Span { offset, length }).collect()
}

fn integer() -> Histogram {
    Histogram {
        zero_count: 1,
        count: 12,
        sum: 7.5,
        positive_spans: spans(&[(-5, 1), (0, 0), (2, 2)]),
        positive_buckets: vec![3, -2, 2],
        negative_spans: spans(&[(0, 2)]),
        negative_buckets: vec![4, -4],
        ..Default::default()
    }
}

fn float() -> FloatHistogram {
    FloatHistogram {
        zero_count: 0.5,
        count: 1.0,
        sum: 7.5,
        positive_spans: spans(&[(-5, 1), (2, 2)]),
        positive_buckets: vec![3.0, 1.0, f64::NAN],
        negative_spans: spans(&[(0, 1)]),
        negative_buckets: vec![0.25],
        ..Default::default()
    }
}

fn custom() -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 6,
        sum: 7.5,
        positive_spans: spans(&[(0, 1), (1, 2)]),
        positive_buckets: vec![1, 1, 1],
        custom_values: vec![f64::NEG_INFINITY, 1.0, 2.5],
        ..Default::default()
    }
}

fn integer_with(change: impl FnOnce(&mut Histogram)) -> Result<(), InvalidHistogram> {
    let mut histogram = integer();
    change(&mut histogram);
    histogram.validate()
}

fn float_with(change: impl FnOnce(&mut FloatHistogram)) -> Result<(), InvalidHistogram> {
    let mut histogram = float();
    change(&mut histogram);
    histogram.validate()
}

/// Applies the change to an integer histogram and to a float histogram with the same buckets.
fn custom_with(change: impl FnOnce(&mut Histogram)) -> Result<(), InvalidHistogram> {
    let mut histogram = custom();
    change(&mut histogram);
    let float = FloatHistogram {
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: histogram.zero_count as f64,
        count: histogram.count as f64,
        positive_spans: histogram.positive_spans.clone(),
        positive_buckets: histogram.positive_buckets.iter().map(|&count| count as f64).collect(),
        negative_spans: histogram.negative_spans.clone(),
        negative_buckets: histogram.negative_buckets.iter().map(|&count| count as f64).collect(),
        custom_values: histogram.custom_values.clone(),
        ..Default::default()
    };
    let result = histogram.validate();
    assert_eq!(float.validate(), result);
    result
}

#[test]
fn valid_histograms_are_accepted() {
    assert_eq!(integer_with(|_| {}), Ok(()));
    assert_eq!(float_with(|_| {}), Ok(()));
    assert_eq!(custom_with(|_| {}), Ok(()));
    assert_eq!(Histogram::default().validate(), Ok(()));
    assert_eq!(FloatHistogram::default().validate(), Ok(()));
    for schema in -4..=8 {
        assert_eq!(integer_with(|histogram| histogram.schema = schema), Ok(()));
    }
}

#[test]
fn unsupported_schemas_are_rejected() {
    for schema in [i32::MIN, -54, -52, -9, -5, 9, 52, 53, i32::MAX] {
        assert_eq!(
            integer_with(|histogram| histogram.schema = schema),
            Err(InvalidHistogram::Schema(schema))
        );
        assert_eq!(
            float_with(|histogram| histogram.schema = schema),
            Err(InvalidHistogram::Schema(schema))
        );
    }
}

#[test]
fn high_schemas_are_normalized_for_storage() {
    for (schema, is_storable) in
        [(8, true), (9, true), (52, true), (53, false), (-5, false), (-9, false)]
    {
        let mut value = SampleValue::Histogram(Box::new(Histogram { schema, ..integer() }));
        assert_eq!(value.normalize_for_storage().is_ok(), is_storable, "schema {schema}");
        let mut value = SampleValue::FloatHistogram(Box::new(FloatHistogram { schema, ..float() }));
        assert_eq!(value.normalize_for_storage().is_ok(), is_storable, "schema {schema}");
    }
    assert_eq!(SampleValue::Float(f64::NAN).normalize_for_storage(), Ok(()));
}

#[test]
fn mismatched_spans_are_rejected() {
    let (side, other) = (BucketSign::Positive, BucketSign::Negative);
    let result = integer_with(|histogram| histogram.positive_spans[2].offset = -1);
    assert_eq!(result, Err(InvalidHistogram::SpanOffset { side, number: 3, offset: -1 }));
    let result = integer_with(|histogram| histogram.positive_spans[2].length = 3);
    assert_eq!(result, Err(InvalidHistogram::BucketCountMismatch { side, named: 4, present: 3 }));
    let result = float_with(|histogram| histogram.negative_buckets.push(0.0));
    assert_eq!(
        result,
        Err(InvalidHistogram::BucketCountMismatch { side: other, named: 1, present: 2 })
    );
    let result = float_with(|histogram| histogram.negative_spans[0].offset = i32::MAX);
    assert_eq!(result, Err(InvalidHistogram::BucketIndex { side: other }));
}

#[test]
fn negative_counts_are_rejected() {
    let (side, other) = (BucketSign::Positive, BucketSign::Negative);
    let result = integer_with(|histogram| histogram.positive_buckets[1] = -4);
    assert_eq!(result, Err(InvalidHistogram::NegativeBucket { side, number: 2, count: -1.0 }));
    let result = integer_with(|histogram| histogram.negative_buckets = vec![i64::MAX, 1]);
    assert!(matches!(
        result,
        Err(InvalidHistogram::NegativeBucket { side: BucketSign::Negative, number: 2, .. })
    ));
    let result = float_with(|histogram| histogram.negative_buckets[0] = -0.5);
    assert_eq!(
        result,
        Err(InvalidHistogram::NegativeBucket { side: other, number: 1, count: -0.5 })
    );
    let result = float_with(|histogram| histogram.zero_count = -1.0);
    assert_eq!(result, Err(InvalidHistogram::NegativeZeroBucket(-1.0)));
    assert_eq!(
        float_with(|histogram| histogram.count = -1.0),
        Err(InvalidHistogram::NegativeCount(-1.0))
    );
}

#[test]
fn bucket_counts_add_up_except_for_nan() {
    let mismatch = |count| Err(InvalidHistogram::CountMismatch { buckets: 12, count });
    assert_eq!(integer_with(|histogram| histogram.count = 13), mismatch(13));
    assert_eq!(integer_with(|histogram| histogram.count = 11), mismatch(11));
    let not_a_number =
        |count| integer_with(|histogram| (histogram.count, histogram.sum) = (count, f64::NAN));
    assert_eq!(not_a_number(13), Ok(()));
    assert_eq!(not_a_number(12), Ok(()));
    assert_eq!(not_a_number(11), mismatch(11));
    // Infinite sums result from numbers, which are in buckets.
    assert_eq!(
        integer_with(|histogram| (histogram.count, histogram.sum) = (13, INFINITE)),
        mismatch(13)
    );
    // Float counts are rounded, so they are not compared.
    assert_eq!(float_with(|histogram| histogram.count = 0.0), Ok(()));
}

#[test]
fn custom_bounds_must_be_finite_and_ascending() {
    for bounds in [
        vec![1.0, 1.0, 2.0],
        vec![2.0, 1.0, 3.0],
        vec![1.0, f64::NAN, 2.0],
        vec![1.0, 2.0, INFINITE],
    ] {
        assert_eq!(
            custom_with(|histogram| histogram.custom_values = bounds),
            Err(InvalidHistogram::CustomBounds)
        );
    }
    for bound in [f64::NAN, INFINITE] {
        let result = custom_with(|histogram| histogram.custom_values = vec![bound]);
        assert_eq!(result, Err(InvalidHistogram::CustomBounds));
    }
}

#[test]
fn custom_buckets_must_be_within_bounds() {
    let result = custom_with(|histogram| histogram.custom_values.truncate(2));
    assert_eq!(result, Err(InvalidHistogram::TooFewCustomBounds { reach: 4, bounds: 2 }));
    let side = BucketSign::Positive;
    let result = custom_with(|histogram| histogram.positive_spans[0].offset = -1);
    assert_eq!(result, Err(InvalidHistogram::SpanOffset { side, number: 1, offset: -1 }));
}

#[test]
fn custom_buckets_must_be_positive() {
    let changes: [fn(&mut Histogram); 2] =
        [|histogram| histogram.zero_count = 1, |histogram| histogram.zero_threshold = 1.0];
    for change in changes {
        assert_eq!(custom_with(change), Err(InvalidHistogram::CustomZeroBucket));
    }
    let changes: [fn(&mut Histogram); 2] = [
        |histogram| histogram.negative_spans = spans(&[(0, 0)]),
        |histogram| histogram.negative_buckets = vec![1],
    ];
    for change in changes {
        assert_eq!(custom_with(change), Err(InvalidHistogram::CustomNegativeBuckets));
    }
    let result = integer_with(|histogram| histogram.custom_values = vec![1.0]);
    assert_eq!(result, Err(InvalidHistogram::ExponentialCustomBounds(0)));
}

proptest! {
    #[test]
    fn arbitrary_histogram_does_not_panic(
        schema in prop::sample::select(vec![-53, -9, -4, 0, 8, 9, 30, 52]),
        lists in any::<(Vec<(i32, u32)>, Vec<(i32, u32)>)>(),
        buckets in any::<(Vec<i64>, Vec<i64>)>(),
        counts in any::<(u64, u64)>(),
        custom_values in any::<Vec<f64>>(),
    ) {
        let histogram = Histogram {
            schema,
            zero_count: counts.0,
            count: counts.1,
            positive_spans: spans(&lists.0),
            negative_spans: spans(&lists.1),
            positive_buckets: buckets.0,
            negative_buckets: buckets.1,
            custom_values,
            ..Default::default()
        };
        let mut value = SampleValue::Histogram(Box::new(histogram.clone()));
        let _ = value.normalize_for_storage();
        assert!(value.is_equivalent(&value));
        assert!(are_equivalent(&histogram, &histogram));
    }
}
