//! Remote reads with chunk responses: frames over HTTP, messages over gRPC. A blocking thread
//! encodes them while the client reads.
//!
//! # Memory
//! A response of any size holds at most [`MAX_PIECES`] pieces: queued, being filled, being sent. A
//! piece is one large frame or many small ones. Buffers are reused, and their memory is reserved
//! before the response starts.
//!
//! # Failure
//! An error before the first piece becomes the response. A later error, or a slow client, ends the
//! stream with an error. After a disconnect the thread stops at the next piece or series. The read
//! permit is held until the last piece is encoded.

use crate::remote::chunked;
use crate::remote::chunked::{FrameSink, ReadFrame};
use crate::remote::pb::prometheus as pb;
use crate::remote::read_request::{ReadAbort, RemoteReadError};
use crate::server::contract::request_error::RequestError;
use crate::server::requests::read_permit::ReadPermit;
use crate::server::state::{ServerState, SharedState};
use crate::server::transport::admission::Reservation;
use crate::server::transport::framing::messages;
use crate::server::transport::piece_stream::{
    PieceSender, PieceStream, StreamError, StreamLimits, stream,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Size up to which small frames are collected into one piece, bytes.
const PIECE_BYTES: usize = 128 << 10;
/// Maximum number of queued pieces.
const FRAMES_AHEAD: usize = 3;
/// Maximum number of pieces in memory: queued, being filled, being sent.
const MAX_PIECES: usize = FRAMES_AHEAD + 2;
/// Maximum time that a client may leave the queue full. The limit of the whole response is
/// separate.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Error that ends a response early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamedReadError {
    /// The read failed or was aborted.
    #[error(transparent)]
    Read(#[from] RemoteReadError),
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<StreamedReadError> for RequestError {
    fn from(error: StreamedReadError) -> Self {
        match error {
            // The blocking thread has logged it.
            StreamedReadError::Read(RemoteReadError::Query(error)) => {
                Self::Internal(error.to_string())
            }
            StreamedReadError::Read(error) => error.into(),
            StreamedReadError::Stream(StreamError::Panicked) => {
                Self::Internal("internal error while reading".to_owned())
            }
            StreamedReadError::Stream(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Framing of messages; a piece may hold several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Length and checksum, as over HTTP.
    Delimited,
    /// Flag and length of gRPC messages.
    Grpc,
}

/// Starts the response and returns the stream of its pieces. Needs a tokio runtime.
pub(crate) fn frames(
    context: &SharedState,
    request: pb::ReadRequest,
    permit: ReadPermit,
    framing: Framing,
) -> Result<PieceStream<Bytes, StreamedReadError>, RequestError> {
    let limits = StreamLimits {
        max_queued: FRAMES_AHEAD,
        piece_timeout: PIECE_TIMEOUT,
        total_timeout: context.answer_limits.time,
    };
    let mut memory = context.answer_limits.budget.reserve();
    memory.extend(MAX_PIECES * (context.read_limits.frame_bytes + PIECE_BYTES))?;
    let context = context.clone();
    Ok(stream(limits, move |pieces| {
        let _held = permit;
        let result = write_frames(&context, &request, memory, PieceOutput { framing, pieces });
        if let Err(error) = &result {
            log(error);
        }
        result
    }))
}

fn write_frames(
    context: &ServerState,
    request: &pb::ReadRequest,
    memory: Reservation,
    pieces: PieceOutput<'_>,
) -> Result<(), StreamedReadError> {
    let buffers = Arc::new(BufferPool { free: Mutex::default(), _memory: memory });
    let mut sink = FrameWriter { buffer: Vec::new(), buffers, out: pieces };
    let sent = chunked::read_chunks(context.read_source(), request, &mut sink)?;
    if !sink.buffer.is_empty() {
        sink.send().map_err(RemoteReadError::from)?;
    }
    context.read_metrics.count(sent);
    Ok(())
}

/// Logs errors that the client did not cause.
fn log(error: &StreamedReadError) {
    if let StreamedReadError::Read(RemoteReadError::Query(error)) = error {
        tracing::error!(%error, "streamed read failed");
    }
}

/// Destination of the pieces.
struct PieceOutput<'a> {
    framing: Framing,
    pieces: &'a PieceSender<Bytes, StreamedReadError>,
}

/// Collects frames into pieces.
struct FrameWriter<'a> {
    buffer: Vec<u8>,
    buffers: Arc<BufferPool>,
    out: PieceOutput<'a>,
}

impl FrameSink for FrameWriter<'_> {
    fn check(&mut self) -> Result<(), ReadAbort> {
        self.out.pieces.check().map_err(read_abort)
    }

    fn frame(&mut self, frame: &ReadFrame<'_>) -> Result<(), ReadAbort> {
        match self.out.framing {
            Framing::Delimited => frame.encode_delimited(&mut self.buffer),
            Framing::Grpc => {
                self.buffer.extend_from_slice(&messages::frame_header(frame.encoded_len()));
                frame.encode(&mut self.buffer);
            }
        }
        if self.buffer.len() < PIECE_BYTES {
            return Ok(());
        }
        self.send()
    }
}

impl FrameWriter<'_> {
    fn send(&mut self) -> Result<(), ReadAbort> {
        let next = self.buffers.free.lock().pop().unwrap_or_default();
        let bytes = std::mem::replace(&mut self.buffer, next);
        let piece = Bytes::from_owner(PooledPiece { bytes, buffers: Arc::clone(&self.buffers) });
        self.out.pieces.send(piece).map_err(read_abort)
    }
}

fn read_abort(error: StreamError) -> ReadAbort {
    match error {
        StreamError::SlowClient => ReadAbort::SlowClient,
        StreamError::ClientGone | StreamError::Panicked => ReadAbort::ClientGone,
    }
}

/// Unused buffers of a response, and the memory reservation of all its buffers. The lock is held
/// only to take or return one buffer.
#[derive(Debug)]
struct BufferPool {
    free: Mutex<Vec<Vec<u8>>>,
    _memory: Reservation,
}

/// Piece that returns its buffer to the pool when it is dropped.
struct PooledPiece {
    bytes: Vec<u8>,
    buffers: Arc<BufferPool>,
}

impl AsRef<[u8]> for PooledPiece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledPiece {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.bytes);
        buffer.clear();
        let mut free = self.buffers.free.lock();
        if free.len() < MAX_PIECES {
            free.push(buffer);
        }
    }
}
