//! Stream of a connection, whose first read is the handshake.
//!
//! The first byte of the client starts the handshake: a connection that was accepted earlier uses
//! the context that is current then.
//!
//! # Failure
//! The client should learn the reason. After a failed handshake the stream closes its sending side
//! and discards what the client still sends, because an early close would reset the connection and
//! lose the alert. A client that speaks plain HTTP gets a response first. Both end at
//! [`MAX_DISCARDED_BYTES`] or at the timeout for the first byte, whichever is earlier.

use crate::server::transport::client_cert::ClientCertSlot;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::tls::context::CurrentContext;
use crate::server::transport::tls::failure::{FailureReason, HandshakeFailures};
use crate::server::transport::tls::hello::{self, HelloStream, NotTls};
use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::{FallibleAccept, TlsStream as OpenStream};

/// Maximum number of bytes that are discarded after a failed handshake.
const MAX_DISCARDED_BYTES: usize = 256 << 10;
/// Response to an HTTP request without TLS, with the status and text of Go's `net/http`.
const PLAIN_HTTP_RESPONSE: &[u8] = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// Stream of a TLS connection.
pub(crate) struct TlsStream<S> {
    state: State<S>,
    context: CurrentContext,
    /// `true` if the policy of the handshake verifies client certificates.
    verifies_clients: bool,
    client_cert: ClientCertSlot,
    failures: Arc<HandshakeFailures>,
    peer: PeerAddress,
}

enum State<S> {
    /// Before the first byte of the client.
    Waiting(S),
    Handshake(FallibleAccept<HelloStream<S>>),
    Open(OpenStream<HelloStream<S>>),
    Failed(FailedStream<HelloStream<S>>),
    /// After a failed handshake.
    Closed,
}

/// Connection whose handshake failed.
struct FailedStream<S> {
    stream: S,
    /// Error of the handshake; `None` after it was returned.
    error: Option<io::Error>,
    /// Rest of the response to the client.
    response: &'static [u8],
    /// Number of bytes that may still be discarded.
    discardable: usize,
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Waiting(_) => "waiting",
            State::Handshake(_) => "handshake",
            State::Open(_) => "open",
            State::Failed(_) => "failed",
            State::Closed => "closed",
        };
        f.debug_struct("TlsStream").field("state", &state).field("peer", &self.peer).finish()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    pub(super) fn new(
        context: CurrentContext,
        failures: Arc<HandshakeFailures>,
        stream: S,
        peer: PeerAddress,
        client_cert: ClientCertSlot,
    ) -> Self {
        Self {
            state: State::Waiting(stream),
            context,
            verifies_clients: false,
            client_cert,
            failures,
            peer,
        }
    }

    /// Returns the open stream, after the handshake.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut OpenStream<HelloStream<S>>>>> {
        if let State::Waiting(stream) = &mut self.state {
            let first = ready!(hello::poll_first_byte(stream, cx));
            self.state = match mem::replace(&mut self.state, State::Closed) {
                State::Waiting(stream) => self.started(first, stream),
                state => state,
            };
        }
        if let State::Handshake(accept) = &mut self.state {
            self.state = match ready!(Pin::new(accept).poll(cx)) {
                Ok(stream) => self.opened(stream),
                Err((error, stream)) => self.failed(error, stream),
            };
        }
        if let State::Failed(failed) = &mut self.state {
            let error = ready!(failed.poll_close(cx));
            self.state = State::Closed;
            return Poll::Ready(Err(error));
        }
        match &mut self.state {
            State::Open(stream) => Poll::Ready(Ok(Pin::new(stream))),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Starts the handshake after the first byte.
    fn started(&mut self, first: io::Result<u8>, stream: S) -> State<S> {
        let first = match first {
            Ok(first) => first,
            // A connection that ends without a byte, such as the probe of a load balancer, attempts
            // no handshake.
            Err(error) => {
                let stream = HelloStream::new(stream, None);
                return State::Failed(FailedStream::new(FailureReason::Incomplete, error, stream));
            }
        };
        let stream = HelloStream::new(stream, Some(first));
        if let Err(error) = NotTls::check(first) {
            return self.failed(io::Error::new(io::ErrorKind::InvalidData, error), stream);
        }
        let context = self.context.get();
        self.verifies_clients = context.verifies_clients;
        let acceptor = tokio_rustls::TlsAcceptor::from(context.config);
        State::Handshake(acceptor.accept(stream).into_fallible())
    }

    fn opened(&self, stream: OpenStream<HelloStream<S>>) -> State<S> {
        if self.verifies_clients && stream.get_ref().1.peer_certificates().is_some() {
            self.client_cert.mark_verified();
        }
        State::Open(stream)
    }

    fn failed(&self, error: io::Error, stream: HelloStream<S>) -> State<S> {
        let reason = FailureReason::from_error(&error);
        self.failures.record(reason, self.peer, &error);
        State::Failed(FailedStream::new(reason, error, stream))
    }
}

impl<S> FailedStream<S> {
    fn new(reason: FailureReason, error: io::Error, stream: S) -> Self {
        let response = match reason {
            FailureReason::PlainHttp => PLAIN_HTTP_RESPONSE,
            _ => &[],
        };
        let discardable = match reason {
            FailureReason::Incomplete => 0,
            _ => MAX_DISCARDED_BYTES,
        };
        Self { stream, error: Some(error), response, discardable }
    }
}

impl<S> Drop for TlsStream<S> {
    fn drop(&mut self) {
        if matches!(self.state, State::Handshake(_)) {
            self.failures.record(
                FailureReason::Incomplete,
                self.peer,
                &"the client did not complete the handshake in time",
            );
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FailedStream<S> {
    /// Sends the response, closes the sending side and discards what the client sends. Returns the
    /// error of the handshake when the client has closed its side, too.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        // An error of the connection ends the wait: nothing reaches the client any more.
        let _ = ready!(self.poll_steps(cx));
        Poll::Ready(self.error.take().unwrap_or_else(|| io::ErrorKind::NotConnected.into()))
    }

    fn poll_steps(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.response.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.response))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.response = &self.response[written..];
        }
        // Repeated calls are harmless.
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        let mut bytes = [0; 4096];
        while self.discardable > 0 {
            let mut buf = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
            self.discardable = self.discardable.saturating_sub(buf.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    /// Waits until the client has taken what earlier writes encrypted, so that a write that returns
    /// at once means as much as on a socket.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut stream = ready!(self.poll_open(cx))?;
        ready!(stream.as_mut().poll_flush(cx))?;
        stream.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = ready!(self.poll_open(cx))?;
        ready!(stream.as_mut().poll_flush(cx))?;
        stream.poll_write_vectored(cx, bufs)
    }

    /// The TLS layer joins the buffers into records.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_flush(cx),
            // Nothing has been written.
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Sends `close_notify` and closes the sending side; reads continue.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_shutdown(cx),
            // Nothing was written, and the socket closes with the connection.
            _ => Poll::Ready(Ok(())),
        }
    }
}
