//! Reader of gRPC messages that takes from the body only while it has memory for a message.
//!
//! ```text
//! ┌───────────────────┬────────────────┬─────────┐
//! │ compressed: 0 <1> │ length <4, BE> │ message │ …
//! └───────────────────┴────────────────┴─────────┘
//! ```
//!
//! # Backpressure
//! tonic's reader takes whatever arrives; this one reserves the memory of a message first. While
//! the budget is exhausted it does not poll the body, and HTTP/2 flow control stops the sender.
//!
//! # Memory
//! Between two messages nothing is reserved, so an idle stream costs little and may stay silent. A
//! message of up to [`EAGER_BYTES`] gets its memory at once, a larger one in steps as it arrives: a
//! sender that announces much and sends nothing holds one step. A message that waits for more
//! memory fails after [`MessageLimits::max_wait`], so two large messages cannot wait for each other
//! longer.

use crate::server::transport::admission::{BudgetExhausted, ByteBudget, Reservation};
use crate::server::transport::body::{BodyLimits, SizeLimit};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use std::error::Error;
use std::time::Duration;

/// Size of the flag and the length in front of a message, bytes.
pub(crate) const FRAME_HEADER: usize = 5;
/// Memory that a message gets at once, bytes.
const EAGER_BYTES: usize = 1 << 20;

/// Returns the header of a plain message of `len` bytes. `len` must be less than 2^32.
pub(crate) fn frame_header(len: usize) -> [u8; FRAME_HEADER] {
    let [a, b, c, d] = (len as u32).to_be_bytes();
    [0, a, b, c, d]
}

/// Reads the only message of a request. It must arrive within the time limit of the body; it does
/// not wait for memory.
///
/// # Errors
/// [`MessageError`], also if the request has no message or more than one.
pub(crate) async fn read_single_message<B>(
    body: B,
    limits: BodyLimits,
) -> Result<GrpcMessage, MessageError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let BodyLimits { size, time, budget } = limits;
    let mut messages =
        MessageReader::new(body, MessageLimits { size, time, max_wait: Duration::ZERO, budget });
    let only = async {
        let message = messages.next().await?.ok_or(MessageError::UnexpectedEnd)?;
        messages.expect_end().await?;
        Ok(message)
    };
    tokio::time::timeout(time, only).await.map_err(|_| MessageError::TooSlow(time))?
}

/// Limits of the messages of a stream.
#[derive(Debug, Clone)]
pub(crate) struct MessageLimits {
    /// Maximum size of a message.
    pub(crate) size: SizeLimit,
    /// Maximum time from the first to the last byte of a message.
    pub(crate) time: Duration,
    /// Maximum time that a message waits for memory.
    pub(crate) max_wait: Duration,
    /// Budget for the memory of messages.
    pub(crate) budget: ByteBudget,
}

/// Error of reading a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    /// The message exceeds the size limit.
    #[error("message of {size} bytes exceeds the limit of {limit}")]
    TooLarge { size: usize, limit: SizeLimit },
    /// The message is compressed, but the request names no encoding.
    #[error("message is compressed, but grpc-encoding is missing or identity")]
    Packed,
    /// The first byte is not a flag.
    #[error("message begins with byte {0} instead of 0 or 1")]
    InvalidFlag(u8),
    /// The stream ends within a message, or before the only message.
    #[error("stream ends within a message")]
    UnexpectedEnd,
    /// A call with a single message has another one.
    #[error("call has more than one message")]
    SecondMessage,
    /// The message did not arrive in time.
    #[error("message did not arrive within {0:?}")]
    TooSlow(Duration),
    /// The byte budget is exhausted.
    #[error(transparent)]
    NoMemory(#[from] BudgetExhausted),
    /// The connection failed.
    #[error("cannot read request stream: {0}")]
    Broken(Box<dyn Error + Send + Sync>),
}

/// Flag in the first byte of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompressionFlag {
    /// The message is not compressed.
    Plain,
    /// The message is compressed with the encoding of the request.
    Packed,
}

/// Message and its memory reservation.
#[derive(Debug)]
pub(crate) struct GrpcMessage {
    pub(crate) flag: CompressionFlag,
    pub(crate) bytes: Bytes,
    pub(crate) reservation: Reservation,
}

/// Reader of the messages of a body.
#[derive(Debug)]
pub(crate) struct MessageReader<B> {
    body: B,
    /// Received bytes that are not part of a message yet: at most one HTTP/2 frame.
    rest: Bytes,
    limits: MessageLimits,
}

impl<B> MessageReader<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    pub(crate) fn new(body: B, limits: MessageLimits) -> Self {
        Self { body, rest: Bytes::new(), limits }
    }

    /// Returns the next plain message, or `None` if the stream ends after a message.
    ///
    /// # Errors
    /// [`MessageError`], also for a compressed message. The stream is unusable afterwards.
    pub(crate) async fn next(&mut self) -> Result<Option<GrpcMessage>, MessageError> {
        match self.next_any().await? {
            Some(GrpcMessage { flag: CompressionFlag::Packed, .. }) => Err(MessageError::Packed),
            message => Ok(message),
        }
    }

    /// Returns the next message, plain or compressed.
    ///
    /// # Errors
    /// [`MessageError`]. The stream is unusable afterwards.
    pub(crate) async fn next_any(&mut self) -> Result<Option<GrpcMessage>, MessageError> {
        while self.rest.is_empty() {
            match self.more().await? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(None),
            }
        }
        let time = self.limits.time;
        tokio::time::timeout(time, self.message())
            .await
            .map_err(|_| MessageError::TooSlow(time))?
            .map(Some)
    }

    /// Waits for the end of the stream.
    ///
    /// # Errors
    /// [`MessageError::SecondMessage`] if more data arrives.
    async fn expect_end(&mut self) -> Result<(), MessageError> {
        while self.rest.is_empty() {
            match self.more().await? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(()),
            }
        }
        Err(MessageError::SecondMessage)
    }

    async fn message(&mut self) -> Result<GrpcMessage, MessageError> {
        let mut reservation = self.limits.budget.reserve();
        let header = self.read_exact(FRAME_HEADER, &mut reservation).await?;
        let &[flag_byte, a, b, c, d] = &header[..] else { return Err(MessageError::UnexpectedEnd) };
        let flag = match flag_byte {
            0 => CompressionFlag::Plain,
            1 => CompressionFlag::Packed,
            other => return Err(MessageError::InvalidFlag(other)),
        };
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        // The header is dropped here; only the message stays in memory.
        reservation.shrink(FRAME_HEADER);
        let limit = self.limits.size;
        if size > limit.bytes {
            return Err(MessageError::TooLarge { size, limit });
        }
        let bytes = self.read_exact(size, &mut reservation).await?;
        Ok(GrpcMessage { flag, bytes, reservation })
    }

    /// Reads the next `len` bytes. Bytes of a single frame are not copied.
    async fn read_exact(
        &mut self,
        len: usize,
        reservation: &mut Reservation,
    ) -> Result<Bytes, MessageError> {
        let max_wait = self.limits.max_wait;
        let mut reserved = len.min(EAGER_BYTES);
        extend(reservation, reserved, max_wait).await?;
        if self.rest.len() >= len {
            return Ok(self.rest.split_to(len));
        }
        let mut bytes = BytesMut::with_capacity(reserved);
        loop {
            let part = self.rest.split_to(self.rest.len().min(len - bytes.len()));
            while bytes.len() + part.len() > reserved {
                let step = EAGER_BYTES.min(len - reserved);
                extend(reservation, step, max_wait).await?;
                reserved += step;
            }
            // Reserve the rest at once: untouched pages cost nothing, and growing copies.
            if part.len() > bytes.capacity() - bytes.len() {
                bytes.reserve(len - bytes.len());
            }
            bytes.extend_from_slice(&part);
            if bytes.len() == len {
                return Ok(bytes.freeze());
            }
            self.rest = self.more().await?.ok_or(MessageError::UnexpectedEnd)?;
        }
    }

    /// Returns the next frame of the body.
    async fn more(&mut self) -> Result<Option<Bytes>, MessageError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(MessageError::Broken(error.into())),
                // Skip trailers; the end follows.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// Extends the reservation. A message that does not wait may use all of the budget.
async fn extend(
    reservation: &mut Reservation,
    bytes: usize,
    max_wait: Duration,
) -> Result<(), BudgetExhausted> {
    if max_wait.is_zero() {
        reservation.extend(bytes)
    } else {
        reservation.extend_within(bytes, max_wait).await
    }
}

#[cfg(test)]
mod tests;
