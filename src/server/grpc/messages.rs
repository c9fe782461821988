//! The messages of a gRPC stream, one after another, taken from the body only as fast as there is room for them.
//!
//! ```text
//! ┌──────────────┬───────────────────┬─────────┐
//! │ packed: 0 <1>│ length <4, BE>    │ message │ …
//! └──────────────┴───────────────────┴─────────┘
//! ```
//!
//! tonic's own reader takes whatever comes; here the memory of a message is reserved before it is read. Where the budget is used up the
//! body is left alone for a while, and HTTP/2's flow control holds back the sender. Between two messages nothing is reserved, so that an idle
//! stream costs next to nothing and may be silent for as long as it likes. A message of up to [`EAGER_BYTES`] gets its memory at once; a larger
//! one in steps, as it arrives: whoever announces much and sends nothing holds one step. Who holds memory and waits for more gives up
//! after [`MessageLimits::max_wait`], so that two large messages never wait for each other for longer.

use crate::server::admission::{BudgetExhausted, ByteBudget, Reservation};
use crate::server::body::BodyLimits;
use crate::server::grpc::details;
use crate::server::request_error::RequestError;
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use std::error::Error;
use std::time::Duration;
use tonic::{Code, Status};

/// Flag and length in front of a message.
pub(crate) const FRAME_HEADER: usize = 5;
/// A message gets that much memory at once.
const EAGER_BYTES: usize = 1 << 20;

/// What stands in front of a message of so many bytes, of which there may be less than 2^32.
pub(crate) fn frame_header(len: usize) -> [u8; FRAME_HEADER] {
    let [a, b, c, d] = (len as u32).to_be_bytes();
    [0, a, b, c, d]
}

/// The only message of a request, within the time of a body; memory that is not there now is not waited for.
///
/// # Errors
/// [`MessageError`], also where there is none or more than one.
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

/// The bounds of the messages of a stream.
#[derive(Debug, Clone)]
pub(crate) struct MessageLimits {
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Time from the first to the last byte of a message.
    pub(crate) time: Duration,
    /// How long a message waits for memory.
    pub(crate) max_wait: Duration,
    /// Where its memory comes from.
    pub(crate) budget: ByteBudget,
}

/// Why there is no next message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    /// It is larger than it may be.
    #[error("a message of {size} bytes, the limit is {limit}")]
    TooLarge { size: usize, limit: usize },
    /// It is packed in a way that is not known.
    #[error("a message is compressed in a way that is not known")]
    Packed,
    /// What comes is no message.
    #[error("a message begins with byte {0}")]
    InvalidFlag(u8),
    /// The stream ends within it.
    #[error("the stream ends within a message")]
    UnexpectedEnd,
    /// A call that has one message has another one.
    #[error("more than one message in a call that takes one")]
    SecondMessage,
    /// It took too long.
    #[error("a message did not arrive within {0:?}")]
    TooSlow(Duration),
    /// There was no memory for it.
    #[error(transparent)]
    NoMemory(#[from] BudgetExhausted),
    /// The connection broke.
    #[error("the stream broke off: {0}")]
    Broken(Box<dyn Error + Send + Sync>),
}

/// What the first byte of a message says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompressionFlag {
    /// It is as it is.
    Plain,
    /// It is packed as the request's headers say.
    Packed,
}

/// A message and the memory that is reserved for it.
#[derive(Debug)]
pub(crate) struct GrpcMessage {
    pub(crate) flag: CompressionFlag,
    pub(crate) bytes: Bytes,
    pub(crate) reservation: Reservation,
}

/// The messages of one body.
#[derive(Debug)]
pub(crate) struct MessageReader<B> {
    body: B,
    /// What arrived and belongs to no message yet: at most one frame of HTTP/2.
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

    /// The next message, or `None` where the stream has ended behind a message.
    ///
    /// # Errors
    /// [`MessageError`], also for a packed message; there is no message behind it.
    pub(crate) async fn next(&mut self) -> Result<Option<GrpcMessage>, MessageError> {
        match self.next_any().await? {
            Some(GrpcMessage { flag: CompressionFlag::Packed, .. }) => Err(MessageError::Packed),
            message => Ok(message),
        }
    }

    /// The same, also where it is packed.
    ///
    /// # Errors
    /// [`MessageError`]; there is no message behind it.
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
    /// [`MessageError::SecondMessage`] if anything else comes.
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
        let &[packed, a, b, c, d] = &header[..] else { return Err(MessageError::UnexpectedEnd) };
        let flag = match packed {
            0 => CompressionFlag::Plain,
            1 => CompressionFlag::Packed,
            other => return Err(MessageError::InvalidFlag(other)),
        };
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        let limit = self.limits.size;
        if size > limit {
            return Err(MessageError::TooLarge { size, limit });
        }
        let bytes = self.read_exact(size, &mut reservation).await?;
        Ok(GrpcMessage { flag, bytes, reservation })
    }

    /// The next `len` bytes. What lies in one piece is not copied.
    async fn read_exact(
        &mut self,
        len: usize,
        reservation: &mut Reservation,
    ) -> Result<Bytes, MessageError> {
        let patience = self.limits.max_wait;
        let mut reserved = len.min(EAGER_BYTES);
        reservation.extend_within(reserved, patience).await?;
        if self.rest.len() >= len {
            return Ok(self.rest.split_to(len));
        }
        let mut bytes = BytesMut::with_capacity(reserved);
        loop {
            let part = self.rest.split_to(self.rest.len().min(len - bytes.len()));
            while bytes.len() + part.len() > reserved {
                let step = EAGER_BYTES.min(len - reserved);
                reservation.extend_within(step, patience).await?;
                reserved += step;
            }
            // Once much has come, the whole at once: what is not written to costs nothing, and nothing is copied to grow.
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

    /// The next piece of the body.
    async fn more(&mut self) -> Result<Option<Bytes>, MessageError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(MessageError::Broken(error.into())),
                // Trailers are the end of it, which is seen next.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

impl From<MessageError> for Status {
    fn from(error: MessageError) -> Self {
        let text = error.to_string();
        match error {
            MessageError::TooLarge { .. } => RequestError::TooLarge(text).into_grpc(),
            MessageError::Packed => RequestError::Unsupported(text).into_grpc(),
            MessageError::InvalidFlag(_)
            | MessageError::UnexpectedEnd
            | MessageError::SecondMessage => {
                details::with_reason(Code::InvalidArgument, &text, details::PROTOCOL_ERROR)
            }
            MessageError::TooSlow(_) | MessageError::NoMemory(_) => {
                RequestError::Unavailable(text).into_grpc()
            }
            // What unpacks messages in front of this says it with a status of its own.
            MessageError::Broken(cause) => Self::from_error(cause),
        }
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
