//! Errors of requests, and one table of statuses for each protocol.
//!
//! No other wing selects a status for an error.
//!
//! | file             | content                                                             |
//! |------------------|---------------------------------------------------------------------|
//! | `request_error`  | errors of requests, by the reaction of the sender                   |
//! | `access`         | statuses of requests that are not admitted                          |
//! | `http`           | statuses of HTTP                                                    |
//! | `api_error`      | errors and statuses of Prometheus's HTTP API                        |
//! | `grpc`           | statuses of gRPC                                                    |
//! | `thanos`         | statuses of gRPC for a Thanos Receive router                        |
//! | `query_error`    | log of failed queries                                               |
//! | `details`        | error details over gRPC                                             |
//! | `write_response` | write outcomes as errors, and as messages and statuses of gRPC      |

pub(crate) mod access;
pub(crate) mod api_error;
pub(crate) mod details;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod query_error;
pub(crate) mod request_error;
pub(crate) mod thanos;
pub(crate) mod write_response;
