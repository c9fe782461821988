//! A native histogram of a write request as a value: the message `prometheus.Histogram` decoded where it stands.
//!
//! What prost would give is what is taken: fields in any order, of each scalar and of each `oneof` the last, lists in one piece or in many.
//! As Prometheus has it, a histogram is one of floats exactly if its count is a float; the lists and the zero count of the other
//! kind are then left out.
//!
//! Invariant: no list is longer than [`MAX_LIST`], whatever a request says.
//!
//! Source: `prompb/types.proto` and `prompb/codec.go` of Prometheus.

use crate::model::histogram::validate::InvalidHistogram;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use crate::model::value::{Point, Value};
use crate::remote::protobuf::{Cursor, DecodeError, Key, MAX_DEPTH, WireType};
use crate::remote::schema::FIELD_LEVEL;

/// The longest list of buckets, spans or custom bounds that is taken: enough for 256 powers of two at the highest resolution that is stored.
/// Libraries keep to some hundreds.
pub const MAX_LIST: usize = 1 << 16;

/// Why a histogram of a request can't be stored.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BadHistogram {
    /// It has too much of something.
    #[error("more than {MAX_LIST} buckets, spans or custom bounds")]
    TooLong,
    /// It is none.
    #[error(transparent)]
    Invalid(#[from] InvalidHistogram),
}

/// A histogram that can't be stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RefusedHistogram {
    /// Its timestamp, ms; 0 where it was not reached.
    pub t: i64,
    /// Why.
    pub why: BadHistogram,
}

/// Decodes a histogram and makes it one that can be stored. `None` for bytes that are no such message.
pub(crate) fn storable_histogram(message: Cursor<'_>) -> Option<Result<Point, RefusedHistogram>> {
    storable(message, Fields::default())
}

/// The same of a histogram of remote write 2.0: `io.prometheus.write.v2.Histogram`, which has a start timestamp beside.
pub(crate) fn storable_histogram_v2(message: Cursor<'_>) -> Option<Result<Point, RefusedHistogram>> {
    storable(message, Fields { start: Some(0), ..Fields::default() })
}

fn storable(message: Cursor<'_>, mut found: Fields) -> Option<Result<Point, RefusedHistogram>> {
    match found.read(message) {
        Ok(()) => {}
        Err(Stop::Damaged) => return None,
        Err(Stop::TooLong) => return Some(Err(RefusedHistogram { t: found.timestamp, why: BadHistogram::TooLong })),
    }
    let mut point = found.into_point();
    Some(match point.value.make_storable() {
        Ok(()) => Ok(point),
        Err(why) => Err(RefusedHistogram { t: point.t, why: why.into() }),
    })
}

/// A count in one of its two forms.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Count {
    Int(u64),
    Float(f64),
}

/// The buckets of one side, in both forms.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// What the message has.
#[derive(Debug, Default)]
struct Fields {
    count: Option<Count>,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_count: Option<Count>,
    negative: Side,
    positive: Side,
    reset_hint: u8,
    timestamp: i64,
    custom_values: Vec<f64>,
    /// `None` where the message has no such field: then it is not known, whatever it holds.
    start: Option<i64>,
}

/// Why reading ends early.
enum Stop {
    Damaged,
    TooLong,
}

impl From<DecodeError> for Stop {
    fn from(_: DecodeError) -> Self {
        Self::Damaged
    }
}

impl Fields {
    fn read(&mut self, mut message: Cursor<'_>) -> Result<(), Stop> {
        while !message.is_at_end() {
            let key = message.key()?;
            match key.field {
                1 => self.count = Some(Count::Int(varint(&mut message, key)?)),
                2 => self.count = Some(Count::Float(double(&mut message, key)?)),
                3 => self.sum = double(&mut message, key)?,
                4 => self.schema = zigzag32(varint(&mut message, key)?),
                5 => self.zero_threshold = double(&mut message, key)?,
                6 => self.zero_count = Some(Count::Int(varint(&mut message, key)?)),
                7 => self.zero_count = Some(Count::Float(double(&mut message, key)?)),
                8 => push(&mut self.negative.spans, span(&mut message, key)?)?,
                9 => varints(&mut message, key, &mut self.negative.deltas)?,
                10 => doubles(&mut message, key, &mut self.negative.counts)?,
                11 => push(&mut self.positive.spans, span(&mut message, key)?)?,
                12 => varints(&mut message, key, &mut self.positive.deltas)?,
                13 => doubles(&mut message, key, &mut self.positive.counts)?,
                14 => self.reset_hint = varint(&mut message, key)? as u8,
                15 => self.timestamp = varint(&mut message, key)? as i64,
                16 => doubles(&mut message, key, &mut self.custom_values)?,
                17 if self.start.is_some() => self.start = Some(varint(&mut message, key)? as i64),
                _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
            }
        }
        Ok(())
    }

    fn into_point(self) -> Point {
        let t = self.timestamp;
        let reset_hint = CounterResetHint::from_byte(self.reset_hint).unwrap_or_default();
        let value = match self.count {
            Some(Count::Float(count)) => Value::FloatHistogram(Box::new(FloatHistogram {
                reset_hint,
                schema: self.schema,
                zero_threshold: self.zero_threshold,
                zero_count: if let Some(Count::Float(count)) = self.zero_count { count } else { 0.0 },
                count,
                sum: self.sum,
                positive_spans: self.positive.spans,
                negative_spans: self.negative.spans,
                positive_buckets: self.positive.counts,
                negative_buckets: self.negative.counts,
                custom_values: self.custom_values,
            })),
            count => Value::Histogram(Box::new(Histogram {
                reset_hint,
                schema: self.schema,
                zero_threshold: self.zero_threshold,
                zero_count: if let Some(Count::Int(count)) = self.zero_count { count } else { 0 },
                count: if let Some(Count::Int(count)) = count { count } else { 0 },
                sum: self.sum,
                positive_spans: self.positive.spans,
                negative_spans: self.negative.spans,
                positive_buckets: self.positive.deltas,
                negative_buckets: self.negative.deltas,
                custom_values: self.custom_values,
            })),
        };
        Point { start: self.start.unwrap_or_default(), t, value }
    }
}

fn varint(message: &mut Cursor<'_>, key: Key) -> Result<u64, DecodeError> {
    message.expect(key, WireType::Varint)?;
    message.varint()
}

fn double(message: &mut Cursor<'_>, key: Key) -> Result<f64, DecodeError> {
    message.expect(key, WireType::Fixed64)?;
    message.fixed64().map(f64::from_bits)
}

/// `prometheus.BucketSpan`.
fn span(message: &mut Cursor<'_>, key: Key) -> Result<Span, DecodeError> {
    message.expect(key, WireType::Length)?;
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

/// A list of differences: all of it, a piece of it, or one.
fn varints(message: &mut Cursor<'_>, key: Key, list: &mut Vec<i64>) -> Result<(), Stop> {
    if key.wire != WireType::Length {
        return push(list, zigzag64(varint(message, key)?));
    }
    let mut packed = message.message()?;
    // Each has one byte that is the last one.
    let count = packed.rest().iter().filter(|byte| **byte < 0x80).count();
    reserve(list, count)?;
    while !packed.is_at_end() {
        push(list, zigzag64(packed.varint()?))?;
    }
    Ok(())
}

/// A list of floats, in the same way.
fn doubles(message: &mut Cursor<'_>, key: Key, list: &mut Vec<f64>) -> Result<(), Stop> {
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

fn push<T>(list: &mut Vec<T>, value: T) -> Result<(), Stop> {
    if list.len() == MAX_LIST {
        return Err(Stop::TooLong);
    }
    list.push(value);
    Ok(())
}

/// Makes room for `count` more, if so many may be.
fn reserve<T>(list: &mut Vec<T>, count: usize) -> Result<(), Stop> {
    if count > MAX_LIST - list.len() {
        return Err(Stop::TooLong);
    }
    list.reserve(count);
    Ok(())
}

/// A `sint32`: of the varint the lower 32 bits count.
fn zigzag32(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// A `sint64`.
fn zigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
