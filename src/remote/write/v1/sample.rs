//! Decoder of `prometheus.Sample`.

use crate::model::float_sample::FloatSample;
use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};

/// Field numbers of `prometheus.Sample`.
const SAMPLE_VALUE: u32 = 1;
const SAMPLE_TIMESTAMP: u32 = 2;

/// Keys of these fields, as bytes.
const SAMPLE_VALUE_KEY: u8 = (SAMPLE_VALUE << 3) as u8 | 1;
const SAMPLE_TIMESTAMP_KEY: u8 = (SAMPLE_TIMESTAMP << 3) as u8;

/// A sample in the common encoding, and its length with the key, bytes.
pub(crate) struct FastSample {
    pub(crate) sample: FloatSample,
    pub(crate) len: usize,
}

/// Decodes a sample (with its key) in the common encoding: value, timestamp, nothing else.
/// Returns `None` for any other encoding.
#[inline]
pub(crate) fn decode_sample_fast(bytes: &[u8]) -> Option<FastSample> {
    let len = *bytes.get(1)?;
    let fields = bytes.get(2..2 + usize::from(len))?;
    let (head, timestamp) = fields.split_first_chunk::<10>()?;
    let [SAMPLE_VALUE_KEY, value @ .., SAMPLE_TIMESTAMP_KEY] = head else { return None };
    let value: [u8; 8] = *value.first_chunk()?;
    // Up to nine bytes of which only the last is below 0x80 are always a valid varint.
    let (&last, others) = timestamp.split_last()?;
    if last >= 0x80 || others.len() > 8 {
        return None;
    }
    let mut t = u64::from(last) << (7 * others.len());
    for (i, &byte) in others.iter().enumerate() {
        if byte < 0x80 {
            return None;
        }
        t |= u64::from(byte & 0x7f) << (7 * i);
    }
    let sample = FloatSample::new(t as i64, f64::from_bits(u64::from_le_bytes(value)));
    Some(FastSample { sample, len: 2 + usize::from(len) })
}

/// Decodes a sample at nesting depth `level` in any valid encoding.
pub(crate) fn decode_sample(
    mut message: MessageCursor<'_>,
    level: u32,
) -> Result<FloatSample, DecodeMessageError> {
    let mut sample = FloatSample::new(0, 0.0);
    while !message.is_at_end() {
        let key = message.key()?;
        match key.field {
            SAMPLE_VALUE => {
                message.expect_wire_type(key, WireType::Fixed64)?;
                sample.v = f64::from_bits(message.fixed64()?);
            }
            SAMPLE_TIMESTAMP => {
                message.expect_wire_type(key, WireType::Varint)?;
                sample.t = message.varint()? as i64;
            }
            _ => message.skip_value(key, MAX_DEPTH - level)?,
        }
    }
    Ok(sample)
}
