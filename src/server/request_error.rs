//! The answer contract: what a request that is not wholly done is answered, over HTTP and over gRPC.
//!
//! | variant         | HTTP                    | gRPC                           | a sender should        |
//! |-----------------|-------------------------|--------------------------------|------------------------|
//! | `BadData`       | 400                     | INVALID_ARGUMENT + BadRequest  | not repeat             |
//! | `Unsupported`   | 415                     | UNIMPLEMENTED                  | ask in another way     |
//! | `TooLarge`      | 413                     | RESOURCE_EXHAUSTED             | send less              |
//! | `Unavailable`   | 503 + Retry-After       | UNAVAILABLE + RetryInfo        | repeat a little later  |
//! | `Internal`         | 500                     | INTERNAL                       | repeat; that is safe   |
//!
//! A Thanos Receive router knows fewer codes: it gives up on ALREADY_EXISTS only, and makes its sender repeat on any other. So it is told
//! ALREADY_EXISTS wherever a repeat is in vain (`BadData`, `TooLarge`), UNAVAILABLE and INTERNAL as above, and UNIMPLEMENTED
//! where someone has to change a setting and nothing should be lost until then.
//!
//! Never 409 or 429, never 5xx for bad data: Prometheus drops data on 429, and repeats on 5xx for ever.

use crate::remote::decompress::output::DecompressError;
use crate::remote::write::RemoteWriteError;
use crate::server::admission::{BudgetExhausted, Overloaded};
use crate::server::body::BodyError;
use crate::server::grpc::details;
use crate::tsdb::wal::error::WalError;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::hash::{BuildHasher, RandomState};
use tonic::{Code, Status};

/// Why a request was not done, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// It will never be taken as it is; what is good of it may be stored.
    BadData(String),
    /// Its type or encoding is not known.
    Unsupported(String),
    /// It is over a limit of size; nothing is stored.
    TooLarge(String),
    /// Not now; nothing is acknowledged. Before the commit, nothing is stored. A commit that met a
    /// full disk leaves the samples in the head and in the queue of the WAL or WBL: reads return
    /// them, and they are logged when space returns. If the process ends before that, samples that
    /// are in neither log are lost. A repeat is safe in every case: it is acknowledged only after
    /// the samples are logged, once.
    Unavailable(String),
    /// Something broke here; what is stored is not known.
    Internal(String),
}

impl RequestError {
    /// As an answer over HTTP.
    #[must_use]
    pub fn into_http(self) -> Response {
        let (status, text) = match self {
            Self::BadData(text) => (StatusCode::BAD_REQUEST, text),
            Self::Unsupported(text) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, text),
            Self::TooLarge(text) => (StatusCode::PAYLOAD_TOO_LARGE, text),
            Self::Unavailable(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
            Self::Internal(text) => (StatusCode::INTERNAL_SERVER_ERROR, text),
        };
        let mut response = (status, text + "\n").into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_seconds()));
        }
        response
    }

    /// Whether a repeat would be refused as well.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::BadData(_) | Self::Unsupported(_) | Self::TooLarge(_) => true,
            Self::Unavailable(_) | Self::Internal(_) => false,
        }
    }

    /// As a status of gRPC, with the details that gRPC's clients know.
    #[must_use]
    pub fn into_grpc(self) -> Status {
        match self {
            Self::BadData(text) => details::bad_request(&text),
            Self::Unsupported(text) => Status::new(Code::Unimplemented, text),
            Self::TooLarge(text) => Status::new(Code::ResourceExhausted, text),
            Self::Unavailable(text) => details::retry_later(&text, retry_seconds()),
            Self::Internal(text) => Status::new(Code::Internal, text),
        }
    }

    /// As a status for a Thanos Receive router.
    #[must_use]
    pub fn into_thanos_status(self) -> Status {
        match self {
            Self::BadData(text) | Self::TooLarge(text) => Status::new(Code::AlreadyExists, text),
            other => other.into_grpc(),
        }
    }

    /// As an answer over HTTP to a request whose body was not read to its end.
    #[must_use]
    pub fn into_http_and_close(self) -> Response {
        let mut response = self.into_http();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// Whole seconds from 1 to 5, so that senders that were refused together don't come back together.
fn retry_seconds() -> u64 {
    1 + RandomState::new().hash_one(0u8) % 5
}

impl From<RemoteWriteError> for RequestError {
    fn from(error: RemoteWriteError) -> Self {
        let text = error.to_string();
        match error {
            RemoteWriteError::Decompress(error) => error.into(),
            RemoteWriteError::Request(error) if error.is_malformed() => Self::BadData(text),
            RemoteWriteError::Request(_) => Self::TooLarge(text),
            RemoteWriteError::ThanosRequest(error) if error.is_malformed() => Self::BadData(text),
            RemoteWriteError::ThanosRequest(_) => Self::TooLarge(text),
            RemoteWriteError::Unavailable(_) => Self::Unavailable(text),
            // A full disk is a mode, not a fault: when space returns the log goes on, and a repeat is safe in any case.
            RemoteWriteError::Log(WalError::NoSpace(_) | WalError::Closed) => {
                Self::Unavailable(text)
            }
            RemoteWriteError::Log(WalError::Failed(_) | WalError::Open(_)) => Self::Internal(text),
        }
    }
}

impl From<DecompressError> for RequestError {
    fn from(error: DecompressError) -> Self {
        let text = error.to_string();
        match error {
            DecompressError::WrongCompression { .. } => Self::Unsupported(text),
            DecompressError::Malformed { .. } => Self::BadData(text),
            DecompressError::TooLarge { .. } | DecompressError::Window => Self::TooLarge(text),
            DecompressError::OutOfBudget(_) => Self::Unavailable(text),
        }
    }
}

impl From<BodyError> for RequestError {
    fn from(error: BodyError) -> Self {
        let text = error.to_string();
        match error {
            BodyError::TooLarge(_) => Self::TooLarge(text),
            // Not the sender's fault: on 408 a Prometheus would drop the data.
            BodyError::TooSlow(_) | BodyError::NoMemory(_) => Self::Unavailable(text),
            BodyError::Broken(_) => Self::BadData(text),
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
