//! Answers of several messages, made on a blocking thread while the client takes them.
//!
//! Small messages are gathered into pieces; few pieces are in memory, and what they may take is reserved before the answer begins. An error
//! before the first piece is the answer; after it, it ends the stream, and so does a client that is too slow. When the client goes the maker
//! stops at the next message or check.

use crate::remote::read_request::Stop;
use crate::server::admission::Reservation;
use crate::server::context::SharedContext;
use crate::server::grpc;
use crate::server::grpc::messages;
use crate::server::grpc::status_body::StatusBody;
use crate::server::refused::Refused;
use crate::server::stream::{StreamError, StreamLimits, StreamSender, stream};
use axum::response::Response;
use bytes::Bytes;
use prost::Message;
use std::time::Duration;
use tonic::Status;

/// Small messages are gathered up to this size before they are sent.
const PIECE_BYTES: usize = 128 << 10;
/// Pieces that wait for a slow client, and those in memory with the one that is made and the one that is sent.
const PIECES_AHEAD: usize = 3;
const IN_MEMORY: usize = PIECES_AHEAD + 2;
/// How large a piece is at most, as a rule: messages end at a MiB.
const LARGE_PIECE_BYTES: usize = (1 << 20) + PIECE_BYTES;
/// How long a client may leave the next piece untaken; the whole has the time of any answer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an answer ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CutOff {
    /// It can't be made.
    #[error("{0}")]
    Refused(Status),
    /// The client has gone, or is too slow.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<Status> for CutOff {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<CutOff> for Status {
    fn from(cut_off: CutOff) -> Self {
        match cut_off {
            CutOff::Refused(status) => status,
            CutOff::Stream(StreamError::Broken) => Refused::Fault("answering failed".to_owned()).into_grpc(),
            CutOff::Stream(error) => Refused::Unavailable(error.to_string()).into_grpc(),
        }
    }
}

/// Where the messages of an answer go.
pub(crate) struct MessagesOut<'a> {
    buffer: Vec<u8>,
    /// For the pieces, and whatever the maker needs besides.
    memory: Reservation,
    pieces: &'a StreamSender<Bytes, CutOff>,
}

impl MessagesOut<'_> {
    /// Whether the client still wants more.
    ///
    /// # Errors
    /// [`Stop`].
    pub(crate) fn check(&self) -> Result<(), Stop> {
        self.pieces.check().map_err(as_stop)
    }

    /// Sets memory aside until the answer is made.
    ///
    /// # Errors
    /// [`Stop::Busy`].
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Stop> {
        self.memory.extend(bytes).map_err(|_| Stop::Busy)
    }

    /// Sends a message of `len` bytes that `encode` appends.
    ///
    /// # Errors
    /// [`Stop`].
    pub(crate) fn push(&mut self, len: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), Stop> {
        self.buffer.extend_from_slice(&messages::header(len));
        encode(&mut self.buffer);
        if self.buffer.len() < PIECE_BYTES { Ok(()) } else { self.flush() }
    }

    /// Sends a message as prost has it.
    ///
    /// # Errors
    /// [`Stop`].
    pub(crate) fn send(&mut self, message: &impl Message) -> Result<(), Stop> {
        // A Vec grows, so that encoding can't fail.
        self.push(message.encoded_len(), |buffer| _ = message.encode(buffer))
    }

    fn flush(&mut self) -> Result<(), Stop> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.pieces.send(std::mem::take(&mut self.buffer).into()).map_err(as_stop)
    }
}

fn as_stop(error: StreamError) -> Stop {
    match error {
        StreamError::TooSlow => Stop::TooSlow,
        StreamError::Gone | StreamError::Broken => Stop::Gone,
    }
}

/// What a stopped maker says; the stream knows better why it stopped.
pub(crate) fn stopped(stop: Stop) -> Status {
    Refused::Unavailable(stop.to_string()).into_grpc()
}

/// Answers with the messages that `make` gives, which runs on a blocking thread.
///
/// # Errors
/// What `make` ends with before it gave anything.
pub(crate) async fn answer(
    context: &SharedContext,
    make: impl FnOnce(&mut MessagesOut<'_>) -> Result<(), Status> + Send + 'static,
) -> Result<Response, Status> {
    let mut memory = context.answer_limits.budget.reserve();
    let reserved = memory.extend(IN_MEMORY * LARGE_PIECE_BYTES);
    reserved.map_err(|error| Refused::from(error).into_grpc())?;
    let limits = StreamLimits { ahead: PIECES_AHEAD, piece: PIECE_TIMEOUT, whole: context.answer_limits.time };
    let mut pieces = stream(limits, move |pieces| {
        let mut out = MessagesOut { buffer: Vec::new(), memory, pieces };
        make(&mut out)?;
        out.flush().map_err(|stop| CutOff::Refused(stopped(stop)))
    });
    pieces.begun().await?;
    Ok(grpc::answer(StatusBody::new(pieces)))
}
