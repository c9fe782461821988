//! Streamed response: a blocking thread produces pieces, an HTTP body or a gRPC call sends them.
//!
//! ```text
//!   blocking thread ── PieceSender::send ──▶ queue of pieces ──▶ PieceStream ──▶ client
//! ```
//!
//! # Backpressure
//! At most [`StreamLimits::max_queued`] pieces wait. If the client takes none for
//! [`StreamLimits::piece_timeout`] while the queue is full, or not all by the deadline, the stream
//! is aborted: queued pieces are dropped at once, even if nothing polls the stream, and the next
//! [`PieceSender::send`] fails.
//!
//! # Failure
//! A stream that ends without an error is complete. An error or panic of the producer and a passed
//! deadline are errors of the stream. After a disconnect the next `send` fails, and so does
//! [`PieceSender::check`], which a producer calls while it has nothing to send.
//!
//! # Locking
//! The mutex guards the queue and is held only to add or remove one piece.

use bytes::Bytes;
use http_body::{Body, Frame};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Limits of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    /// Maximum number of queued pieces.
    pub(crate) max_queued: usize,
    /// Maximum time for which a full queue may stay full.
    pub(crate) piece_timeout: Duration,
    /// Maximum duration of the stream.
    pub(crate) total_timeout: Duration,
}

/// Error that ends a stream before its producer has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamError {
    /// The client disconnected.
    #[error("the client disconnected")]
    ClientGone,
    /// The client did not take pieces in time.
    #[error("the client did not read the response in time")]
    SlowClient,
    /// The producer panicked.
    #[error("internal error while producing the response")]
    Panicked,
}

/// Runs `make` on a blocking thread and returns the stream of its pieces. Needs a tokio runtime.
pub(crate) fn stream<T, E, F>(limits: StreamLimits, make: F) -> PieceStream<T, E>
where
    T: Send + 'static,
    E: From<StreamError> + Send + 'static,
    F: FnOnce(&PieceSender<T, E>) -> Result<(), E> + Send + 'static,
{
    let shared =
        Arc::new(StreamShared { state: Mutex::new(StreamState::default()), room: Condvar::new() });
    let deadline = Instant::now() + limits.total_timeout;
    let sender = PieceSender { shared: Arc::clone(&shared), limits, deadline };
    tokio::task::spawn_blocking(move || {
        let result = make(&sender);
        sender.shared.end(result);
    });
    // A task, because nothing polls the stream while the client does not read.
    let timer = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move {
            tokio::time::sleep_until(deadline.into()).await;
            shared.abort();
        }
    });
    PieceStream { shared, timer }
}

/// State that the producer and the stream share.
struct StreamShared<T, E> {
    state: Mutex<StreamState<T, E>>,
    /// Notified when a piece was taken and when the stream stops.
    room: Condvar,
}

struct StreamState<T, E> {
    pieces: VecDeque<T>,
    /// Result of the producer, returned after the queued pieces.
    end: Option<Result<(), E>>,
    /// Reason to reject further pieces.
    stopped: Option<StreamError>,
    waker: Option<Waker>,
}

impl<T, E> Default for StreamState<T, E> {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), end: None, stopped: None, waker: None }
    }
}

impl<T, E> StreamState<T, E> {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl<T, E: From<StreamError>> StreamShared<T, E> {
    /// Records the result of the producer; only the first result counts.
    fn end(&self, result: Result<(), E>) {
        let mut state = self.state.lock();
        state.end.get_or_insert(result);
        state.wake();
    }

    /// Drops the queued pieces because the client did not take them in time.
    fn abort(&self) {
        let mut state = self.state.lock();
        if state.stopped.is_some() || (state.pieces.is_empty() && matches!(state.end, Some(Ok(()))))
        {
            return;
        }
        state.stopped = Some(StreamError::SlowClient);
        state.pieces = VecDeque::new();
        state.end = Some(Err(StreamError::SlowClient.into()));
        state.wake();
        self.room.notify_all();
    }
}

/// Sender for a blocking thread. A slow client blocks it no longer than the limits allow.
pub(crate) struct PieceSender<T, E: From<StreamError>> {
    shared: Arc<StreamShared<T, E>>,
    limits: StreamLimits,
    /// Deadline of the last piece.
    deadline: Instant,
}

impl<T, E: From<StreamError>> PieceSender<T, E> {
    /// Queues a piece; waits while the queue is full.
    pub(crate) fn send(&self, piece: T) -> Result<(), StreamError> {
        let until = self.deadline.min(Instant::now() + self.limits.piece_timeout);
        let mut state = self.shared.state.lock();
        while state.stopped.is_none() && state.pieces.len() >= self.limits.max_queued {
            if self.shared.room.wait_until(&mut state, until).timed_out()
                && state.pieces.len() >= self.limits.max_queued
            {
                drop(state);
                self.shared.abort();
                return Err(StreamError::SlowClient);
            }
        }
        if let Some(stopped) = state.stopped {
            return Err(stopped);
        }
        state.pieces.push_back(piece);
        state.wake();
        Ok(())
    }

    /// Returns an error if the stream has stopped. For producers with nothing to send for long.
    pub(crate) fn check(&self) -> Result<(), StreamError> {
        self.shared.state.lock().stopped.map_or(Ok(()), Err)
    }
}

impl<T, E: From<StreamError>> Drop for PieceSender<T, E> {
    /// Records a panic if the producer has not recorded a result.
    fn drop(&mut self) {
        self.shared.end(Err(StreamError::Panicked.into()));
    }
}

/// Stream of the pieces. It ends after an error. Dropping it means that the client disconnected.
pub(crate) struct PieceStream<T, E> {
    shared: Arc<StreamShared<T, E>>,
    timer: JoinHandle<()>,
}

impl<T, E> PieceStream<T, E> {
    /// Waits until the first piece is queued, or the producer ends without one. The piece stays
    /// queued.
    ///
    /// # Errors
    /// Error of a producer that sent no piece; the caller can still respond with it.
    pub(crate) async fn wait_first(&mut self) -> Result<(), E> {
        std::future::poll_fn(|cx| {
            let mut state = self.shared.state.lock();
            if !state.pieces.is_empty() || matches!(state.end, Some(Ok(()))) {
                return Poll::Ready(Ok(()));
            }
            match state.end.take() {
                Some(Err(error)) => {
                    state.end = Some(Ok(()));
                    Poll::Ready(Err(error))
                }
                _ => {
                    state.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<Result<T, E>>> {
        let mut state = self.shared.state.lock();
        if let Some(piece) = state.pieces.pop_front() {
            self.shared.room.notify_one();
            return Poll::Ready(Some(Ok(piece)));
        }
        match state.end.replace(Ok(())) {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                state.end = None;
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T, E> Drop for PieceStream<T, E> {
    fn drop(&mut self) {
        self.timer.abort();
        let mut state = self.shared.state.lock();
        state.stopped = Some(StreamError::ClientGone);
        state.pieces = VecDeque::new();
        self.shared.room.notify_all();
    }
}

impl<T, E> tokio_stream::Stream for PieceStream<T, E> {
    type Item = Result<T, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_piece(cx)
    }
}

impl<E> Body for PieceStream<Bytes, E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        self.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::{PieceStream, StreamError, StreamLimits, stream};
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use std::sync::mpsc;
    use std::time::Duration;
    use tokio_stream::StreamExt;

    const LIMITS: StreamLimits = StreamLimits {
        max_queued: 2,
        piece_timeout: Duration::from_secs(60),
        total_timeout: Duration::from_secs(60),
    };

    type Items = Vec<Result<u32, StreamError>>;

    #[tokio::test]
    async fn pieces_arrive_in_order_and_end_with_the_producer() {
        let pieces = stream(LIMITS, |sender| (0..100).try_for_each(|n| sender.send(n)));
        let items: Items = pieces.collect().await;
        assert_eq!(items, (0..100).map(Ok).collect::<Items>());
        let body: PieceStream<Bytes, StreamError> = stream(LIMITS, |sender| {
            sender.send(Bytes::from_static(b"ab"))?;
            sender.send(Bytes::from_static(b"cd"))
        });
        assert_eq!(BodyExt::collect(body).await.unwrap().to_bytes(), "abcd");
    }

    #[tokio::test]
    async fn producer_error_follows_the_pieces_sent_before() {
        let pieces = stream(LIMITS, |sender| {
            sender.send(1)?;
            Err(StreamError::Panicked)
        });
        let items: Items = pieces.collect().await;
        assert_eq!(items, [Ok(1), Err(StreamError::Panicked)]);
        let pieces = stream(LIMITS, |sender| {
            sender.send(1)?;
            panic!("on purpose")
        });
        let items: Items = pieces.collect().await;
        assert_eq!(items, [Ok(1), Err(StreamError::Panicked)]);
    }

    #[tokio::test]
    async fn wait_first_returns_early_errors_and_keeps_pieces() {
        let mut pieces: PieceStream<u32, StreamError> =
            stream(LIMITS, |_| Err(StreamError::Panicked));
        assert_eq!(pieces.wait_first().await, Err(StreamError::Panicked));
        let mut pieces = stream(LIMITS, |sender| {
            sender.send(7)?;
            Err(StreamError::Panicked)
        });
        assert_eq!(pieces.wait_first().await, Ok(()));
        let items: Items = pieces.collect().await;
        assert_eq!(items, [Ok(7), Err(StreamError::Panicked)]);
        let mut pieces: PieceStream<u32, StreamError> = stream(LIMITS, |_| Ok(()));
        assert_eq!((pieces.wait_first().await, pieces.next().await), (Ok(()), None));
    }

    #[tokio::test]
    async fn producer_learns_that_the_client_disconnected() {
        let (result_sender, results) = mpsc::channel();
        let mut pieces = stream(LIMITS, move |sender| {
            let error = (0..).find_map(|n| sender.send(n).err()).unwrap();
            result_sender.send((error, sender.check())).unwrap();
            Err(error)
        });
        assert_eq!(pieces.next().await, Some(Ok(0)));
        drop(pieces);
        assert_eq!(
            results.recv().unwrap(),
            (StreamError::ClientGone, Err(StreamError::ClientGone))
        );
    }

    #[tokio::test]
    async fn slow_client_stops_the_producer_and_drops_pieces() {
        let limits = StreamLimits { piece_timeout: Duration::from_millis(20), ..LIMITS };
        let (result_sender, results) = mpsc::channel();
        let piece = std::sync::Arc::new(());
        let own = std::sync::Arc::clone(&piece);
        let mut pieces = stream(limits, move |sender| {
            let error = (0..).find_map(|_| sender.send(std::sync::Arc::clone(&own)).err()).unwrap();
            drop(own);
            result_sender.send(error).unwrap();
            Err(error)
        });
        assert_eq!(results.recv().unwrap(), StreamError::SlowClient);
        assert_eq!(std::sync::Arc::strong_count(&piece), 1, "queued pieces were not dropped");
        assert_eq!(pieces.next().await, Some(Err(StreamError::SlowClient)));
        assert_eq!(pieces.next().await, None);
    }

    #[tokio::test]
    async fn deadline_drops_queued_pieces_and_fails_the_stream() {
        let limits = StreamLimits { total_timeout: Duration::from_millis(20), ..LIMITS };
        let piece = std::sync::Arc::new(());
        let own = std::sync::Arc::clone(&piece);
        let mut pieces: PieceStream<_, StreamError> =
            stream(limits, move |sender| sender.send(own));
        while std::sync::Arc::strong_count(&piece) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(pieces.next().await, Some(Err(StreamError::SlowClient)));
        assert_eq!(pieces.next().await, None);
        // Also while the client waits for a slow producer.
        let mut pieces: PieceStream<(), StreamError> = stream(limits, move |sender| {
            while sender.check().is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        });
        assert_eq!(pieces.next().await, Some(Err(StreamError::SlowClient)));
    }
}
