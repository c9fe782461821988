//! An answer in pieces, made on a blocking thread and taken by whoever sends them: a body of HTTP, or the messages of a gRPC call.
//!
//! ```text
//!   blocking thread ── StreamSender::send ──▶ a few pieces ──▶ Stream (Body, or Stream of results) ──▶ client
//! ```
//!
//! Invariants:
//! - No more pieces wait than [`StreamLimits::max_queued`]. A client that takes none for [`StreamLimits::piece_timeout`], or not all by the deadline, gets
//!   no more: what waits is dropped at once, also where nobody polls the stream, and the maker's next [`PieceSender::send`] says so.
//! - A stream that ended properly is whole: an error of the maker, a panic of it, and a deadline that is over are errors of the stream.
//! - A client that is gone is told by the next `send`, and by [`PieceSender::check`] where a maker has nothing to send for long.
//!
//! The mutex guards the queue and is held only to take or put one piece.

use bytes::Bytes;
use http_body::{Body, Frame};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How much of a stream may wait, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    /// Pieces that wait for a slow client.
    pub(crate) max_queued: usize,
    /// How long a client may take none while there is no room for another.
    pub(crate) piece_timeout: Duration,
    /// Time for the whole.
    pub(crate) total_timeout: Duration,
}

/// Why a stream ended before its maker was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamError {
    /// The client has gone.
    #[error("the client has gone")]
    ClientGone,
    /// The client takes too little of it.
    #[error("the client did not take the answer in time")]
    SlowClient,
    /// The thread that makes it broke.
    #[error("making the answer broke")]
    Panicked,
}

/// Starts `make` on a blocking thread; its pieces come out of the stream. To be called on a runtime.
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
        let made = make(&sender);
        sender.shared.end(made);
    });
    // Nobody asks for the next piece while a client reads nothing, so that the time is kept beside.
    let timer = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move {
            tokio::time::sleep_until(deadline.into()).await;
            shared.abort();
        }
    });
    PieceStream { shared, timer }
}

/// What maker and taker share.
struct StreamShared<T, E> {
    state: Mutex<StreamState<T, E>>,
    /// There is room for a piece, or nobody wants one any more.
    room: Condvar,
}

struct StreamState<T, E> {
    pieces: VecDeque<T>,
    /// How it ended; what waits is taken before.
    end: Option<Result<(), E>>,
    /// Why nothing more is taken.
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
    /// The maker is done; only its first word on that counts.
    fn end(&self, made: Result<(), E>) {
        let mut state = self.state.lock();
        state.end.get_or_insert(made);
        state.wake();
    }

    /// Drops what waits: the client has not taken it in time.
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

/// Sends pieces from a blocking thread, which a slow client holds for no longer than the time it has.
pub(crate) struct PieceSender<T, E: From<StreamError>> {
    shared: Arc<StreamShared<T, E>>,
    limits: StreamLimits,
    /// By when the last piece has to be on its way.
    deadline: Instant,
}

impl<T, E: From<StreamError>> PieceSender<T, E> {
    /// Sends a piece, when there is room for it.
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

    /// Whether there is still somebody who waits for more, to be asked by a maker that has nothing to send for long.
    pub(crate) fn check(&self) -> Result<(), StreamError> {
        self.shared.state.lock().stopped.map_or(Ok(()), Err)
    }
}

impl<T, E: From<StreamError>> Drop for PieceSender<T, E> {
    /// Where the maker has not said how it ended it broke.
    fn drop(&mut self) {
        self.shared.end(Err(StreamError::Panicked.into()));
    }
}

/// The pieces as they come; after an error it ends. When it is dropped the client has gone.
pub(crate) struct PieceStream<T, E> {
    shared: Arc<StreamShared<T, E>>,
    timer: JoinHandle<()>,
}

impl<T, E> PieceStream<T, E> {
    /// Waits for the first piece, which stays in the stream, or for an end without any.
    ///
    /// # Errors
    /// What ended it where there is no piece: who answers with it can still say what failed.
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
    async fn pieces_come_in_order_and_the_stream_ends_with_its_maker() {
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
    async fn what_breaks_off_ends_in_an_error_behind_what_was_sent() {
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
    async fn what_fails_before_the_first_piece_can_be_told_and_nothing_is_lost_by_waiting() {
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
    async fn a_maker_hears_that_the_client_is_gone() {
        let (tell, told) = mpsc::channel();
        let mut pieces = stream(LIMITS, move |sender| {
            let error = (0..).find_map(|n| sender.send(n).err()).unwrap();
            tell.send((error, sender.check())).unwrap();
            Err(error)
        });
        assert_eq!(pieces.next().await, Some(Ok(0)));
        drop(pieces);
        assert_eq!(told.recv().unwrap(), (StreamError::ClientGone, Err(StreamError::ClientGone)));
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_holds_neither_maker_nor_pieces() {
        let limits = StreamLimits { piece_timeout: Duration::from_millis(20), ..LIMITS };
        let (tell, told) = mpsc::channel();
        let piece = std::sync::Arc::new(());
        let own = std::sync::Arc::clone(&piece);
        let mut pieces = stream(limits, move |sender| {
            let error = (0..).find_map(|_| sender.send(std::sync::Arc::clone(&own)).err()).unwrap();
            drop(own);
            tell.send(error).unwrap();
            Err(error)
        });
        assert_eq!(told.recv().unwrap(), StreamError::SlowClient);
        assert_eq!(std::sync::Arc::strong_count(&piece), 1, "what waited was dropped");
        assert_eq!(pieces.next().await, Some(Err(StreamError::SlowClient)));
        assert_eq!(pieces.next().await, None);
    }

    #[tokio::test]
    async fn what_waits_when_the_time_of_the_whole_is_over_is_dropped_and_the_stream_breaks_off() {
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
        // Also where the client waits for a maker that takes too long.
        let mut pieces: PieceStream<(), StreamError> = stream(limits, move |sender| {
            while sender.check().is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        });
        assert_eq!(pieces.next().await, Some(Err(StreamError::SlowClient)));
    }
}
