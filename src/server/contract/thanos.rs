//! Errors as gRPC statuses for a Thanos Receive router.
//!
//! | variant                 | status                  |
//! |-------------------------|-------------------------|
//! | `BadData`, `TooLarge`   | ALREADY_EXISTS          |
//! | `Unsupported`           | UNIMPLEMENTED           |
//! | `Unavailable`           | UNAVAILABLE + RetryInfo |
//! | `Internal`              | INTERNAL                |
//!
//! The code determines what the router responds to its sender (`pkg/receive/handler.go` of Thanos):
//! success for OK; 409, on which the sender does not retry, for ALREADY_EXISTS; 5xx, on which it
//! retries until it succeeds, for any other code. Data that narthex will never store is
//! ALREADY_EXISTS, also if a message exceeds a limit: a retry has the same bytes and blocks the
//! data behind it. UNIMPLEMENTED means that someone must change a setting, and that no data may be
//! lost until then.

use crate::server::contract::grpc;
use crate::server::contract::request_error::RequestError;
use crate::server::transport::framing::messages::MessageError;
use tonic::{Code, Status};

/// Codes of messages that are invalid or too large. A router would retry them.
const RETRIED_PERMANENT_CODES: [Code; 3] =
    [Code::InvalidArgument, Code::ResourceExhausted, Code::OutOfRange];

/// Returns the status of a failed write.
pub(crate) fn status(error: impl Into<RequestError>) -> Status {
    match error.into() {
        RequestError::BadData(message) | RequestError::TooLarge(message) => {
            Status::new(Code::AlreadyExists, message)
        }
        other => other.into(),
    }
}

/// Returns the status of an unreadable message.
pub(crate) fn message_status(error: MessageError) -> Status {
    match error {
        MessageError::Broken(cause) => match Status::try_from_error(cause) {
            // The decompression in front of the reader fails with a status of its own.
            Ok(status) => to_permanent(status),
            // The body did not arrive, which does not make it invalid.
            Err(cause) => RequestError::Unavailable(MessageError::Broken(cause).to_string()).into(),
        },
        error => to_permanent(grpc::unary_message_status(error)),
    }
}

/// Replaces a code that a router would retry in vain by ALREADY_EXISTS. The details contain the
/// original code, so they are dropped.
fn to_permanent(status: Status) -> Status {
    if RETRIED_PERMANENT_CODES.contains(&status.code()) {
        Status::new(Code::AlreadyExists, status.message())
    } else {
        status
    }
}
