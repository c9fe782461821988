//! Responses of several messages, produced on a blocking thread while the client reads them.
//!
//! Small messages are collected into pieces. Few pieces are in memory, and their memory is reserved
//! before the response starts. An error before the first piece is the response; a later error or a
//! slow client ends the stream. After a disconnect the producer stops at its next message or check.

use crate::remote::read_request::ReadAbort;
use crate::server::contract::request_error::RequestError;
use crate::server::state::SharedState;
use crate::server::transport::admission::Reservation;
use crate::server::transport::framing;
use crate::server::transport::framing::messages;
use crate::server::transport::framing::status_body::StatusBody;
use crate::server::transport::piece_stream::{PieceSender, StreamError, StreamLimits, stream};
use axum::response::Response;
use bytes::Bytes;
use prost::Message;
use std::time::Duration;
use tonic::Status;

/// Size up to which small messages are collected into one piece, bytes.
const PIECE_BYTES: usize = 128 << 10;
/// Maximum number of queued pieces, and of all pieces in memory: queued, being filled, being sent.
const PIECES_AHEAD: usize = 3;
const MAX_PIECES: usize = PIECES_AHEAD + 2;
/// Usual maximum size of a piece, bytes. Messages are at most 1 MiB as a rule.
const LARGE_PIECE_BYTES: usize = (1 << 20) + PIECE_BYTES;
/// Maximum time that a client may leave the queue full. The limit of the whole response is
/// separate.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Error that ends a response early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamResponseError {
    /// The producer failed.
    #[error("{0}")]
    Refused(Status),
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<Status> for StreamResponseError {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<StreamResponseError> for Status {
    fn from(error: StreamResponseError) -> Self {
        match error {
            StreamResponseError::Refused(status) => status,
            StreamResponseError::Stream(StreamError::Panicked) => {
                RequestError::Internal("internal error while responding".to_owned()).into_grpc()
            }
            StreamResponseError::Stream(error) => {
                RequestError::Unavailable(error.to_string()).into_grpc()
            }
        }
    }
}

/// Writer of the messages of a response.
pub(crate) struct MessageWriter<'a> {
    buffer: Vec<u8>,
    /// Reservation for the pieces and other memory of the producer.
    memory: Reservation,
    pieces: &'a PieceSender<Bytes, StreamResponseError>,
}

impl MessageWriter<'_> {
    /// Checks that the client still reads.
    ///
    /// # Errors
    /// [`ReadAbort`] if the stream has stopped.
    pub(crate) fn check(&self) -> Result<(), ReadAbort> {
        self.pieces.check().map_err(read_abort)
    }

    /// Reserves memory until the response is complete.
    ///
    /// # Errors
    /// [`ReadAbort::Busy`] if the budget is exhausted.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), ReadAbort> {
        self.memory.extend(bytes).map_err(|_| ReadAbort::Busy)
    }

    /// Sends a message of `len` bytes that `encode` appends.
    ///
    /// # Errors
    /// [`ReadAbort`] if the stream has stopped.
    pub(crate) fn push(
        &mut self,
        len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ReadAbort> {
        self.buffer.extend_from_slice(&messages::frame_header(len));
        encode(&mut self.buffer);
        if self.buffer.len() < PIECE_BYTES { Ok(()) } else { self.flush() }
    }

    /// Sends a message that prost encodes.
    ///
    /// # Errors
    /// [`ReadAbort`] if the stream has stopped.
    pub(crate) fn send(&mut self, message: &impl Message) -> Result<(), ReadAbort> {
        // A Vec grows, so encoding cannot fail.
        self.push(message.encoded_len(), |buffer| _ = message.encode(buffer))
    }

    fn flush(&mut self) -> Result<(), ReadAbort> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.pieces.send(std::mem::take(&mut self.buffer).into()).map_err(read_abort)
    }
}

fn read_abort(error: StreamError) -> ReadAbort {
    match error {
        StreamError::SlowClient => ReadAbort::SlowClient,
        StreamError::ClientGone | StreamError::Panicked => ReadAbort::ClientGone,
    }
}

/// Returns the status of an aborted producer. The stream reports the actual reason.
pub(crate) fn abort_status(abort: ReadAbort) -> Status {
    RequestError::Unavailable(abort.to_string()).into_grpc()
}

/// Runs `make` on a blocking thread and responds with its messages.
///
/// # Errors
/// Status of a producer that failed before its first message.
pub(crate) async fn stream_response(
    context: &SharedState,
    make: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), Status> + Send + 'static,
) -> Result<Response, Status> {
    let mut memory = context.answer_limits.budget.reserve();
    let reserved = memory.extend(MAX_PIECES * LARGE_PIECE_BYTES);
    reserved.map_err(|error| RequestError::from(error).into_grpc())?;
    let limits = StreamLimits {
        max_queued: PIECES_AHEAD,
        piece_timeout: PIECE_TIMEOUT,
        total_timeout: context.answer_limits.time,
    };
    let mut pieces = stream(limits, move |pieces| {
        let mut out = MessageWriter { buffer: Vec::new(), memory, pieces };
        make(&mut out)?;
        out.flush().map_err(|abort| StreamResponseError::Refused(abort_status(abort)))
    });
    pieces.wait_first().await?;
    Ok(framing::grpc_response(StatusBody::new(pieces)))
}
