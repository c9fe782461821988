//! Requests and responses of the client.

use crate::http_client::body_error::BodyError;
use crate::http_client::pool::Lease;
use crate::http_client::sent_secrets::SentSecrets;
use crate::model::url::Url;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::ext::ReasonPhrase;
use std::path::PathBuf;
use tokio::time::Instant;

/// Request of a caller. [`Debug`](std::fmt::Debug) hides the body and sensitive headers.
#[derive(Clone)]
pub struct ClientRequest {
    /// `GET` unless the caller needs another one.
    pub method: Method,
    /// URL; its user information is sent as basic authentication, before that of the settings.
    pub url: Url,
    /// Headers of the request. Values marked as sensitive are not sent to other hosts.
    pub headers: HeaderMap,
    /// Body; may be empty.
    pub body: Bytes,
    /// Unix socket to connect to instead of the host of the URL.
    pub unix_socket: Option<PathBuf>,
    /// Value of the header `Host`; `None` is the host of the URL.
    pub host: Option<String>,
}

impl std::fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl ClientRequest {
    /// Returns a `GET` request without headers.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            unix_socket: None,
            host: None,
        }
    }
}

/// Response to the last request of an exchange.
#[derive(Debug)]
pub struct ClientResponse {
    /// Status of the response.
    pub status: StatusCode,
    /// Reason of the status line; empty if it has none. HTTP/2 has the standard one.
    pub reason: String,
    /// Protocol version of the connection.
    #[cfg(any(test, feature = "testing"))]
    pub version: http::Version,
    /// Headers of the response.
    pub headers: HeaderMap,
    /// Body, without decompression.
    pub body: ResponseBody,
    /// Secrets of the request. Hide them in texts of the server before they are shown.
    pub secrets: SentSecrets,
}

impl ClientResponse {
    pub(super) fn new(
        response: http::Response<Incoming>,
        lease: Lease,
        deadline: Instant,
        secrets: SentSecrets,
    ) -> Self {
        let (head, incoming) = response.into_parts();
        let reason = match head.extensions.get::<ReasonPhrase>() {
            Some(reason) => secrets.hide(&String::from_utf8_lossy(reason.as_bytes())),
            None => head.status.canonical_reason().unwrap_or_default().to_owned(),
        };
        let body = ResponseBody::new(incoming, lease, deadline);
        Self {
            status: head.status,
            reason,
            #[cfg(any(test, feature = "testing"))]
            version: head.version,
            headers: head.headers,
            body,
            secrets,
        }
    }

    /// Returns status code and reason, such as `404 Not Found`.
    #[must_use]
    pub fn status_text(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.reason)
    }
}

/// Body of a response, read piece by piece. Dropping it before its end closes the connection.
pub struct ResponseBody {
    incoming: Incoming,
    /// `None` after the end or an error.
    lease: Option<Lease>,
    deadline: Instant,
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl ResponseBody {
    fn new(incoming: Incoming, lease: Lease, deadline: Instant) -> Self {
        let mut body = Self { incoming, lease: Some(lease), deadline };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// Moves the deadline of all later reads, for responses that have no end.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Returns the next piece, which is not empty; `None` at the end.
    ///
    /// # Errors
    /// The deadline has passed, or the connection failed. Later calls return `None`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        while self.lease.is_some() {
            let frame = tokio::time::timeout_at(self.deadline, self.incoming.frame()).await;
            match frame {
                Err(_) => {
                    self.lease = None;
                    return Err(BodyError::Deadline);
                }
                Ok(Some(Err(error))) => {
                    self.lease = None;
                    return Err(BodyError::exchange(error));
                }
                Ok(None) => self.finish(),
                Ok(Some(Ok(frame))) => {
                    // Trailers are ignored.
                    if let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) {
                        return Ok(Some(data));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// As [`ResponseBody::next`], or the body has more than `limit` bytes.
    pub async fn read_to_end(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let mut read = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if piece.len() > limit - read.len() {
                return Err(BodyError::TooLarge { limit });
            }
            read.extend_from_slice(&piece);
        }
        Ok(read.freeze())
    }

    /// Reads a small body to its end, so that its connection can be used again.
    pub(super) async fn drain(mut self, limit: usize) {
        let mut read = 0;
        while let Ok(Some(piece)) = self.next().await {
            read += piece.len();
            if read > limit {
                return;
            }
        }
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.finish();
        }
    }
}
