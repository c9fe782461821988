//! A connection that gives up when nothing moves: no first byte soon after it was accepted, neither a byte read nor
//! written for the idle timeout, or a client that in this time does not take all that is offered to it at once (64 KiB or so), so
//! that one which takes a byte now and then holds nothing for ever.
//!
//! Runs under the task of its connection; the timer is touched only when the connection would have to wait.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a new connection may be silent.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream with a limit on its silence.
#[derive(Debug)]
pub(crate) struct IdleLimited<S> {
    stream: S,
    idle: Duration,
    deadline: Instant,
    /// By when the client has to have taken what it could not take at once.
    backlog: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<S> IdleLimited<S> {
    pub(crate) fn new(stream: S, idle: Duration) -> Self {
        let deadline = Instant::now() + FIRST_BYTE_TIMEOUT.min(idle);
        Self { stream, idle, deadline, backlog: None, timer: Box::pin(tokio::time::sleep_until(deadline)) }
    }

    fn moved(&mut self) {
        self.deadline = Instant::now() + self.idle;
    }

    /// Ready with an error once the deadline, as it stands now, is over.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let deadline = self.backlog.map_or(self.deadline, |backlog| backlog.min(self.deadline));
            if Instant::now() >= deadline {
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "connection idle for too long"));
            }
            // Something moved since the timer was set.
            self.timer.as_mut().reset(deadline);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleLimited<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > filled {
                    self.moved();
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_silence(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> IdleLimited<S> {
    /// Notes what became of a write of `offered` bytes.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        offered: usize,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(result) => {
                self.moved();
                if result.as_ref().is_ok_and(|written| *written >= offered) {
                    self.backlog = None;
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                // Never earlier than the timer stands, which is therefore early enough.
                self.backlog.get_or_insert(Instant::now() + self.idle);
                self.poll_silence(cx).map(Err)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleLimited<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, buf.len(), result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, bufs.iter().map(|buf| buf.len()).sum(), result)
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

#[cfg(test)]
mod tests {
    use super::{FIRST_BYTE_TIMEOUT, IdleLimited};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    const IDLE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_is_given_up() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = IdleLimited::new(server, IDLE);
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
    async fn a_client_that_reads_nothing_is_given_up() {
        let (_client, server) = tokio::io::duplex(64);
        let mut server = IdleLimited::new(server, IDLE);
        let error = server.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_a_byte_now_and_then_is_given_up() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = IdleLimited::new(server, IDLE);
        let writing = tokio::spawn(async move { server.write_all(&[0; 1000]).await });
        let started = Instant::now();
        while !writing.is_finished() {
            tokio::time::sleep(IDLE / 10).await;
            // The server may have closed it by now.
            let _ = client.read_u8().await;
        }
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= IDLE);
    }
}
