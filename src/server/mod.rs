//! The edge: HTTP/1.1, HTTP/2 and gRPC on one port, and the one place where errors become status codes.
//!
//! Everything here is asynchronous and cheap; whatever costs processor time or touches the disk crosses over to a
//! blocking thread, by way of a gate that bounds how many do so at once.

pub mod connection;
pub mod context;
pub mod grpc;
pub mod http_metrics;
pub mod lifecycle;
pub mod listener;
pub mod router;
pub mod status;
