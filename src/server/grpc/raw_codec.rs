//! Codec of unary calls that passes the bytes of a request through and encodes responses with
//! prost.
//!
//! Write requests are decoded by a borrowing reader instead of prost.

use crate::server::transport::framing::messages::MessageError;
use bytes::{Buf, Bytes};
use prost::Message;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Codec with requests of raw bytes and responses of type `T`.
#[derive(Debug)]
pub(crate) struct RawCodec<T>(PhantomData<T>);

impl<T> Default for RawCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static> Codec for RawCodec<T> {
    type Encode = T;
    type Decode = Bytes;
    type Encoder = ProstEncoder<T>;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        RawDecoder::default()
    }
}

/// Decoder that returns the bytes of the message. A second message is an error; tonic reads a unary
/// call to its end before it passes the message on.
#[derive(Debug, Default)]
pub(crate) struct RawDecoder {
    has_message: bool,
}

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        if std::mem::replace(&mut self.has_message, true) {
            return Err(MessageError::SecondMessage.into());
        }
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

/// Encoder of responses with prost.
#[derive(Debug)]
pub(crate) struct ProstEncoder<T>(PhantomData<T>);

impl<T> Default for ProstEncoder<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message> Encoder for ProstEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}
