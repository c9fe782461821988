//! Encoder of `prometheus.Histogram` for read responses.
//!
//! It is written by hand because prost leaves out a sum of -0. Otherwise the output equals that of
//! prost and Prometheus (`prompb/codec.go`): zero fields are left out, except for the counts, whose
//! presence tells the kind of the histogram; lists are packed.

use crate::model::histogram::{FloatHistogram, Histogram, Span};
use prost::encoding::{encode_varint, encoded_len_varint};

/// Keys of the fields, including their wire types.
mod key {
    pub(super) const COUNT_INT: u8 = 1 << 3;
    pub(super) const COUNT_FLOAT: u8 = 2 << 3 | 1;
    pub(super) const SUM: u8 = 3 << 3 | 1;
    pub(super) const SCHEMA: u8 = 4 << 3;
    pub(super) const ZERO_THRESHOLD: u8 = 5 << 3 | 1;
    pub(super) const ZERO_COUNT_INT: u8 = 6 << 3;
    pub(super) const ZERO_COUNT_FLOAT: u8 = 7 << 3 | 1;
    pub(super) const NEGATIVE_SPANS: u8 = 8 << 3 | 2;
    pub(super) const NEGATIVE_DELTAS: u8 = 9 << 3 | 2;
    pub(super) const NEGATIVE_COUNTS: u8 = 10 << 3 | 2;
    pub(super) const POSITIVE_SPANS: u8 = 11 << 3 | 2;
    pub(super) const POSITIVE_DELTAS: u8 = 12 << 3 | 2;
    pub(super) const POSITIVE_COUNTS: u8 = 13 << 3 | 2;
    pub(super) const RESET_HINT: u8 = 14 << 3;
    pub(super) const TIMESTAMP: u8 = 15 << 3;
    /// Key of field 16, which takes two bytes.
    pub(super) const CUSTOM_VALUES: [u8; 2] = [0x82, 0x01];
    /// Keys of `BucketSpan`: `offset` and `length`.
    pub(super) const OFFSET: u8 = 1 << 3;
    pub(super) const LENGTH: u8 = 2 << 3;
}

/// Encoder that reuses its buffer for the next message.
#[derive(Debug, Default)]
pub(crate) struct HistogramEncoder {
    message: Vec<u8>,
}

impl HistogramEncoder {
    /// Returns the encoded integer histogram at `t` ms.
    pub(crate) fn integer(&mut self, t: i64, histogram: &Histogram) -> &[u8] {
        self.message.clear();
        self.put_varint(key::COUNT_INT, histogram.count);
        self.put_scale(histogram.sum, histogram.schema, histogram.zero_threshold);
        self.put_varint(key::ZERO_COUNT_INT, histogram.zero_count);
        self.put_spans(key::NEGATIVE_SPANS, &histogram.negative_spans);
        self.put_deltas(key::NEGATIVE_DELTAS, &histogram.negative_buckets);
        self.put_spans(key::POSITIVE_SPANS, &histogram.positive_spans);
        self.put_deltas(key::POSITIVE_DELTAS, &histogram.positive_buckets);
        self.put_end(histogram.reset_hint.as_byte(), t, &histogram.custom_values);
        &self.message
    }

    /// Returns the encoded float histogram at `t` ms.
    pub(crate) fn float(&mut self, t: i64, histogram: &FloatHistogram) -> &[u8] {
        self.message.clear();
        self.put_double(key::COUNT_FLOAT, histogram.count);
        self.put_scale(histogram.sum, histogram.schema, histogram.zero_threshold);
        self.put_double(key::ZERO_COUNT_FLOAT, histogram.zero_count);
        self.put_spans(key::NEGATIVE_SPANS, &histogram.negative_spans);
        self.put_doubles(&[key::NEGATIVE_COUNTS], &histogram.negative_buckets);
        self.put_spans(key::POSITIVE_SPANS, &histogram.positive_spans);
        self.put_doubles(&[key::POSITIVE_COUNTS], &histogram.positive_buckets);
        self.put_end(histogram.reset_hint.as_byte(), t, &histogram.custom_values);
        &self.message
    }

    fn put_scale(&mut self, sum: f64, schema: i32, zero_threshold: f64) {
        if sum.to_bits() != 0 {
            self.put_double(key::SUM, sum);
        }
        if schema != 0 {
            self.put_varint(key::SCHEMA, zig_zag(schema.into()));
        }
        if zero_threshold.to_bits() != 0 {
            self.put_double(key::ZERO_THRESHOLD, zero_threshold);
        }
    }

    fn put_end(&mut self, reset_hint: u8, t: i64, custom_values: &[f64]) {
        if reset_hint != 0 {
            self.put_varint(key::RESET_HINT, reset_hint.into());
        }
        if t != 0 {
            self.put_varint(key::TIMESTAMP, t as u64);
        }
        self.put_doubles(&key::CUSTOM_VALUES, custom_values);
    }

    fn put_spans(&mut self, key: u8, spans: &[Span]) {
        for span in spans {
            let (offset, length) = (zig_zag(span.offset.into()), u64::from(span.length));
            let len = |value: u64| if value == 0 { 0 } else { 1 + encoded_len_varint(value) };
            self.put_varint(key, (len(offset) + len(length)) as u64);
            if offset != 0 {
                self.put_varint(key::OFFSET, offset);
            }
            if length != 0 {
                self.put_varint(key::LENGTH, length);
            }
        }
    }

    fn put_deltas(&mut self, key: u8, deltas: &[i64]) {
        if deltas.is_empty() {
            return;
        }
        let len: usize = deltas.iter().map(|delta| encoded_len_varint(zig_zag(*delta))).sum();
        self.put_varint(key, len as u64);
        deltas.iter().for_each(|delta| encode_varint(zig_zag(*delta), &mut self.message));
    }

    fn put_doubles(&mut self, key: &[u8], values: &[f64]) {
        if values.is_empty() {
            return;
        }
        self.message.extend_from_slice(key);
        encode_varint(8 * values.len() as u64, &mut self.message);
        values.iter().for_each(|value| self.message.extend_from_slice(&value.to_le_bytes()));
    }

    fn put_varint(&mut self, key: u8, value: u64) {
        self.message.push(key);
        encode_varint(value, &mut self.message);
    }

    fn put_double(&mut self, key: u8, value: f64) {
        self.message.push(key);
        self.message.extend_from_slice(&value.to_le_bytes());
    }
}

/// Encodes a signed number in zigzag form, so that small ones are short.
fn zig_zag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::HistogramEncoder;
    use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
    use crate::remote::pb::prometheus as pb;
    use crate::remote::pb::prometheus::histogram::{Count, ZeroCount};
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
    use prost::Message;

    /// Returns any bits except for -0, which prost leaves out of singular fields.
    fn any_double() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.0), any::<u64>().prop_map(f64::from_bits)]
            .prop_map(|v| if v == 0.0 { 0.0 } else { v })
    }

    fn any_spans() -> impl Strategy<Value = Vec<Span>> {
        let span = (prop_oneof![Just(0), any::<i32>()], prop_oneof![Just(0), any::<u32>()]);
        proptest::collection::vec(span.prop_map(|(offset, length)| Span { offset, length }), 0..4)
    }

    fn any_hint() -> impl Strategy<Value = CounterResetHint> {
        (0u8..4).prop_map(|byte| CounterResetHint::from_byte(byte).unwrap())
    }

    fn doubles() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..5)
    }

    fn any_integer() -> impl Strategy<Value = Histogram> {
        let counts = (prop_oneof![Just(0), any::<u64>()], prop_oneof![Just(0), any::<u64>()]);
        let deltas = || proptest::collection::vec(any::<i64>(), 0..5);
        let scale = (any_hint(), prop_oneof![Just(0), any::<i32>()], any_double(), any_double());
        (scale, counts, any_spans(), any_spans(), deltas(), deltas(), doubles()).prop_map(
            |(
                scale,
                counts,
                positive_spans,
                negative_spans,
                positive_buckets,
                negative_buckets,
                custom_values,
            )| {
                let (reset_hint, schema, zero_threshold, sum) = scale;
                let (zero_count, count) = counts;
                Histogram {
                    reset_hint,
                    schema,
                    zero_threshold,
                    zero_count,
                    count,
                    sum,
                    positive_spans,
                    negative_spans,
                    positive_buckets,
                    negative_buckets,
                    custom_values,
                }
            },
        )
    }

    fn any_float() -> impl Strategy<Value = FloatHistogram> {
        (any_integer(), any::<u64>(), any::<u64>(), doubles(), doubles()).prop_map(
            |(base, zero_count, count, positive_buckets, negative_buckets)| FloatHistogram {
                reset_hint: base.reset_hint,
                schema: base.schema,
                zero_threshold: base.zero_threshold,
                zero_count: f64::from_bits(zero_count),
                count: f64::from_bits(count),
                sum: base.sum,
                positive_spans: base.positive_spans,
                negative_spans: base.negative_spans,
                positive_buckets,
                negative_buckets,
                custom_values: base.custom_values,
            },
        )
    }

    fn spans(spans: &[Span]) -> Vec<pb::BucketSpan> {
        spans
            .iter()
            .map(|span| pb::BucketSpan { offset: span.offset, length: span.length })
            .collect()
    }

    fn message(t: i64, histogram: &Histogram) -> pb::Histogram {
        pb::Histogram {
            count: Some(Count::CountInt(histogram.count)),
            sum: histogram.sum,
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero_count: Some(ZeroCount::ZeroCountInt(histogram.zero_count)),
            negative_spans: spans(&histogram.negative_spans),
            negative_deltas: histogram.negative_buckets.clone(),
            positive_spans: spans(&histogram.positive_spans),
            positive_deltas: histogram.positive_buckets.clone(),
            reset_hint: histogram.reset_hint.as_byte().into(),
            timestamp: t,
            custom_values: histogram.custom_values.clone(),
            ..Default::default()
        }
    }

    fn float_message(t: i64, histogram: &FloatHistogram) -> pb::Histogram {
        pb::Histogram {
            count: Some(Count::CountFloat(histogram.count)),
            sum: histogram.sum,
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero_count: Some(ZeroCount::ZeroCountFloat(histogram.zero_count)),
            negative_spans: spans(&histogram.negative_spans),
            negative_counts: histogram.negative_buckets.clone(),
            positive_spans: spans(&histogram.positive_spans),
            positive_counts: histogram.positive_buckets.clone(),
            reset_hint: histogram.reset_hint.as_byte().into(),
            timestamp: t,
            custom_values: histogram.custom_values.clone(),
            ..Default::default()
        }
    }

    #[test]
    fn sum_of_negative_zero_is_kept() {
        let histogram = Histogram { sum: -0.0, ..Histogram::default() };
        let message =
            pb::Histogram::decode(HistogramEncoder::default().integer(7, &histogram)).unwrap();
        assert_eq!((message.sum.to_bits(), message.timestamp), ((-0.0f64).to_bits(), 7));
    }

    proptest! {
        #[test]
        fn message_equals_prost_encoding(
            t in prop_oneof![Just(0), any::<i64>()], integer in any_integer(), float in any_float(),
        ) {
            let mut encoder = HistogramEncoder::default();
            prop_assert_eq!(encoder.integer(t, &integer), message(t, &integer).encode_to_vec());
            prop_assert_eq!(encoder.float(t, &float), float_message(t, &float).encode_to_vec());
        }
    }
}
