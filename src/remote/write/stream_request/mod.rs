//! Message of a write stream (`narthex.v1.WriteStreamRequest`), decoded in place.
//!
//! The request is a slice of the message; the decoder of its version checks it. Messages are
//! accepted as by prost, except that a message must have exactly one request. Of several, protobuf
//! would silently drop those of the other version and merge those of the same. A message without a
//! request may be one of a later protocol version. An empty request (`v1` or `v2` without bytes) is
//! valid.

use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::write::RemoteWriteVersion;
use bytes::Bytes;

/// Field numbers of `narthex.v1.WriteStreamRequest`.
const SEQUENCE: u32 = 1;
const V1: u32 = 2;
const V2: u32 = 3;

/// Maximum size of a message without its request, in the common encoding: two keys, sequence,
/// length.
pub const ENVELOPE_BYTES: usize = 2 + 10 + 5;

/// A decoded message of a write stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRequest {
    /// Sequence number that the client assigned.
    pub sequence: u64,
    /// Remote write version of the request.
    pub version: RemoteWriteVersion,
    /// Request bytes, not decoded yet.
    pub request: Bytes,
}

/// Error of decoding a write stream message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeStreamRequestError {
    /// The message is malformed or truncated.
    #[error("the message is not a narthex.v1.WriteStreamRequest: {0}")]
    Malformed(#[from] DecodeMessageError),
    /// It has no known request.
    #[error("message {0} has neither v1 nor v2; it has no request, or one of an unknown version")]
    NoRequest(u64),
    /// It has more than one request.
    #[error("message {0} has more than one request")]
    SeveralRequests(u64),
}

impl StreamRequest {
    /// Decodes a message.
    ///
    /// # Errors
    /// [`DecodeStreamRequestError`] if the message is malformed or has not exactly one request.
    pub fn decode(message: &Bytes) -> Result<Self, DecodeStreamRequestError> {
        let mut sequence = 0;
        let mut request = None;
        let mut requests = 0;
        let mut cursor = MessageCursor::new(message);
        while !cursor.is_at_end() {
            let key = cursor.key()?;
            let version = match key.field {
                SEQUENCE => {
                    cursor.expect_wire_type(key, WireType::Varint)?;
                    sequence = cursor.varint()?;
                    continue;
                }
                V1 => RemoteWriteVersion::V1,
                V2 => RemoteWriteVersion::V2,
                _ => {
                    cursor.skip_value(key, MAX_DEPTH)?;
                    continue;
                }
            };
            cursor.expect_wire_type(key, WireType::Length)?;
            let len = cursor.bytes()?.len();
            requests += 1;
            request = Some((version, cursor.offset() - len..cursor.offset()));
        }
        match request {
            None => Err(DecodeStreamRequestError::NoRequest(sequence)),
            Some(_) if requests > 1 => Err(DecodeStreamRequestError::SeveralRequests(sequence)),
            Some((version, range)) => Ok(Self { sequence, version, request: message.slice(range) }),
        }
    }
}

#[cfg(test)]
mod tests;
