//! Request errors and their statuses over HTTP and gRPC.
//!
//! | variant       | HTTP              | gRPC                          | sender                 |
//! |---------------|-------------------|-------------------------------|------------------------|
//! | `BadData`     | 400               | INVALID_ARGUMENT + BadRequest | must not retry         |
//! | `Unsupported` | 415               | UNIMPLEMENTED                 | must change request    |
//! | `TooLarge`    | 413               | RESOURCE_EXHAUSTED            | must send less         |
//! | `Unavailable` | 503 + Retry-After | UNAVAILABLE + RetryInfo       | retries later          |
//! | `Internal`    | 500               | INTERNAL                      | retries; this is safe  |
//!
//! # Thanos Receive
//! A Thanos Receive router gives up on ALREADY_EXISTS only, and lets its sender retry on any other
//! code. It gets ALREADY_EXISTS if a retry is useless (`BadData`, `TooLarge`), UNAVAILABLE and
//! INTERNAL as above, and UNIMPLEMENTED if someone must change a setting and no data may be lost
//! until then.
//!
//! # Statuses never used
//! 409 and 429, and 5xx for bad data: Prometheus drops data on 429 and retries forever on 5xx.

use crate::remote::decompress::output::DecompressError;
use crate::remote::read_request::RemoteReadError;
use crate::remote::write::RemoteWriteError;
use crate::server::contract::details;
use crate::server::transport::admission::{BudgetExhausted, Overloaded};
use crate::server::transport::body::BodyError;
use crate::tsdb::query::source::QueryError;
use crate::tsdb::wal::error::WalError;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::hash::{BuildHasher, RandomState};
use tonic::{Code, Status};

/// Error of a request that failed, or succeeded only in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// The request is invalid and a retry fails as well; valid parts of it may be stored.
    BadData(String),
    /// The content type or the encoding is not supported.
    Unsupported(String),
    /// The request exceeds a size limit; nothing is stored.
    TooLarge(String),
    /// The request failed for now; nothing is acknowledged. Before the commit, nothing is stored. A
    /// commit that hits a full disk leaves the samples in the head and in the queue of the WAL or
    /// WBL: reads return them, and they are logged when space returns. If the process ends before
    /// that, samples that are in neither log are lost. A retry is safe in every case: it is
    /// acknowledged only after the samples are logged, once.
    Unavailable(String),
    /// An internal error; the samples may or may not be stored.
    Internal(String),
}

impl RequestError {
    /// Returns the HTTP response.
    #[must_use]
    pub(crate) fn into_http(self) -> Response {
        let (status, message) = match self {
            Self::BadData(message) => (StatusCode::BAD_REQUEST, message),
            Self::Unsupported(message) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
            Self::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message),
            Self::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, message),
            Self::Internal(message) => (StatusCode::INTERNAL_SERVER_ERROR, message),
        };
        let mut response = (status, message + "\n").into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_seconds()));
        }
        response
    }

    /// Returns `true` if a retry of the same request fails as well.
    #[must_use]
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::BadData(_) | Self::Unsupported(_) | Self::TooLarge(_) => true,
            Self::Unavailable(_) | Self::Internal(_) => false,
        }
    }

    /// Returns the gRPC status, with the details that gRPC clients understand.
    #[must_use]
    pub(crate) fn into_grpc(self) -> Status {
        match self {
            Self::BadData(message) => details::bad_request(&message),
            Self::Unsupported(message) => Status::new(Code::Unimplemented, message),
            Self::TooLarge(message) => Status::new(Code::ResourceExhausted, message),
            Self::Unavailable(message) => details::retry_later(&message, retry_seconds()),
            Self::Internal(message) => Status::new(Code::Internal, message),
        }
    }

    /// Returns the gRPC status for a Thanos Receive router.
    #[must_use]
    pub(crate) fn into_thanos_status(self) -> Status {
        match self {
            Self::BadData(message) | Self::TooLarge(message) => {
                Status::new(Code::AlreadyExists, message)
            }
            other => other.into_grpc(),
        }
    }

    /// Returns the HTTP response for a request whose body was not read completely, which makes the
    /// connection unusable.
    #[must_use]
    pub(crate) fn into_http_and_close(self) -> Response {
        let mut response = self.into_http();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// Returns 1 to 5 seconds at random, so that senders rejected together do not retry together.
fn retry_seconds() -> u64 {
    1 + RandomState::new().hash_one(0u8) % 5
}

impl From<RemoteWriteError> for RequestError {
    fn from(error: RemoteWriteError) -> Self {
        let message = error.to_string();
        match error {
            RemoteWriteError::Decompress(error) => error.into(),
            RemoteWriteError::Request(error) if error.is_malformed() => Self::BadData(message),
            RemoteWriteError::Request(_) => Self::TooLarge(message),
            RemoteWriteError::ThanosRequest(error) if error.is_malformed() => {
                Self::BadData(message)
            }
            RemoteWriteError::ThanosRequest(_) => Self::TooLarge(message),
            RemoteWriteError::Unavailable(_) => Self::Unavailable(message),
            // A full disk is temporary: the log continues when space returns, and a retry is safe.
            RemoteWriteError::Log(WalError::NoSpace(_) | WalError::Closed) => {
                Self::Unavailable(message)
            }
            RemoteWriteError::Log(WalError::Failed(_) | WalError::Open(_)) => {
                Self::Internal(message)
            }
        }
    }
}

impl From<DecompressError> for RequestError {
    fn from(error: DecompressError) -> Self {
        let message = error.to_string();
        match error {
            DecompressError::WrongCompression { .. } => Self::Unsupported(message),
            DecompressError::Malformed { .. } => Self::BadData(message),
            DecompressError::TooLarge { .. } | DecompressError::Window => Self::TooLarge(message),
            DecompressError::OutOfBudget(_) => Self::Unavailable(message),
        }
    }
}

impl From<BodyError> for RequestError {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooLarge(_) => Self::TooLarge(message),
            // Not 408, on which Prometheus would drop the data.
            BodyError::TooSlow(_) | BodyError::NoMemory(_) => Self::Unavailable(message),
            BodyError::Broken(_) => Self::BadData(message),
        }
    }
}

impl From<BudgetExhausted> for RequestError {
    fn from(error: BudgetExhausted) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<Overloaded> for RequestError {
    fn from(error: Overloaded) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<RemoteReadError> for RequestError {
    fn from(error: RemoteReadError) -> Self {
        let message = error.to_string();
        match error {
            RemoteReadError::TooLarge { .. } => Self::TooLarge(message),
            RemoteReadError::Stopped(_) => Self::Unavailable(message),
            RemoteReadError::Query(QueryError::Corrupted(_)) => {
                tracing::error!(error = message, "read failed");
                Self::Internal(message)
            }
            RemoteReadError::Panicked => Self::Internal(message),
            RemoteReadError::NotSnappy(_)
            | RemoteReadError::Malformed(_)
            | RemoteReadError::TooMany { .. }
            | RemoteReadError::ResponseType(_)
            | RemoteReadError::MatcherType(_)
            | RemoteReadError::Matcher(_)
            | RemoteReadError::SampleLimit(_)
            | RemoteReadError::AnswerLimit(_)
            | RemoteReadError::TooLong(_) => Self::BadData(message),
        }
    }
}
