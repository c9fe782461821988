//! Check of the Host header of HTTP/1.x requests.

use crate::server::contract::http;
use crate::server::contract::request_error::RequestError;
use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};

/// Returns the router behind a check of the Host header. A listener serves routers with this check.
pub fn require_host(router: Router) -> Router {
    router.layer(middleware::from_fn(respond))
}

async fn respond(request: Request, next: Next) -> Response {
    match check_host(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => http::response_and_close(RequestError::BadData(error.to_string())),
    }
}

/// Invalid Host header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum HostError {
    #[error("missing required Host header")]
    Missing,
    #[error("too many Host headers")]
    Repeated,
}

/// Checks that an HTTP/1.1 request has exactly one Host header, and an HTTP/1.0 request at most
/// one. Source: RFC 9112, section 3.2; Go's `net/http`, which Prometheus uses.
fn check_host<B>(request: &Request<B>) -> Result<(), HostError> {
    let count = request.headers().get_all(HOST).iter().count();
    match request.version() {
        Version::HTTP_11 if count == 0 => Err(HostError::Missing),
        Version::HTTP_10 | Version::HTTP_11 if count > 1 => Err(HostError::Repeated),
        _ => Ok(()),
    }
}
