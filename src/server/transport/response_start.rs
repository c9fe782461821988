//! Start of an HTTP/2 response: its head and the data that is ready leave together.
//!
//! hyper queues the head of a response, then its data. The connection writes on another task, so
//! it could write the head alone. A client that sees an error status may then end its request
//! before the declared length. RFC 9113, section 8.1.1, makes that a stream error: the stream is
//! reset, and the reset discards the data that was still queued. The client would get the status
//! without its reason.
//!
//! # Ordering
//! 1. The service calls [`HeldWrites::hold`] when it has a response, before hyper queues the head.
//! 2. While a hold exists, [`HeldStream`] writes nothing.
//! 3. [`StreamExecutor`] ends the hold after the same poll, in which hyper has queued the head and
//!    the data that was ready, and wakes the connection.
//!
//! A hold lasts for a part of one poll, so other streams of the connection wait for microseconds.
//! It ends even if the poll panics.

use hyper::rt::Executor;
use parking_lot::Mutex;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

thread_local! {
    /// Whether the current poll of a stream has started a hold.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// Holds on the writes of a connection.
#[derive(Debug, Default)]
pub(crate) struct HeldWrites {
    /// Number of responses that are being queued.
    holds: AtomicUsize,
    /// Waker of the connection, if it waits for the last hold.
    waiting: Mutex<Option<Waker>>,
}

impl HeldWrites {
    /// Holds the writes until the end of the current poll of the stream.
    pub(crate) fn hold(&self) {
        if !HOLDS.replace(true) {
            self.holds.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn release(&self) {
        if self.holds.fetch_sub(1, Ordering::SeqCst) == 1 {
            let waker = self.waiting.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Becomes ready when nothing holds the writes.
    fn poll_released(&self, cx: &Context<'_>) -> Poll<()> {
        if self.holds.load(Ordering::SeqCst) == 0 {
            return Poll::Ready(());
        }
        *self.waiting.lock() = Some(cx.waker().clone());
        // The last hold may have ended before the waker was stored. Either its `release` finds the
        // waker, or this load finds no hold.
        if self.holds.load(Ordering::SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Stream of a connection whose writes can be held.
#[derive(Debug)]
pub(crate) struct HeldStream<S> {
    stream: S,
    writes: Arc<HeldWrites>,
}

impl<S> HeldStream<S> {
    pub(crate) fn new(stream: S, writes: Arc<HeldWrites>) -> Self {
        Self { stream, writes }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeldStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeldStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.writes.poll_released(cx));
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.writes.poll_released(cx));
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Executor for the streams of a connection.
#[derive(Clone, Debug)]
pub(crate) struct StreamExecutor {
    writes: Arc<HeldWrites>,
}

impl StreamExecutor {
    pub(crate) fn new(writes: Arc<HeldWrites>) -> Self {
        Self { writes }
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let writes = self.writes.clone();
        tokio::spawn(async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let _end = EndOfPoll(&writes);
                future.as_mut().poll(cx)
            })
            .await;
        });
    }
}

/// Ends the hold of a poll.
struct EndOfPoll<'a>(&'a HeldWrites);

impl Drop for EndOfPoll<'_> {
    fn drop(&mut self) {
        if HOLDS.replace(false) {
            self.0.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HeldStream, HeldWrites, StreamExecutor};
    use hyper::rt::Executor;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    /// Stream, its other side, and the executor of its streams.
    fn connection() -> (HeldStream<tokio::io::DuplexStream>, tokio::io::DuplexStream, StreamExecutor)
    {
        let (client, server) = tokio::io::duplex(64);
        let writes = Arc::<HeldWrites>::default();
        (HeldStream::new(server, writes.clone()), client, StreamExecutor::new(writes))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn write_waits_for_the_end_of_the_poll_with_a_response() {
        let (mut server, mut client, executor) = connection();
        let writes = executor.writes.clone();
        let (held, is_held) = oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        executor.execute(async move {
            writes.hold();
            writes.hold();
            held.send(()).unwrap();
            // Blocks the poll, as a thread does that is slow to queue the data.
            ended.recv().unwrap();
            std::future::pending::<()>().await;
        });
        is_held.await.unwrap();
        let write = tokio::spawn(async move {
            server.write_all(b"head").await.unwrap();
            server
        });
        let mut head = [0; 4];
        let mut read = Box::pin(client.read_exact(&mut head));
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut read).await;
        assert!(early.is_err(), "written during the hold");
        end.send(()).unwrap();
        read.await.unwrap();
        write.await.unwrap();
    }

    #[tokio::test]
    async fn hold_ends_when_the_poll_panics_or_the_stream_ends() {
        let (mut server, mut client, executor) = connection();
        for panics in [true, false] {
            let writes = executor.writes.clone();
            let (done, ended) = oneshot::channel::<()>();
            executor.execute(async move {
                let _done = done;
                writes.hold();
                assert!(!panics, "this panic is part of the test");
            });
            ended.await.unwrap_err();
            server.write_all(b"head").await.unwrap();
            client.read_exact(&mut [0; 4]).await.unwrap();
        }
    }
}
