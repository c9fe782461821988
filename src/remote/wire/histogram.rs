//! Decoder of `prometheus.Histogram` and `io.prometheus.write.v2.Histogram`.
//!
//! It decodes what prost would decode: fields in any order, the last value of each scalar and
//! `oneof`, lists packed or not. As in Prometheus, a histogram is a float histogram exactly if its
//! count is a float. The lists and the zero count of the other kind are ignored.
//!
//! Invariant: no list is longer than [`MAX_LIST`].
//!
//! Source: `prompb/types.proto` and `prompb/codec.go` of Prometheus.

use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use crate::model::sample::{Sample, SampleValue};
use crate::remote::wire::protobuf::{
    DecodeMessageError, FieldKey, MAX_DEPTH, MessageCursor, WireType,
};
use crate::remote::wire::schema::FIELD_LEVEL;

/// Maximum number of buckets, spans or custom values: enough for 256 powers of two at the highest
/// stored schema. Client libraries use some hundreds.
pub const MAX_LIST: usize = 1 << 16;

/// Decodes a histogram and normalizes it for storage. Returns `None` if the bytes are not such a
/// message.
pub(crate) fn storable_histogram(
    message: MessageCursor<'_>,
) -> Option<Result<Sample, InvalidItem<HistogramError>>> {
    into_sample(message, HistogramFields::default())
}

/// Like [`storable_histogram`] for `io.prometheus.write.v2.Histogram`, which has a start timestamp
/// too.
pub(crate) fn storable_histogram_v2(
    message: MessageCursor<'_>,
) -> Option<Result<Sample, InvalidItem<HistogramError>>> {
    into_sample(message, HistogramFields { start_timestamp: Some(0), ..HistogramFields::default() })
}

fn into_sample(
    message: MessageCursor<'_>,
    mut fields: HistogramFields,
) -> Option<Result<Sample, InvalidItem<HistogramError>>> {
    match fields.read(message) {
        Ok(()) => {}
        Err(ReadStop::Malformed) => return None,
        Err(ReadStop::TooLong) => {
            return Some(Err(InvalidItem {
                t: fields.timestamp,
                reason: HistogramError::TooLong(MAX_LIST),
            }));
        }
    }
    let mut sample = fields.into_unchecked_sample();
    Some(match sample.value.normalize_for_storage() {
        Ok(()) => Ok(sample),
        Err(error) => Err(InvalidItem { t: sample.t, reason: error.into() }),
    })
}

/// Integer or float count.
#[derive(Debug, Clone, Copy, PartialEq)]
enum CountField {
    Int(u64),
    Float(f64),
}

/// Buckets of one sign, as integer deltas and as float counts.
#[derive(Debug, Default)]
struct BucketLists {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

#[derive(Debug, Default)]
struct HistogramFields {
    count: Option<CountField>,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_count: Option<CountField>,
    negative: BucketLists,
    positive: BucketLists,
    reset_hint: u8,
    timestamp: i64,
    custom_values: Vec<f64>,
    /// `None` if the message type has no such field; field 17 is then unknown and skipped.
    start_timestamp: Option<i64>,
}

enum ReadStop {
    Malformed,
    TooLong,
}

impl From<DecodeMessageError> for ReadStop {
    fn from(_: DecodeMessageError) -> Self {
        Self::Malformed
    }
}

impl HistogramFields {
    fn read(&mut self, mut message: MessageCursor<'_>) -> Result<(), ReadStop> {
        while !message.is_at_end() {
            let key = message.key()?;
            match key.field {
                1 => self.count = Some(CountField::Int(varint(&mut message, key)?)),
                2 => self.count = Some(CountField::Float(double(&mut message, key)?)),
                3 => self.sum = double(&mut message, key)?,
                4 => self.schema = zigzag32(varint(&mut message, key)?),
                5 => self.zero_threshold = double(&mut message, key)?,
                6 => self.zero_count = Some(CountField::Int(varint(&mut message, key)?)),
                7 => self.zero_count = Some(CountField::Float(double(&mut message, key)?)),
                8 => push(&mut self.negative.spans, span(&mut message, key)?)?,
                9 => varints(&mut message, key, &mut self.negative.deltas)?,
                10 => doubles(&mut message, key, &mut self.negative.counts)?,
                11 => push(&mut self.positive.spans, span(&mut message, key)?)?,
                12 => varints(&mut message, key, &mut self.positive.deltas)?,
                13 => doubles(&mut message, key, &mut self.positive.counts)?,
                14 => self.reset_hint = varint(&mut message, key)? as u8,
                15 => self.timestamp = varint(&mut message, key)? as i64,
                16 => doubles(&mut message, key, &mut self.custom_values)?,
                17 if self.start_timestamp.is_some() => {
                    self.start_timestamp = Some(varint(&mut message, key)? as i64)
                }
                _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
            }
        }
        Ok(())
    }

    fn into_unchecked_sample(self) -> Sample {
        let t = self.timestamp;
        let reset_hint = CounterResetHint::from_byte(self.reset_hint).unwrap_or_default();
        let value = match self.count {
            Some(CountField::Float(count)) => {
                SampleValue::FloatHistogram(Box::new(FloatHistogram {
                    reset_hint,
                    schema: self.schema,
                    zero_threshold: self.zero_threshold,
                    zero_count: if let Some(CountField::Float(count)) = self.zero_count {
                        count
                    } else {
                        0.0
                    },
                    count,
                    sum: self.sum,
                    positive_spans: self.positive.spans,
                    negative_spans: self.negative.spans,
                    positive_buckets: self.positive.counts,
                    negative_buckets: self.negative.counts,
                    custom_values: self.custom_values,
                }))
            }
            count => SampleValue::Histogram(Box::new(Histogram {
                reset_hint,
                schema: self.schema,
                zero_threshold: self.zero_threshold,
                zero_count: if let Some(CountField::Int(count)) = self.zero_count {
                    count
                } else {
                    0
                },
                count: if let Some(CountField::Int(count)) = count { count } else { 0 },
                sum: self.sum,
                positive_spans: self.positive.spans,
                negative_spans: self.negative.spans,
                positive_buckets: self.positive.deltas,
                negative_buckets: self.negative.deltas,
                custom_values: self.custom_values,
            })),
        };
        Sample { start_timestamp: self.start_timestamp.unwrap_or_default(), t, value }
    }
}

fn varint(message: &mut MessageCursor<'_>, key: FieldKey) -> Result<u64, DecodeMessageError> {
    message.expect_wire_type(key, WireType::Varint)?;
    message.varint()
}

fn double(message: &mut MessageCursor<'_>, key: FieldKey) -> Result<f64, DecodeMessageError> {
    message.expect_wire_type(key, WireType::Fixed64)?;
    message.fixed64().map(f64::from_bits)
}

/// Reads a `prometheus.BucketSpan`.
fn span(message: &mut MessageCursor<'_>, key: FieldKey) -> Result<Span, DecodeMessageError> {
    message.expect_wire_type(key, WireType::Length)?;
    let mut fields = message.message()?;
    let mut span = Span { offset: 0, length: 0 };
    while !fields.is_at_end() {
        let key = fields.key()?;
        match key.field {
            1 => span.offset = zigzag32(varint(&mut fields, key)?),
            2 => span.length = varint(&mut fields, key)? as u32,
            _ => fields.skip_value(key, MAX_DEPTH - FIELD_LEVEL - 1)?,
        }
    }
    Ok(span)
}

/// Reads integer deltas: one value, or a packed list that may continue in another field.
fn varints(
    message: &mut MessageCursor<'_>,
    key: FieldKey,
    list: &mut Vec<i64>,
) -> Result<(), ReadStop> {
    if key.wire != WireType::Length {
        return push(list, zigzag64(varint(message, key)?));
    }
    let mut packed = message.message()?;
    // Every varint ends with a byte below 0x80.
    let count = packed.rest().iter().filter(|byte| **byte < 0x80).count();
    reserve(list, count)?;
    while !packed.is_at_end() {
        push(list, zigzag64(packed.varint()?))?;
    }
    Ok(())
}

/// Reads float counts or custom values in the same way.
fn doubles(
    message: &mut MessageCursor<'_>,
    key: FieldKey,
    list: &mut Vec<f64>,
) -> Result<(), ReadStop> {
    if key.wire != WireType::Length {
        return push(list, double(message, key)?);
    }
    let mut packed = message.message()?;
    reserve(list, packed.rest().len() / 8)?;
    while !packed.is_at_end() {
        push(list, f64::from_bits(packed.fixed64()?))?;
    }
    Ok(())
}

fn push<T>(list: &mut Vec<T>, value: T) -> Result<(), ReadStop> {
    if list.len() == MAX_LIST {
        return Err(ReadStop::TooLong);
    }
    list.push(value);
    Ok(())
}

/// Reserves space for `count` more values within [`MAX_LIST`].
fn reserve<T>(list: &mut Vec<T>, count: usize) -> Result<(), ReadStop> {
    if count > MAX_LIST - list.len() {
        return Err(ReadStop::TooLong);
    }
    list.reserve(count);
    Ok(())
}

/// Decodes a `sint32`; only the lower 32 bits of the varint count.
fn zigzag32(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Decodes a `sint64` (zigzag).
fn zigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
