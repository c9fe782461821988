//! gRPC on the port of HTTP: a request is gRPC by its content type.

pub(crate) mod details;
pub mod health;
pub(crate) mod raw_codec;
pub(crate) mod write;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use tonic::Status;

/// Whether a request came from a gRPC client.
pub(crate) fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        value.strip_prefix("application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    })
}

/// A refusal as an answer.
pub(crate) fn refuse(status: Status) -> Response {
    status.into_http::<tonic::body::Body>().map(Body::new)
}
