//! Timeouts of a connection, enforced on its stream.
//!
//! | timeout    | starts at                             | ends at                                 |
//! |------------|---------------------------------------|-----------------------------------------|
//! | first byte | the accept                            | the first byte read                     |
//! | idle       | the last byte read or written         | the next byte                           |
//! | backlog    | the first write that had to wait      | a write that the client takes in full   |
//! | head       | the first byte of an HTTP/1.1 request | the call of the service                 |
//! | first head | the first byte of HTTP/2              | the first call of the service           |
//! | no stream  | the last work for an HTTP/2 stream    | the next call of the service, or data   |
//! |            |                                       | of a response that the client takes     |
//!
//! The backlog timeout equals the idle timeout. It stops a client that reads a byte now and then
//! from holding a response forever; about 64 KiB are offered per write.
//!
//! Between streams, an HTTP/2 connection carries only control frames. They reset the idle timeout,
//! but not the timeout without a stream, which has the same length. So a client that only answers
//! pings, or opens streams and takes no response, loses its connection. The head timeout limits the
//! time to its first request.
//!
//! # Close
//! An HTTP/1.1 connection whose client may still be sending ends with its sending side closed, and
//! hands its stream over to `lingering`. This is so if the last body
//! was not read to its end, or if a head was rejected: bytes of a head arrived and no request
//! started.
//!
//! The timer runs in the task of the connection and is polled only if the connection would wait.

use crate::server::transport::lingering::UnreadStream;
use crate::server::transport::request_progress::RequestProgress;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Maximum time until the first byte of a new connection.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// First bytes of an HTTP/2 connection. No HTTP/1.1 request starts with `PRI`. Source: RFC 9113,
/// section 3.4.
const HTTP_2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionTimeouts {
    /// Maximum time without a byte read or written, and for a client to accept data that it did not
    /// accept at once.
    pub(crate) idle: Duration,
    /// Maximum time for the head of an HTTP/1.1 request, from its first byte, and until the first
    /// request of an HTTP/2 connection.
    pub(crate) head: Duration,
}

/// Protocol of a connection, as far as the bytes read so far determine it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// All bytes so far match the HTTP/2 preface.
    Unknown {
        /// Number of matched bytes.
        matched: usize,
    },
    Http1,
    Http2,
}

impl Protocol {
    /// Returns the protocol after reading `bytes`.
    fn after(self, bytes: &[u8]) -> Self {
        let Self::Unknown { matched } = self else { return self };
        let expected = &HTTP_2_PREFACE[matched..];
        let len = expected.len().min(bytes.len());
        match () {
            () if bytes[..len] != expected[..len] => Self::Http1,
            () if len == expected.len() => Self::Http2,
            () => Self::Unknown { matched: matched + len },
        }
    }
}

/// Head of a request whose first byte has arrived.
#[derive(Debug)]
struct ArrivingHead {
    deadline: Instant,
    /// Number of requests that the connection started before this one.
    requests_before: usize,
}

/// Stream that fails with `TimedOut` when one of its timeouts has passed.
#[derive(Debug)]
pub(crate) struct IdleTimeoutStream<S> {
    /// `None` after it was handed over.
    stream: Option<S>,
    /// Receives the stream if the connection has to linger.
    unread: UnreadStream<S>,
    timeouts: ConnectionTimeouts,
    progress: Arc<RequestProgress>,
    protocol: Protocol,
    deadline: Instant,
    /// Deadline of the client for data that it did not accept at once.
    backlog: Option<Instant>,
    head: Option<ArrivingHead>,
    timer: Pin<Box<Sleep>>,
}

impl<S> IdleTimeoutStream<S> {
    pub(crate) fn new(
        stream: S,
        timeouts: ConnectionTimeouts,
        progress: Arc<RequestProgress>,
        unread: UnreadStream<S>,
    ) -> Self {
        let deadline = Instant::now() + FIRST_BYTE_TIMEOUT.min(timeouts.idle);
        Self {
            stream: Some(stream),
            unread,
            timeouts,
            progress,
            protocol: Protocol::Unknown { matched: 0 },
            deadline,
            backlog: None,
            head: None,
            timer: Box::pin(tokio::time::sleep_until(deadline)),
        }
    }

    fn reset_deadline(&mut self) {
        self.deadline = Instant::now() + self.timeouts.idle;
    }

    /// Starts the head timeout if `bytes` start a request or a connection. Bytes that arrive while
    /// a request is active are part of its body. Over HTTP/2, they can belong to anything.
    fn watch_head(&mut self, bytes: &[u8]) {
        self.protocol = self.protocol.after(bytes);
        self.clear_complete_head();
        let requests_before = self.progress.started();
        let is_head = self.protocol != Protocol::Http2 || requests_before == 0;
        if is_head && self.head.is_none() && !self.progress.is_active() {
            let deadline = Instant::now() + self.timeouts.head;
            self.head = Some(ArrivingHead { deadline, requests_before });
            // The timer is set to the idle timeout, which is later.
            if self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
        }
    }

    fn clear_complete_head(&mut self) {
        let started = self.progress.started();
        self.head.take_if(|head| head.requests_before != started);
    }

    /// Returns `true` if the client may still be sending a request.
    fn must_linger(&mut self) -> bool {
        self.clear_complete_head();
        self.protocol == Protocol::Http1 && (self.head.is_some() || self.progress.has_unread_body())
    }

    /// Returns the deadline of an HTTP/2 connection for its next stream, or for its client to take
    /// a response.
    fn stream_deadline(&self) -> Option<Instant> {
        let is_between_streams = self.protocol == Protocol::Http2 && self.progress.started() > 0;
        let since = self.progress.idle_since().filter(|_| is_between_streams)?;
        Some(since + self.timeouts.idle)
    }

    /// Becomes ready with an error when the earliest current deadline has passed.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            self.clear_complete_head();
            let head = self.head.as_ref().map(|head| head.deadline);
            let others = self.backlog.into_iter().chain(head).chain(self.stream_deadline());
            // A new deadline is at least the idle timeout away, so the timer is never set too late.
            let deadline = others.fold(self.deadline, Instant::min);
            if Instant::now() >= deadline {
                let is_head = head == Some(deadline);
                let message = if is_head {
                    "request head took too long"
                } else {
                    "connection idle for too long"
                };
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            // A deadline moved after the timer was set.
            self.timer.as_mut().reset(deadline);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleTimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        match Pin::new(stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                let bytes = &buf.filled()[filled..];
                if !bytes.is_empty() {
                    self.reset_deadline();
                    self.watch_head(bytes);
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_idle(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> IdleTimeoutStream<S> {
    /// Updates the deadlines after a write of `offered` bytes.
    fn track_write(
        &mut self,
        cx: &mut Context<'_>,
        offered: usize,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(result) => {
                self.reset_deadline();
                if result.as_ref().is_ok_and(|written| *written >= offered) {
                    self.backlog = None;
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_backlog(cx),
        }
    }

    /// Waits for a client that did not accept data at once. A TLS stream still has some at a flush
    /// or a shutdown.
    fn poll_backlog<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        // This deadline is not earlier than the timer, so the timer needs no reset.
        let deadline = Instant::now() + self.timeouts.idle;
        self.backlog.get_or_insert(deadline);
        self.poll_idle(cx).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleTimeoutStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(closed())) };
        let result = Pin::new(stream).poll_write(cx, buf);
        self.track_write(cx, buf.len(), result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(closed())) };
        let result = Pin::new(stream).poll_write_vectored(cx, bufs);
        self.track_write(cx, bufs.iter().map(|buf| buf.len()).sum(), result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        match Pin::new(stream).poll_flush(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_backlog(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        match Pin::new(stream).poll_shutdown(cx) {
            Poll::Ready(result) => {
                if result.is_ok() && self.must_linger() {
                    *self.unread.lock() = self.stream.take();
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_backlog(cx),
        }
    }
}

/// Returns the error of a write after the close.
fn closed() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

#[cfg(test)]
mod tests {
    use super::{
        ConnectionTimeouts, FIRST_BYTE_TIMEOUT, HTTP_2_PREFACE, IdleTimeoutStream, Protocol,
    };
    use crate::server::transport::request_progress::RequestProgress;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    const IDLE: Duration = Duration::from_millis(200);

    fn limited<S>(stream: S) -> IdleTimeoutStream<S> {
        let timeouts = ConnectionTimeouts { idle: IDLE, head: Duration::from_secs(60) };
        IdleTimeoutStream::new(stream, timeouts, Arc::default(), Arc::default())
    }

    /// Sends bytes to a connection as long as it is open. Returns the time until its end.
    async fn time_with_traffic(
        timeouts: ConnectionTimeouts,
        progress: Arc<RequestProgress>,
        start: &'static [u8],
    ) -> Duration {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = IdleTimeoutStream::new(server, timeouts, progress, Arc::default());
        let started = Instant::now();
        let sending = tokio::spawn(async move {
            let mut bytes = start;
            while client.write_all(bytes).await.is_ok() {
                tokio::time::sleep(IDLE / 10).await;
                bytes = b"x";
            }
        });
        let error = tokio::io::copy(&mut server, &mut tokio::io::sink()).await.unwrap_err();
        sending.abort();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        started.elapsed()
    }

    #[tokio::test]
    async fn http_2_without_a_stream_times_out_despite_traffic() {
        let long = Duration::from_secs(60);
        let first = ConnectionTimeouts { idle: long, head: IDLE };
        let elapsed = time_with_traffic(first, Arc::default(), HTTP_2_PREFACE).await;
        assert!(elapsed >= IDLE && elapsed < long, "{elapsed:?}");

        let later = ConnectionTimeouts { idle: IDLE, head: long };
        let progress = Arc::<RequestProgress>::default();
        let mut request = progress.start();
        let end = tokio::spawn(async move {
            tokio::time::sleep(IDLE * 2).await;
            // The client does not take the response.
            request.set_worked_on(false);
            tokio::time::sleep(long).await;
            drop(request);
        });
        let elapsed = time_with_traffic(later, progress, HTTP_2_PREFACE).await;
        assert!(elapsed >= IDLE * 3 && elapsed < long, "{elapsed:?}");
        end.abort();
    }

    #[test]
    fn protocol_is_known_after_other_byte_or_preface() {
        let unknown = Protocol::Unknown { matched: 0 };
        assert_eq!(unknown.after(b"G"), Protocol::Http1);
        assert_eq!(unknown.after(b"PR"), Protocol::Unknown { matched: 2 });
        assert_eq!(unknown.after(b"PR").after(b"OPFIND"), Protocol::Http1);
        let (first, last) = HTTP_2_PREFACE.split_at(7);
        assert_eq!(unknown.after(first).after(last), Protocol::Http2);
        assert_eq!(unknown.after(&[HTTP_2_PREFACE, b"more"].concat()), Protocol::Http2);
    }

    #[tokio::test]
    async fn idle_connection_times_out() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = limited(server);
        let started = Instant::now();
        for _ in 0..4 {
            tokio::time::sleep(IDLE / 2).await;
            client.write_all(b"x").await.unwrap();
            server.read_u8().await.unwrap();
        }
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= IDLE * 3 && started.elapsed() < FIRST_BYTE_TIMEOUT);
    }

    #[tokio::test]
    async fn client_that_reads_nothing_times_out() {
        let (_client, server) = tokio::io::duplex(64);
        let mut server = limited(server);
        let error = server.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn client_that_reads_slowly_times_out() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = limited(server);
        let writing = tokio::spawn(async move { server.write_all(&[0; 1000]).await });
        let started = Instant::now();
        while !writing.is_finished() {
            tokio::time::sleep(IDLE / 10).await;
            // The server may have closed the stream already.
            let _ = client.read_u8().await;
        }
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= IDLE);
    }
}
