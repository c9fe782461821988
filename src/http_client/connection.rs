//! HTTP/1.1 and HTTP/2 connections.

use crate::http_client::dial::Dialed;
use crate::http_client::dial::error::ConnectError;
use crate::http_client::dial::stream::{CountedStream, ReadCount};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// Time without a read after which an HTTP/2 connection is checked with a PING.
const PING_AFTER: Duration = Duration::from_secs(60);
/// Time in which the PING must be acknowledged.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum number of headers of a response.
const MAX_HEADERS: usize = 256;
/// Maximum size of the head of a response, bytes.
const MAX_HEAD_BYTES: usize = 1 << 20;

pub(super) type RequestBody = Full<Bytes>;

/// Connection that can send a request.
pub(super) enum Connection {
    /// For one request at a time.
    Http1(Http1Connection),
    /// For several requests at a time.
    Http2(Arc<Http2Connection>),
}

pub(super) struct Http1Connection {
    sender: http1::SendRequest<RequestBody>,
    reads: ReadCount,
    _driver: Driver,
}

pub(super) struct Http2Connection {
    sender: http2::SendRequest<RequestBody>,
    _driver: Driver,
}

/// Task that drives a connection. Dropping it closes the connection.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Error of sending a request.
pub(super) struct SendError {
    pub(super) error: hyper::Error,
    /// Whether the server has not begun to respond, so that a request without effects can be
    /// repeated on another connection.
    pub(super) is_unanswered: bool,
}

impl Connection {
    /// Sets up the protocol of a connected stream.
    pub(super) async fn new(dialed: Dialed) -> Result<Self, ConnectError> {
        let reads = ReadCount::default();
        let stream = CountedStream { stream: dialed.stream, reads: reads.clone() };
        let io = TokioIo::new(stream);
        if dialed.is_http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING_AFTER)
                .keep_alive_timeout(PING_TIMEOUT)
                .keep_alive_while_idle(true)
                .max_header_list_size(MAX_HEAD_BYTES as u32)
                .handshake(io)
                .await
                .map_err(ConnectError::Handshake)?;
            // Its error is that of the requests, too.
            let driver = tokio::spawn(async { drop(connection.await) });
            let driver = Driver(driver.abort_handle());
            return Ok(Self::Http2(Arc::new(Http2Connection { sender, _driver: driver })));
        }
        let (sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(io)
            .await
            .map_err(ConnectError::Handshake)?;
        let driver = tokio::spawn(async { drop(connection.await) });
        let driver = Driver(driver.abort_handle());
        Ok(Self::Http1(Http1Connection { sender, reads, _driver: driver }))
    }

    /// Returns `true` if the connection is HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Sends a request and returns the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, SendError> {
        match self {
            Self::Http1(connection) => {
                let unsent = |error| SendError { error, is_unanswered: true };
                connection.sender.ready().await.map_err(unsent)?;
                let before = connection.reads.get();
                connection.sender.send_request(request).await.map_err(|error| SendError {
                    error,
                    is_unanswered: connection.reads.get() == before,
                })
            }
            Self::Http2(connection) => {
                let mut sender = connection.sender.clone();
                let unanswered = |error| SendError { error, is_unanswered: true };
                sender.ready().await.map_err(unanswered)?;
                sender.send_request(request).await.map_err(unanswered)
            }
        }
    }
}

impl Http1Connection {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Http2Connection {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
