//! Errors as gRPC statuses.
//!
//! | variant       | status                        |
//! |---------------|-------------------------------|
//! | `BadData`     | INVALID_ARGUMENT + BadRequest |
//! | `Unsupported` | UNIMPLEMENTED                 |
//! | `TooLarge`    | RESOURCE_EXHAUSTED            |
//! | `Unavailable` | UNAVAILABLE + RetryInfo       |
//! | `Internal`    | INTERNAL                      |

use crate::ingest::rejection_log::entry::RequestRejection;
use crate::remote::read::read_request::{ReadAbort, RemoteReadError};
use crate::remote::write::stream_request::DecodeStreamRequestError;
use crate::server::contract::details;
use crate::server::contract::request_error::{RequestError, retry_seconds};
use crate::server::transport::admission::BudgetExhausted;
use crate::server::transport::blocking::BlockingError;
use crate::server::transport::body::ResponseTimeout;
use crate::server::transport::framing::deadline::DeadlineError;
use crate::server::transport::framing::decompress_body::DecompressBodyError;
use crate::server::transport::framing::encoding::{ACCEPT_ENCODING, ACCEPTED, UnsupportedEncoding};
use crate::server::transport::framing::messages::MessageError;
use crate::server::transport::piece_writer::StreamedResponseError;
use crate::tsdb::db::LabelQueryError;
use crate::tsdb::db::error::NotReady;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use std::error::Error;
use tonic::{Code, Status};

/// Returns a response with an error status only.
pub(crate) fn error_response(error: impl Into<Status>) -> Response {
    error.into().into_http::<tonic::body::Body>().map(Body::new)
}

impl From<RequestError> for Status {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::BadData(message) => details::bad_request(&message),
            RequestError::Unsupported(message) => Self::new(Code::Unimplemented, message),
            RequestError::TooLarge(message) => Self::new(Code::ResourceExhausted, message),
            RequestError::Unavailable(message) => details::retry_later(&message, retry_seconds()),
            RequestError::Internal(message) => Self::new(Code::Internal, message),
        }
    }
}

impl From<BudgetExhausted> for Status {
    fn from(error: BudgetExhausted) -> Self {
        RequestError::from(error).into()
    }
}

impl From<BlockingError> for Status {
    fn from(error: BlockingError) -> Self {
        RequestError::from(error).into()
    }
}

impl From<StreamedResponseError<RemoteReadError>> for Status {
    fn from(error: StreamedResponseError<RemoteReadError>) -> Self {
        RequestError::from(error).into()
    }
}

impl From<StreamedResponseError<Self>> for Status {
    fn from(error: StreamedResponseError<Self>) -> Self {
        match error {
            StreamedResponseError::Producer(status) => status,
            StreamedResponseError::Stream(error) => RequestError::from(error).into(),
        }
    }
}

/// Returns the reason of a message that is rejected permanently.
pub(crate) fn message_rejection(error: &MessageError) -> Option<RequestRejection> {
    match error {
        MessageError::TooLarge { .. } => Some(RequestRejection::TooLarge),
        MessageError::Packed => Some(RequestRejection::Unsupported),
        MessageError::InvalidFlag(_)
        | MessageError::UnexpectedEnd
        | MessageError::SecondMessage => Some(RequestRejection::Malformed),
        MessageError::TooSlow(_) | MessageError::NoMemory(_) => None,
        // The decompression in front of the reader fails with a status of its own.
        MessageError::Broken(cause) => {
            let cause: &(dyn Error + 'static) = cause.as_ref();
            let causes = std::iter::successors(Some(cause), |cause| Error::source(*cause));
            let mut statuses = causes.filter_map(|cause| cause.downcast_ref::<Status>());
            statuses.next().and_then(|status| match status.code() {
                Code::ResourceExhausted | Code::OutOfRange => Some(RequestRejection::TooLarge),
                Code::InvalidArgument => Some(RequestRejection::Malformed),
                Code::Unimplemented => Some(RequestRejection::Unsupported),
                _ => None,
            })
        }
    }
}

impl From<MessageError> for Status {
    fn from(error: MessageError) -> Self {
        let message = error.to_string();
        match error {
            MessageError::TooLarge { .. } => RequestError::TooLarge(message).into(),
            MessageError::Packed => RequestError::Unsupported(message).into(),
            MessageError::InvalidFlag(_)
            | MessageError::UnexpectedEnd
            | MessageError::SecondMessage => protocol_error(&message),
            MessageError::TooSlow(_) | MessageError::NoMemory(_) => {
                RequestError::Unavailable(message).into()
            }
            // The decompression in front of this reader fails with a status of its own.
            MessageError::Broken(cause) => Self::from_error(cause),
        }
    }
}

impl From<DecompressBodyError> for Status {
    fn from(error: DecompressBodyError) -> Self {
        match error {
            DecompressBodyError::Message(error) => error.into(),
            DecompressBodyError::Decompress(error) => RequestError::from(error).into(),
            DecompressBodyError::TooLarge(_) | DecompressBodyError::Oversized => {
                Self::resource_exhausted(error.to_string())
            }
        }
    }
}

impl From<ResponseTimeout> for Status {
    fn from(error: ResponseTimeout) -> Self {
        RequestError::Unavailable(error.to_string()).into()
    }
}

impl From<NotReady> for Status {
    fn from(error: NotReady) -> Self {
        RequestError::from(error).into()
    }
}

impl From<DecodeStreamRequestError> for Status {
    fn from(error: DecodeStreamRequestError) -> Self {
        protocol_error(&error.to_string())
    }
}

/// Returns the status of an unreadable message of a unary write. Errors of the framing are
/// INTERNAL, as in most implementations of gRPC.
pub(crate) fn unary_message_status(error: MessageError) -> Status {
    match error {
        MessageError::Packed | MessageError::InvalidFlag(_) | MessageError::UnexpectedEnd => {
            RequestError::Internal(error.to_string()).into()
        }
        error => error.into(),
    }
}

/// Returns the status of a producer that the stream stopped. The stream reports the actual reason.
pub(crate) fn abort_status(abort: ReadAbort) -> Status {
    RequestError::Unavailable(abort.to_string()).into()
}

/// Returns the status of an invalid query of a Thanos Query.
pub(crate) fn invalid_query(message: impl Into<String>) -> Status {
    Status::invalid_argument(message)
}

/// Returns the status of a call of an unknown method.
pub(crate) fn unknown_method() -> Status {
    Status::unimplemented("unknown method")
}

/// Returns the status of a request that violates the rules of its method.
pub(crate) fn protocol_error(message: &str) -> Status {
    details::with_reason(Code::InvalidArgument, message, details::PROTOCOL_ERROR)
}

/// Returns the status of a failed read: that of HTTP, except that a response over its limit is
/// RESOURCE_EXHAUSTED.
///
/// A Thanos Query treats every status except OK alike: depending on its settings it warns or fails
/// the query.
pub(crate) fn read_status(error: RemoteReadError) -> Status {
    match error {
        RemoteReadError::ResponseLimit(_) | RemoteReadError::TooLong(_) => {
            Status::new(Code::ResourceExhausted, error.to_string())
        }
        _ => RequestError::from(error).into(),
    }
}

/// Returns the status of a failed query of label names or values.
pub(crate) fn label_status(error: LabelQueryError) -> Status {
    match error {
        LabelQueryError::Query(error) => read_status(RemoteReadError::Query(error)),
        LabelQueryError::TooLarge(_) => Status::new(Code::ResourceExhausted, error.to_string()),
        LabelQueryError::Busy => RequestError::Unavailable(error.to_string()).into(),
    }
}

impl From<DeadlineError> for Status {
    fn from(error: DeadlineError) -> Self {
        match error {
            DeadlineError::Invalid => Self::invalid_argument(error.to_string()),
            DeadlineError::Exceeded => Self::deadline_exceeded(error.to_string()),
        }
    }
}

/// Returns the trailers of a response that the deadline ends.
pub(crate) fn deadline_trailers() -> Option<HeaderMap> {
    let mut trailers = HeaderMap::new();
    // A status without details is always a valid header.
    Status::from(DeadlineError::Exceeded).add_header(&mut trailers).ok()?;
    Some(trailers)
}

/// Returns the response to a request with an unsupported encoding.
pub(crate) fn unsupported_encoding(error: &UnsupportedEncoding) -> Response {
    let mut response = error_response(Status::unimplemented(error.to_string()));
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    response
}

/// Replaces the status of tonic for a message over the limit, OUT_OF_RANGE, by RESOURCE_EXHAUSTED.
pub(crate) fn replace_out_of_range(status: &mut HeaderValue) {
    if Code::from_bytes(status.as_bytes()) == Code::OutOfRange {
        *status = HeaderValue::from(Code::ResourceExhausted as i32);
    }
}
