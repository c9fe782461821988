//! First byte of a connection: TLS or not.
//!
//! rustls would respond to anything else with an alert. A client that speaks plain HTTP gets a
//! response that it can read instead.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Content type of a handshake record, the first byte of every TLS connection. Source: RFC 8446,
/// section 5.1.
const HANDSHAKE_RECORD: u8 = 22;

/// Error of a connection that does not start with a TLS record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTls {
    /// The first byte is an upper-case letter, as in an HTTP request.
    #[error("client sent an HTTP request to an HTTPS server")]
    Http,
    /// Any other first byte.
    #[error("first record does not look like a TLS handshake")]
    Other,
}

/// Stream that fails with [`NotTls`] if its first byte is not the start of a TLS handshake.
#[derive(Debug)]
pub(super) struct HelloStream<S> {
    stream: S,
    /// Set when the first byte has arrived.
    has_started: Arc<AtomicBool>,
}

impl<S> HelloStream<S> {
    pub(super) fn new(stream: S, has_started: Arc<AtomicBool>) -> Self {
        Self { stream, has_started }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HelloStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some(first) = buf.filled().get(filled)
            && !self.has_started.swap(true, Ordering::Relaxed)
            && *first != HANDSHAKE_RECORD
        {
            let error = if first.is_ascii_uppercase() { NotTls::Http } else { NotTls::Other };
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HelloStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
