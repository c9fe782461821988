//! Responses of several messages, produced on a blocking thread while the client reads them.

use crate::remote::read::read_request::ReadAbort;
use crate::server::requests::streamed_read::read_abort;
use crate::server::transport::body::ResponseLimits;
use crate::server::transport::framing;
use crate::server::transport::framing::messages;
use crate::server::transport::framing::status_body::StatusBody;
use crate::server::transport::piece_writer::{
    PieceLimits, PieceWriter, max_pieces, stream_response,
};
use axum::response::Response;
use prost::Message;
use tonic::Status;

/// Size up to which small messages are collected into one piece, bytes.
const PIECE_BYTES: usize = 128 << 10;
/// Maximum number of queued pieces.
const MAX_QUEUED: usize = 3;
/// Usual maximum size of a piece, bytes. Messages are at most 1 MiB as a rule.
const LARGE_PIECE_BYTES: usize = (1 << 20) + PIECE_BYTES;

/// Writer of the messages of a response.
pub(crate) struct MessageWriter<'a, 'b> {
    out: &'a mut PieceWriter<'b, Status>,
}

impl MessageWriter<'_, '_> {
    /// Checks that the client still reads.
    ///
    /// # Errors
    /// [`ReadAbort`] if the stream has stopped.
    pub(crate) fn check(&self) -> Result<(), ReadAbort> {
        self.out.check().map_err(read_abort)
    }

    /// Reserves memory until the response is complete.
    ///
    /// # Errors
    /// [`ReadAbort::Busy`] if the budget is exhausted.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), ReadAbort> {
        self.out.reserve(bytes).map_err(|_| ReadAbort::Busy)
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
        let pushed = self.out.push(|buffer| {
            buffer.extend_from_slice(&messages::frame_header(len));
            encode(buffer);
        });
        pushed.map_err(read_abort)
    }

    /// Sends a message that prost encodes.
    ///
    /// # Errors
    /// [`ReadAbort`] if the stream has stopped.
    pub(crate) fn send(&mut self, message: &impl Message) -> Result<(), ReadAbort> {
        // A Vec grows, so encoding cannot fail.
        self.push(message.encoded_len(), |buffer| _ = message.encode(buffer))
    }
}

/// Runs `make` on a blocking thread and responds with its messages.
///
/// # Errors
/// Status of a producer that failed before its first message.
pub(crate) async fn respond(
    limits: &ResponseLimits,
    make: impl FnOnce(&mut MessageWriter<'_, '_>) -> Result<(), Status> + Send + 'static,
) -> Result<Response, Status> {
    let mut memory = limits.budget.reserve();
    memory.extend(max_pieces(MAX_QUEUED) * LARGE_PIECE_BYTES)?;
    let piece_limits = PieceLimits {
        piece_bytes: PIECE_BYTES,
        max_queued: MAX_QUEUED,
        total_timeout: limits.time,
    };
    let mut pieces = stream_response(piece_limits, memory, |out| make(&mut MessageWriter { out }));
    pieces.wait_first().await?;
    Ok(framing::grpc_response(StatusBody::new(pieces)))
}
