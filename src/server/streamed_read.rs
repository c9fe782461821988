//! Remote reads that are answered with chunks: frames over HTTP, messages over gRPC, made on a blocking thread while the client takes them.
//!
//! Whatever the answer's size, in memory are [`FRAMES_AHEAD`] pieces and two or so that are being made and sent; a piece is a large frame or
//! many small ones. Their buffers go round, and what they may take is reserved before the answer begins.
//!
//! Errors before the first piece are answered as such. After it they break the stream off, as does a client that is too slow.
//! When the client goes, the maker stops at the next piece or series. A place among the reads at work is held until the last piece is made.

use crate::remote::chunked;
use crate::remote::chunked::{Frame, FrameSink};
use crate::remote::pb::prometheus as pb;
use crate::remote::read_request::{ReadError, Stop};
use crate::server::admission::Reservation;
use crate::server::context::{Context, SharedContext};
use crate::server::grpc::messages;
use crate::server::read_turn::ReadTurn;
use crate::server::refused::Refused;
use crate::server::stream::{Stream, StreamError, StreamLimits, StreamSender, stream};
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
const IN_MEMORY: usize = FRAMES_AHEAD + 2;
/// How long a client may leave the next piece untaken; the whole has the time of any answer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an answer was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CutOff {
    /// The data can't be read, or the client has had enough.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The stream ended.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<CutOff> for Refused {
    fn from(cut_off: CutOff) -> Self {
        match cut_off {
            // Logged by the maker.
            CutOff::Read(ReadError::Query(error)) => Self::Fault(error.to_string()),
            CutOff::Read(error) => error.into(),
            CutOff::Stream(StreamError::Broken) => Self::Fault("answering the read failed".to_owned()),
            CutOff::Stream(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Answers over HTTP.
pub(crate) async fn answer(
    context: SharedContext,
    request: pb::ReadRequest,
    turn: ReadTurn,
) -> Result<Response, Refused> {
    let mut frames = frames(&context, request, turn, Framing::Delimited)?;
    frames.begun().await?;
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
    context: &SharedContext,
    request: pb::ReadRequest,
    turn: ReadTurn,
    framing: Framing,
) -> Result<Stream<Bytes, CutOff>, Refused> {
    let limits = StreamLimits { ahead: FRAMES_AHEAD, piece: PIECE_TIMEOUT, whole: context.answer_limits.time };
    let mut memory = context.answer_limits.budget.reserve();
    memory.extend(IN_MEMORY * (context.read_limits.frame_bytes + PIECE_BYTES))?;
    let context = context.clone();
    Ok(stream(limits, move |pieces| {
        let _held = turn;
        let made = make(&context, &request, memory, Pieces { framing, pieces });
        if let Err(error) = &made {
            log(error);
        }
        made
    }))
}

fn make(context: &Context, request: &pb::ReadRequest, memory: Reservation, pieces: Pieces<'_>) -> Result<(), CutOff> {
    let buffers = Arc::new(Buffers { free: Mutex::default(), _memory: memory });
    let mut sink = Sink { buffer: Vec::new(), buffers, out: pieces };
    let sent = chunked::answer_chunked(context.read_source(), request, &mut sink)?;
    if !sink.buffer.is_empty() {
        sink.send().map_err(ReadError::from)?;
    }
    context.read_metrics.count(sent);
    Ok(())
}

/// Logs what is not the client's doing.
fn log(error: &CutOff) {
    if let CutOff::Read(ReadError::Query(error)) = error {
        tracing::error!(%error, "a streamed read was cut off");
    }
}

/// Where pieces go.
struct Pieces<'a> {
    framing: Framing,
    pieces: &'a StreamSender<Bytes, CutOff>,
}

/// Makes pieces of frames.
struct Sink<'a> {
    buffer: Vec<u8>,
    buffers: Arc<Buffers>,
    out: Pieces<'a>,
}

impl FrameSink for Sink<'_> {
    fn check(&mut self) -> Result<(), Stop> {
        self.out.pieces.check().map_err(as_stop)
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Stop> {
        match self.out.framing {
            Framing::Delimited => frame.encode_delimited(&mut self.buffer),
            Framing::Grpc => {
                self.buffer.extend_from_slice(&messages::header(frame.encoded_len()));
                frame.encode(&mut self.buffer);
            }
        }
        if self.buffer.len() < PIECE_BYTES {
            return Ok(());
        }
        self.send()
    }
}

impl Sink<'_> {
    fn send(&mut self) -> Result<(), Stop> {
        let next = self.buffers.free.lock().pop().unwrap_or_default();
        let bytes = std::mem::replace(&mut self.buffer, next);
        let piece = Bytes::from_owner(Piece { bytes, buffers: Arc::clone(&self.buffers) });
        self.out.pieces.send(piece).map_err(as_stop)
    }
}

fn as_stop(error: StreamError) -> Stop {
    match error {
        StreamError::TooSlow => Stop::TooSlow,
        StreamError::Gone | StreamError::Broken => Stop::Gone,
    }
}

/// The buffers of an answer that are not in use, and the memory of all. The lock is held only to take or give one.
#[derive(Debug)]
struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    _memory: Reservation,
}

/// A piece on its way; when it is sent its buffer goes back.
struct Piece {
    bytes: Vec<u8>,
    buffers: Arc<Buffers>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.bytes);
        buffer.clear();
        let mut free = self.buffers.free.lock();
        if free.len() < IN_MEMORY {
            free.push(buffer);
        }
    }
}
