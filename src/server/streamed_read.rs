//! Remote reads that are answered with chunks: frames over HTTP, messages over gRPC, made on a blocking thread while the client takes them.
//!
//! Whatever the answer's size, in memory are [`FRAMES_AHEAD`] pieces and two or so that are being made and sent; a piece is a large frame or
//! many small ones. Their buffers go round, and what they may take is reserved before the answer begins.
//!
//! Errors before the first piece are answered as such. After it they break the stream off, as does a client that is too slow.
//! When the client goes, the maker stops at the next piece or series. A place among the reads at work is held until the last piece is made.

use crate::remote::chunked;
use crate::remote::chunked::{FrameSink, ReadFrame};
use crate::remote::pb::prometheus as pb;
use crate::remote::read_request::{ReadAbort, RemoteReadError};
use crate::server::admission::Reservation;
use crate::server::grpc::messages;
use crate::server::piece_stream::{PieceSender, PieceStream, StreamError, StreamLimits, stream};
use crate::server::read_permit::ReadPermit;
use crate::server::request_error::RequestError;
use crate::server::state::{ServerState, SharedState};
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// As Prometheus names the type; there is no Content-Encoding.
const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
/// Small frames are gathered up to this size before they are sent.
const PIECE_BYTES: usize = 128 << 10;
/// Pieces that wait for a slow client.
const FRAMES_AHEAD: usize = 3;
/// Pieces in memory: those that wait, the one that is made, and what is being sent.
const MAX_PIECES: usize = FRAMES_AHEAD + 2;
/// How long a client may leave the next piece untaken; the whole has the time of any answer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an answer was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamedReadError {
    /// The data can't be read, or the client has had enough.
    #[error(transparent)]
    Read(#[from] RemoteReadError),
    /// The stream ended.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<StreamedReadError> for RequestError {
    fn from(cut_off: StreamedReadError) -> Self {
        match cut_off {
            // Logged by the maker.
            StreamedReadError::Read(RemoteReadError::Query(error)) => {
                Self::Internal(error.to_string())
            }
            StreamedReadError::Read(error) => error.into(),
            StreamedReadError::Stream(StreamError::Panicked) => {
                Self::Internal("answering the read failed".to_owned())
            }
            StreamedReadError::Stream(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Answers over HTTP.
pub(crate) async fn respond(
    context: SharedState,
    request: pb::ReadRequest,
    turn: ReadPermit,
) -> Result<Response, RequestError> {
    let mut frames = frames(&context, request, turn, Framing::Delimited)?;
    frames.wait_first().await?;
    Ok(([(CONTENT_TYPE, STREAMED)], Body::new(frames)).into_response())
}

/// How messages become pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// With length and checksum, as over HTTP; several in a piece.
    Delimited,
    /// As messages of gRPC, with flag and length; several in a piece.
    Grpc,
}

/// The pieces of an answer, which is made while they are taken. To be called on a runtime.
pub(crate) fn frames(
    context: &SharedState,
    request: pb::ReadRequest,
    turn: ReadPermit,
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
        let _held = turn;
        let made = write_frames(&context, &request, memory, PieceOutput { framing, pieces });
        if let Err(error) = &made {
            log(error);
        }
        made
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

/// Logs what is not the client's doing.
fn log(error: &StreamedReadError) {
    if let StreamedReadError::Read(RemoteReadError::Query(error)) = error {
        tracing::error!(%error, "a streamed read was cut off");
    }
}

/// Where pieces go.
struct PieceOutput<'a> {
    framing: Framing,
    pieces: &'a PieceSender<Bytes, StreamedReadError>,
}

/// Makes pieces of frames.
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

/// The buffers of an answer that are not in use, and the memory of all. The lock is held only to take or give one.
#[derive(Debug)]
struct BufferPool {
    free: Mutex<Vec<Vec<u8>>>,
    _memory: Reservation,
}

/// A piece on its way; when it is sent its buffer goes back.
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
