//! Errors of requests and their statuses in every protocol. No other wing selects a status for an
//! error.
//!
//! | file              | content                                             |
//! |-------------------|-----------------------------------------------------|
//! | [`request_error`] | request errors as HTTP and gRPC statuses            |
//! | `grpc`            | transport errors as gRPC statuses                   |
//! | `details`         | error details over gRPC                             |
//! | `write_response`  | write outcomes as gRPC messages and statuses        |

pub(crate) mod details;
pub(crate) mod grpc;
pub(crate) mod request_error;
pub(crate) mod write_response;
