//! A sample of a remote write 2.0 request: the message `SampleV2`, which has a start timestamp beside what that of 1.0 has.

use crate::model::sample::{Sample, SampleValue};
use crate::remote::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::schema::FIELD_LEVEL;

/// Field numbers.
const VALUE: u32 = 1;
const TIMESTAMP: u32 = 2;
const START: u32 = 3;

/// Their keys, as bytes.
const VALUE_KEY: u8 = 0x09;
const TIMESTAMP_KEY: u8 = 0x10;
const START_KEY: u8 = 0x18;

/// A sample by its fields.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SampleV2 {
    pub(crate) value: f64,
    pub(crate) t: i64,
    pub(crate) start: i64,
}

impl From<SampleV2> for Sample {
    #[inline]
    fn from(sample: SampleV2) -> Self {
        Self { start_timestamp: sample.start, t: sample.t, value: SampleValue::Float(sample.value) }
    }
}

/// A sample as senders write it, and how many bytes it takes with its key.
pub(crate) struct FastSampleV2 {
    pub(crate) sample: SampleV2,
    pub(crate) len: usize,
}

/// Decodes a sample (with its key) that is written as usual: the fields in their order, one that is 0 may be missing.
#[inline]
pub(crate) fn decode_sample_fast(bytes: &[u8]) -> Option<FastSampleV2> {
    let len = usize::from(*bytes.get(1)?);
    if len >= 0x80 {
        return None;
    }
    let mut fields = bytes.get(2..2 + len)?;
    let mut sample = SampleV2::default();
    if let [VALUE_KEY, rest @ ..] = fields {
        let (value, rest) = rest.split_first_chunk::<8>()?;
        sample.value = f64::from_bits(u64::from_le_bytes(*value));
        fields = rest;
    }
    if let [TIMESTAMP_KEY, rest @ ..] = fields {
        (sample.t, fields) = short_varint(rest)?;
    }
    if let [START_KEY, rest @ ..] = fields {
        (sample.start, fields) = short_varint(rest)?;
    }
    fields.is_empty().then_some(FastSampleV2 { sample, len: 2 + len })
}

/// A varint of up to nine bytes, and what follows it.
#[inline]
fn short_varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value as i64, &bytes[i + 1..]));
        }
    }
    None
}

/// Decodes a sample however it is written.
pub(crate) fn decode_sample(
    mut message: MessageCursor<'_>,
) -> Result<SampleV2, DecodeMessageError> {
    let mut sample = SampleV2::default();
    while !message.is_at_end() {
        let key = message.key()?;
        match key.field {
            VALUE => {
                message.expect_wire_type(key, WireType::Fixed64)?;
                sample.value = f64::from_bits(message.fixed64()?);
            }
            TIMESTAMP => {
                message.expect_wire_type(key, WireType::Varint)?;
                sample.t = message.varint()? as i64;
            }
            START => {
                message.expect_wire_type(key, WireType::Varint)?;
                sample.start = message.varint()? as i64;
            }
            _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
        }
    }
    Ok(sample)
}
