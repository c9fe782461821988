//! gRPC on the port of HTTP: a request is gRPC by its content type.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use tonic::{Code, Status};

/// Whether a request came from a gRPC client.
pub(crate) fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value == "application/grpc" || value.starts_with("application/grpc+"))
}

/// A refusal without details.
pub(crate) fn refuse(code: Code, message: &str) -> Response {
    Status::new(code, message).into_http::<tonic::body::Body>().map(Body::new)
}
