//! One message of a write stream (`narthex.v1.WriteStreamRequest`), seen in place: its number, and the request as a part of the same bytes.
//!
//! The request itself is left to the reader of its version. Accepted is what prost accepts, with one difference: a message must have exactly
//! one request. Of several, protobuf would drop those of the other version without a word and merge those of the same. A message
//! without a request is refused as well: one of a kind that a later version of the protocol may add would look just like that. An
//! empty request (`v1` or `v2` of no bytes) is a request.

use crate::remote::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::write::RemoteWriteVersion;
use bytes::Bytes;

/// Field numbers of `narthex.v1.WriteStreamRequest`.
const SEQUENCE: u32 = 1;
const V1: u32 = 2;
const V2: u32 = 3;

/// The most bytes that a message has besides its request, as every sender writes it: two keys, the number, a length.
pub const ENVELOPE_BYTES: usize = 2 + 10 + 5;

/// A message of a write stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRequest {
    /// The sender's number for it.
    pub sequence: u64,
    /// What the request is.
    pub version: RemoteWriteVersion,
    /// The request, not yet looked at.
    pub request: Bytes,
}

/// Why a message is none of a write stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeStreamRequestError {
    /// It is not the message, or not all of it.
    #[error("the message is not a narthex.v1.WriteStreamRequest: {0}")]
    Malformed(#[from] DecodeMessageError),
    /// It has no request that is known.
    #[error("message {0} has neither v1 nor v2: it has no request, or one that is not known here")]
    NoRequest(u64),
    /// It has several.
    #[error("message {0} has more than one request")]
    SeveralRequests(u64),
}

impl StreamRequest {
    /// Reads a message.
    ///
    /// # Errors
    /// [`DecodeStreamRequestError`].
    pub fn decode(message: &Bytes) -> Result<Self, DecodeStreamRequestError> {
        let mut sequence = 0;
        let mut found = None;
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
            found = Some((version, cursor.offset() - len..cursor.offset()));
        }
        match found {
            None => Err(DecodeStreamRequestError::NoRequest(sequence)),
            Some(_) if requests > 1 => Err(DecodeStreamRequestError::SeveralRequests(sequence)),
            Some((version, place)) => Ok(Self { sequence, version, request: message.slice(place) }),
        }
    }
}

#[cfg(test)]
#[path = "stream_request_tests.rs"]
mod tests;
