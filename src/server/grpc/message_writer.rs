//! Answers of several messages, made on a blocking thread while the client takes them.
//!
//! Small messages are gathered into pieces; few pieces are in memory, and what they may take is reserved before the answer begins. An error
//! before the first piece is the answer; after it, it ends the stream, and so does a client that is too slow. When the client goes the maker
//! stops at the next message or check.

use crate::remote::read_request::ReadAbort;
use crate::server::admission::Reservation;
use crate::server::grpc;
use crate::server::grpc::messages;
use crate::server::grpc::status_body::StatusBody;
use crate::server::piece_stream::{PieceSender, StreamError, StreamLimits, stream};
use crate::server::request_error::RequestError;
use crate::server::state::SharedState;
use axum::response::Response;
use bytes::Bytes;
use prost::Message;
use std::time::Duration;
use tonic::Status;

/// Small messages are gathered up to this size before they are sent.
const PIECE_BYTES: usize = 128 << 10;
/// Pieces that wait for a slow client, and those in memory with the one that is made and the one that is sent.
const PIECES_AHEAD: usize = 3;
const MAX_PIECES: usize = PIECES_AHEAD + 2;
/// How large a piece is at most, as a rule: messages end at a MiB.
const LARGE_PIECE_BYTES: usize = (1 << 20) + PIECE_BYTES;
/// How long a client may leave the next piece untaken; the whole has the time of any answer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an answer ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamResponseError {
    /// It can't be made.
    #[error("{0}")]
    Refused(Status),
    /// The client has gone, or is too slow.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<Status> for StreamResponseError {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<StreamResponseError> for Status {
    fn from(cut_off: StreamResponseError) -> Self {
        match cut_off {
            StreamResponseError::Refused(status) => status,
            StreamResponseError::Stream(StreamError::Panicked) => {
                RequestError::Internal("answering failed".to_owned()).into_grpc()
            }
            StreamResponseError::Stream(error) => {
                RequestError::Unavailable(error.to_string()).into_grpc()
            }
        }
    }
}

/// Where the messages of an answer go.
pub(crate) struct MessageWriter<'a> {
    buffer: Vec<u8>,
    /// For the pieces, and whatever the maker needs besides.
    memory: Reservation,
    pieces: &'a PieceSender<Bytes, StreamResponseError>,
}

impl MessageWriter<'_> {
    /// Whether the client still wants more.
    ///
    /// # Errors
    /// [`ReadAbort`].
    pub(crate) fn check(&self) -> Result<(), ReadAbort> {
        self.pieces.check().map_err(read_abort)
    }

    /// Sets memory aside until the answer is made.
    ///
    /// # Errors
    /// [`ReadAbort::Busy`].
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), ReadAbort> {
        self.memory.extend(bytes).map_err(|_| ReadAbort::Busy)
    }

    /// Sends a message of `len` bytes that `encode` appends.
    ///
    /// # Errors
    /// [`ReadAbort`].
    pub(crate) fn push(
        &mut self,
        len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ReadAbort> {
        self.buffer.extend_from_slice(&messages::frame_header(len));
        encode(&mut self.buffer);
        if self.buffer.len() < PIECE_BYTES { Ok(()) } else { self.flush() }
    }

    /// Sends a message as prost has it.
    ///
    /// # Errors
    /// [`ReadAbort`].
    pub(crate) fn send(&mut self, message: &impl Message) -> Result<(), ReadAbort> {
        // A Vec grows, so that encoding can't fail.
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

/// What a stopped maker says; the stream knows better why it stopped.
pub(crate) fn abort_status(stop: ReadAbort) -> Status {
    RequestError::Unavailable(stop.to_string()).into_grpc()
}

/// Answers with the messages that `make` gives, which runs on a blocking thread.
///
/// # Errors
/// What `make` ends with before it gave anything.
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
        out.flush().map_err(|stop| StreamResponseError::Refused(abort_status(stop)))
    });
    pieces.wait_first().await?;
    Ok(grpc::grpc_response(StatusBody::new(pieces)))
}
