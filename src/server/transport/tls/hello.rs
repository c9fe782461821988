//! First byte of a connection: TLS or not.
//!
//! rustls would respond to anything else with an alert. A client that speaks plain HTTP gets a
//! response that it can read instead.

use std::io;
use std::pin::Pin;
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

impl NotTls {
    /// Checks the first byte of a connection.
    pub(super) fn check(first: u8) -> Result<(), Self> {
        match first {
            HANDSHAKE_RECORD => Ok(()),
            b'A'..=b'Z' => Err(Self::Http),
            _ => Err(Self::Other),
        }
    }
}

/// Reads the first byte of a connection.
pub(super) fn poll_first_byte<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
) -> Poll<io::Result<u8>> {
    let mut byte = [0];
    let mut buf = ReadBuf::new(&mut byte);
    ready!(Pin::new(stream).poll_read(cx, &mut buf))?;
    let first = buf.filled().first().copied();
    Poll::Ready(first.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
}

/// Stream whose first byte has been read. Reads return it again.
#[derive(Debug)]
pub(super) struct HelloStream<S> {
    stream: S,
    /// First byte, until a read returns it.
    first: Option<u8>,
}

impl<S> HelloStream<S> {
    pub(super) fn new(stream: S, first: Option<u8>) -> Self {
        Self { stream, first }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HelloStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
