//! Errors as gRPC statuses, besides those of [`RequestError`].

use crate::remote::read_request::RemoteReadError;
use crate::remote::stream_request::DecodeStreamRequestError;
use crate::server::contract::details;
use crate::server::contract::request_error::RequestError;
use crate::server::transport::body::ResponseTimeout;
use crate::server::transport::framing::deadline::DeadlineError;
use crate::server::transport::framing::decompress_body::DecompressBodyError;
use crate::server::transport::framing::encoding::{ACCEPT_ENCODING, ACCEPTED, UnsupportedEncoding};
use crate::server::transport::framing::messages::MessageError;
use crate::tsdb::query::label_source::LabelQueryError;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use tonic::{Code, Status};

/// Returns a response with an error status only.
pub(crate) fn error_response(status: Status) -> Response {
    status.into_http::<tonic::body::Body>().map(Body::new)
}

impl From<MessageError> for Status {
    fn from(error: MessageError) -> Self {
        let message = error.to_string();
        match error {
            MessageError::TooLarge { .. } => RequestError::TooLarge(message).into_grpc(),
            MessageError::Packed => RequestError::Unsupported(message).into_grpc(),
            MessageError::InvalidFlag(_)
            | MessageError::UnexpectedEnd
            | MessageError::SecondMessage => protocol_error(&message),
            MessageError::TooSlow(_) | MessageError::NoMemory(_) => {
                RequestError::Unavailable(message).into_grpc()
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
            DecompressBodyError::Decompress(error) => RequestError::from(error).into_grpc(),
            DecompressBodyError::Oversized => Self::resource_exhausted(error.to_string()),
        }
    }
}

impl From<ResponseTimeout> for Status {
    fn from(error: ResponseTimeout) -> Self {
        RequestError::Unavailable(error.to_string()).into_grpc()
    }
}

impl From<DecodeStreamRequestError> for Status {
    fn from(error: DecodeStreamRequestError) -> Self {
        protocol_error(&error.to_string())
    }
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
        RemoteReadError::AnswerLimit(_) | RemoteReadError::TooLong(_) => {
            Status::new(Code::ResourceExhausted, error.to_string())
        }
        _ => RequestError::from(error).into_grpc(),
    }
}

/// Returns the status of a failed query of label names or values.
pub(crate) fn label_status(error: LabelQueryError) -> Status {
    match error {
        LabelQueryError::Query(error) => read_status(RemoteReadError::Query(error)),
        LabelQueryError::TooLarge(_) => Status::new(Code::ResourceExhausted, error.to_string()),
        LabelQueryError::Busy => RequestError::Unavailable(error.to_string()).into_grpc(),
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
