//! Errors of requests, by the reaction of the sender. Each protocol has a table of statuses.
//!
//! | variant       | sender                 |
//! |---------------|------------------------|
//! | `BadData`     | must not retry         |
//! | `Unsupported` | must change request    |
//! | `TooLarge`    | must send less         |
//! | `Unavailable` | retries later          |
//! | `Internal`    | retries; this is safe  |
//!
//! # Statuses never used
//! 409, 429 for writes, and 5xx for bad data: Prometheus drops data on 429 and retries forever on
//! 5xx.

use crate::config::flags::write::MAX_DECODED_SIZE;
use crate::ingest::rejection_log::entry::RequestRejection;
use crate::remote::decompress::output::DecompressError;
use crate::remote::read::read_request::RemoteReadError;
use crate::remote::write::RemoteWriteError;
use crate::server::contract::query_error::log_query_error;
use crate::server::transport::admission::{BudgetExhausted, Overloaded};
use crate::server::transport::blocking::{BlockingError, WorkPanicked};
use crate::server::transport::body::BodyError;
use crate::server::transport::piece_stream::StreamError;
use crate::server::transport::piece_writer::StreamedResponseError;
use crate::tsdb::db::WalError;
use crate::tsdb::db::error::NotReady;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use std::hash::{BuildHasher, RandomState};

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
    /// Returns `true` if a retry of the same request fails as well.
    #[must_use]
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::BadData(_) | Self::Unsupported(_) | Self::TooLarge(_) => true,
            Self::Unavailable(_) | Self::Internal(_) => false,
        }
    }

    /// Returns reason and description of a permanent rejection, for the log of rejections. The
    /// message about an unsupported request quotes its headers, so it is replaced.
    pub(crate) fn rejection(&self) -> Option<(RequestRejection, &str)> {
        match self {
            Self::BadData(message) => Some((RequestRejection::Malformed, message)),
            Self::TooLarge(message) => Some((RequestRejection::TooLarge, message)),
            Self::Unsupported(_) => {
                Some((RequestRejection::Unsupported, "unsupported content type or encoding"))
            }
            Self::Unavailable(_) | Self::Internal(_) => None,
        }
    }

    /// Returns the message for people.
    pub(crate) fn into_message(self) -> String {
        match self {
            Self::BadData(message)
            | Self::Unsupported(message)
            | Self::TooLarge(message)
            | Self::Unavailable(message)
            | Self::Internal(message) => message,
        }
    }
}

/// Returns 1 to 5 seconds at random, so that senders rejected together do not retry together.
pub(super) fn retry_seconds() -> u64 {
    1 + RandomState::new().hash_one(0u8) % 5
}

impl From<NotReady> for RequestError {
    fn from(NotReady: NotReady) -> Self {
        WriteUnavailable::from(NotReady).into()
    }
}

impl From<WriteUnavailable> for RequestError {
    fn from(reason: WriteUnavailable) -> Self {
        Self::Unavailable(reason.to_string())
    }
}

impl From<RemoteWriteError> for RequestError {
    fn from(error: RemoteWriteError) -> Self {
        let message = error.to_string();
        match error {
            RemoteWriteError::Decompress(DecompressError::TooLarge { .. }) => {
                Self::TooLarge(format!("{message} ({MAX_DECODED_SIZE})"))
            }
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
            RemoteReadError::NotReady(error) => error.into(),
            RemoteReadError::Query(error) => {
                log_query_error("read", &error);
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
            | RemoteReadError::ResponseLimit(_)
            | RemoteReadError::TooLong(_) => Self::BadData(message),
        }
    }
}

impl From<BlockingError> for RequestError {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::Overloaded(error) => error.into(),
            BlockingError::Panicked(error) => error.into(),
        }
    }
}

impl From<WorkPanicked> for RequestError {
    fn from(error: WorkPanicked) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<StreamError> for RequestError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Panicked => Self::Internal(error.to_string()),
            StreamError::ClientGone | StreamError::SlowClient => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<StreamedResponseError<RemoteReadError>> for RequestError {
    fn from(error: StreamedResponseError<RemoteReadError>) -> Self {
        match error {
            // The blocking thread has logged it.
            StreamedResponseError::Producer(RemoteReadError::Query(error)) => {
                Self::Internal(error.to_string())
            }
            StreamedResponseError::Producer(error) => error.into(),
            StreamedResponseError::Stream(error) => error.into(),
        }
    }
}
