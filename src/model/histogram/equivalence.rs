//! Equality of histograms independent of their bucket layout.
//!
//! Two histograms are equivalent if they have the same counts in the same buckets; empty buckets do
//! not matter. A chunk adds empty buckets to older histograms when its layout grows, so a stored
//! histogram can have other spans than the received one. The reset hint depends on adjacent
//! histograms, so only gauge and counter histograms are distinguished.

use crate::model::histogram::buckets::Bucket;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram};

/// Returns `true` if both are equal except for empty buckets and the reset hint.
#[must_use]
pub fn are_equivalent(one: &Histogram, other: &Histogram) -> bool {
    let filled = |bucket: &Bucket<i64>| bucket.count != 0;
    one.schema == other.schema
        && one.count == other.count
        && one.zero_count == other.zero_count
        && one.sum.to_bits() == other.sum.to_bits()
        && eq_ignoring_zero_sign(one.zero_threshold, other.zero_threshold)
        && is_same_gauge_hint(one.reset_hint, other.reset_hint)
        && all_eq_ignoring_zero_sign(&one.custom_values, &other.custom_values)
        && one.iter_positive().filter(filled).eq(other.iter_positive().filter(filled))
        && one.iter_negative().filter(filled).eq(other.iter_negative().filter(filled))
}

/// Returns `true` if both are equal except for empty buckets and the reset hint.
#[must_use]
pub fn are_equivalent_floats(one: &FloatHistogram, other: &FloatHistogram) -> bool {
    let filled = |bucket: &Bucket<f64>| bucket.count != 0.0;
    let bits = |bucket: Bucket<f64>| Bucket { index: bucket.index, count: bucket.count.to_bits() };
    one.schema == other.schema
        && one.count.to_bits() == other.count.to_bits()
        && one.zero_count.to_bits() == other.zero_count.to_bits()
        && one.sum.to_bits() == other.sum.to_bits()
        && eq_ignoring_zero_sign(one.zero_threshold, other.zero_threshold)
        && is_same_gauge_hint(one.reset_hint, other.reset_hint)
        && all_eq_ignoring_zero_sign(&one.custom_values, &other.custom_values)
        && one
            .iter_positive()
            .filter(filled)
            .map(bits)
            .eq(other.iter_positive().filter(filled).map(bits))
        && one
            .iter_negative()
            .filter(filled)
            .map(bits)
            .eq(other.iter_negative().filter(filled).map(bits))
}

/// Returns `true` if both or none are gauge histograms.
fn is_same_gauge_hint(a: CounterResetHint, b: CounterResetHint) -> bool {
    (a == CounterResetHint::Gauge) == (b == CounterResetHint::Gauge)
}

/// Compares bits, but 0 equals -0: chunks do not preserve the sign of zero in these fields.
fn eq_ignoring_zero_sign(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a == b
}

fn all_eq_ignoring_zero_sign(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| eq_ignoring_zero_sign(a, b))
}

#[cfg(test)]
mod tests {
    use super::{are_equivalent, are_equivalent_floats};
    use crate::model::float_sample::STALE_NAN_BITS;
    use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
    use crate::model::sample::SampleValue;

    fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
        spans.iter().map(|&(offset, length)| Span { offset, length }).collect()
    }

    fn integer() -> Histogram {
        Histogram {
            schema: 2,
            zero_threshold: 0.001,
            zero_count: 1,
            count: 9,
            sum: 7.5,
            positive_spans: spans(&[(1, 1), (2, 2)]),
            positive_buckets: vec![3, -2, 2],
            negative_spans: spans(&[(0, 1)]),
            negative_buckets: vec![1],
            ..Default::default()
        }
    }

    fn float() -> FloatHistogram {
        FloatHistogram {
            schema: 2,
            zero_threshold: 0.001,
            zero_count: 1.0,
            count: 9.0,
            sum: 7.5,
            positive_spans: spans(&[(1, 1), (2, 2)]),
            positive_buckets: vec![3.0, 1.0, 3.0],
            ..Default::default()
        }
    }

    #[test]
    fn bucket_layout_does_not_affect_equivalence() {
        let mut wider = integer();
        wider.positive_spans = spans(&[(-1, 0), (1, 2), (0, 5), (9, 0)]);
        wider.positive_buckets = vec![0, 3, -3, 0, 1, 2, -3];
        wider.negative_spans = spans(&[(-2, 3)]);
        wider.negative_buckets = vec![0, 0, 1];
        wider.reset_hint = CounterResetHint::NotReset;
        wider.validate().unwrap();
        assert!(are_equivalent(&wider, &integer()) && are_equivalent(&integer(), &wider));

        let mut wider = float();
        wider.positive_spans = spans(&[(0, 7)]);
        wider.positive_buckets = vec![-0.0, 3.0, 0.0, 0.0, 1.0, 3.0, 0.0];
        assert!(are_equivalent_floats(&wider, &float()) && are_equivalent_floats(&float(), &wider));
    }

    #[test]
    fn every_field_affects_equivalence() {
        let changes: [fn(&mut Histogram); 9] = [
            |histogram| histogram.schema = 1,
            |histogram| histogram.zero_threshold = 0.002,
            |histogram| histogram.zero_count = 2,
            |histogram| histogram.count = 10,
            |histogram| histogram.sum = -7.5,
            |histogram| histogram.reset_hint = CounterResetHint::Gauge,
            |histogram| histogram.positive_buckets[2] = 3,
            |histogram| histogram.negative_spans[0].offset = 1,
            |histogram| histogram.custom_values = vec![1.0],
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut other = integer();
            change(&mut other);
            assert!(
                !are_equivalent(&other, &integer()) && !are_equivalent(&integer(), &other),
                "change {i}"
            );
        }
        let changes: [fn(&mut FloatHistogram); 5] = [
            |histogram| histogram.count = 9.5,
            |histogram| histogram.zero_count = 1.5,
            |histogram| histogram.sum = f64::NAN,
            |histogram| histogram.positive_buckets[1] = 1.5,
            |histogram| histogram.positive_spans[1].offset = 3,
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut other = float();
            change(&mut other);
            assert!(
                !are_equivalent_floats(&other, &float())
                    && !are_equivalent_floats(&float(), &other),
                "change {i}"
            );
        }
    }

    #[test]
    fn values_are_compared_by_type_and_bits() {
        let nan = |bits| SampleValue::Float(f64::from_bits(bits));
        assert!(nan(0x7ff8_0000_0000_0001).is_equivalent(&nan(0x7ff8_0000_0000_0001)));
        assert!(!nan(0x7ff8_0000_0000_0001).is_equivalent(&nan(0x7ff8_0000_0000_0002)));
        assert!(!SampleValue::Float(0.0).is_equivalent(&SampleValue::Float(-0.0)));
        let (integer, float) = (
            SampleValue::Histogram(Box::new(integer())),
            SampleValue::FloatHistogram(Box::new(float())),
        );
        assert!(integer.is_equivalent(&integer.clone()) && float.is_equivalent(&float.clone()));
        assert!(!integer.is_equivalent(&float) && !float.is_equivalent(&SampleValue::Float(1.0)));
    }

    #[test]
    fn stale_markers_are_compared_by_type() {
        let sum = f64::from_bits(STALE_NAN_BITS);
        let empty_stale = SampleValue::Histogram(Box::new(Histogram { sum, ..Default::default() }));
        let full_stale = SampleValue::Histogram(Box::new(Histogram { sum, ..integer() }));
        let float =
            SampleValue::FloatHistogram(Box::new(FloatHistogram { sum, ..Default::default() }));
        assert!(
            empty_stale.is_equivalent(&full_stale)
                && !empty_stale.is_equivalent(&float)
                && !empty_stale.is_equivalent(&SampleValue::Float(sum))
        );
        assert!(SampleValue::Float(sum).is_equivalent(&SampleValue::Float(sum)));
        assert!(!full_stale.is_equivalent(&SampleValue::Histogram(Box::new(integer()))));
    }
}
