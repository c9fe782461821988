//! Streamed response: a producer on a blocking thread writes messages, the client reads pieces.
//!
//! # Memory
//! A response of any size holds at most [`max_pieces`] pieces: queued, being filled, being sent. A
//! piece is one large message or many small ones. Buffers are reused. The caller reserves their
//! memory before the response starts; it is returned with the last piece.
//!
//! # Failure
//! An error before the first piece can become the response: see
//! [`PieceStream::wait_first`](crate::server::transport::piece_stream::PieceStream::wait_first). A
//! later error, or a slow client, ends the stream with an error. After a disconnect the producer
//! stops at its next message or check.

use crate::server::transport::admission::{BudgetExhausted, Reservation};
use crate::server::transport::piece_stream::{
    PieceSender, PieceStream, StreamError, StreamLimits, stream,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Maximum time that a client may leave the queue full. The limit of the whole response is
/// separate.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Limits of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceLimits {
    /// Size up to which messages are collected into one piece, bytes.
    pub(crate) piece_bytes: usize,
    /// Maximum number of queued pieces.
    pub(crate) max_queued: usize,
    /// Maximum duration of the response.
    pub(crate) total_timeout: Duration,
}

/// Returns the maximum number of pieces in memory: queued, being filled, being sent.
pub(crate) const fn max_pieces(max_queued: usize) -> usize {
    max_queued + 2
}

/// Error that ends a response early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamedResponseError<E> {
    /// The producer failed.
    #[error(transparent)]
    Producer(E),
    /// The stream failed.
    #[error(transparent)]
    Stream(StreamError),
}

impl<E> From<StreamError> for StreamedResponseError<E> {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

/// Pieces of a response.
pub(crate) type StreamedResponse<E> = PieceStream<Bytes, StreamedResponseError<E>>;

/// Runs `produce` on a blocking thread and returns the pieces of its messages. Needs a tokio
/// runtime. `memory` is the reservation of the pieces.
pub(crate) fn stream_response<E, F>(
    limits: PieceLimits,
    memory: Reservation,
    produce: F,
) -> StreamedResponse<E>
where
    E: Send + 'static,
    F: FnOnce(&mut PieceWriter<'_, E>) -> Result<(), E> + Send + 'static,
{
    let PieceLimits { piece_bytes, max_queued, total_timeout } = limits;
    let pool = BufferPool {
        free: Mutex::default(),
        max_free: max_pieces(max_queued),
        memory: Mutex::new(memory),
    };
    let buffers = Arc::new(pool);
    stream(
        StreamLimits { max_queued, piece_timeout: PIECE_TIMEOUT, total_timeout },
        move |pieces| {
            let mut out = PieceWriter { buffer: Vec::new(), buffers, piece_bytes, pieces };
            produce(&mut out).map_err(StreamedResponseError::Producer)?;
            Ok(out.flush()?)
        },
    )
}

/// Writer that collects messages into pieces.
pub(crate) struct PieceWriter<'a, E> {
    buffer: Vec<u8>,
    buffers: Arc<BufferPool>,
    piece_bytes: usize,
    pieces: &'a PieceSender<Bytes, StreamedResponseError<E>>,
}

impl<E> PieceWriter<'_, E> {
    /// Checks that the client still reads.
    ///
    /// # Errors
    /// [`StreamError`] if the stream has stopped.
    pub(crate) fn check(&self) -> Result<(), StreamError> {
        self.pieces.check()
    }

    /// Reserves memory until the response is complete.
    ///
    /// # Errors
    /// [`BudgetExhausted`].
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        self.buffers.memory.lock().extend(bytes)
    }

    /// Sends a message that `encode` appends.
    ///
    /// # Errors
    /// [`StreamError`] if the stream has stopped.
    pub(crate) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), StreamError> {
        encode(&mut self.buffer);
        if self.buffer.len() < self.piece_bytes { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let next = self.buffers.free.lock().pop().unwrap_or_default();
        let bytes = std::mem::replace(&mut self.buffer, next);
        let buffers = Arc::clone(&self.buffers);
        self.pieces.send(Bytes::from_owner(PooledPiece { bytes, buffers }))
    }
}

/// Unused buffers of a response, and the memory reservation of the response. The locks are held
/// only to take or return one buffer, or to extend the reservation.
#[derive(Debug)]
struct BufferPool {
    free: Mutex<Vec<Vec<u8>>>,
    max_free: usize,
    memory: Mutex<Reservation>,
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
        if free.len() < self.buffers.max_free {
            free.push(buffer);
        }
    }
}
