//! Decoder of the 2.0 message `Sample`: the 1.0 fields and a start timestamp.

use crate::model::sample::{Sample, SampleValue};
use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::wire::schema::FIELD_LEVEL;

/// Field numbers of `Sample`.
const VALUE: u32 = 1;
const TIMESTAMP: u32 = 2;
const START_TIMESTAMP: u32 = 3;

/// Keys of these fields, as bytes.
const VALUE_KEY: u8 = 0x09;
const TIMESTAMP_KEY: u8 = 0x10;
const START_TIMESTAMP_KEY: u8 = 0x18;

/// Decoded fields of a sample.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SampleV2 {
    pub(crate) value: f64,
    pub(crate) t: i64,
    pub(crate) start_timestamp: i64,
}

impl From<SampleV2> for Sample {
    #[inline]
    fn from(sample: SampleV2) -> Self {
        Self {
            start_timestamp: sample.start_timestamp,
            t: sample.t,
            value: SampleValue::Float(sample.value),
        }
    }
}

/// A sample in the common encoding, and its length with the key, bytes.
pub(crate) struct FastSampleV2 {
    pub(crate) sample: SampleV2,
    pub(crate) len: usize,
}

/// Decodes a sample (with its key) in the common encoding: fields in their order, zeros may be
/// missing.
/// Returns `None` for any other encoding.
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
    if let [START_TIMESTAMP_KEY, rest @ ..] = fields {
        (sample.start_timestamp, fields) = short_varint(rest)?;
    }
    fields.is_empty().then_some(FastSampleV2 { sample, len: 2 + len })
}

/// Reads a varint of up to nine bytes. Returns it with the bytes after it.
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

/// Decodes a sample in any valid encoding.
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
            START_TIMESTAMP => {
                message.expect_wire_type(key, WireType::Varint)?;
                sample.start_timestamp = message.varint()? as i64;
            }
            _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
        }
    }
    Ok(sample)
}
