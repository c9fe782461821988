//! Statuses of requests that are not admitted.
//!
//! | reason                      | HTTP                   | gRPC                    |
//! |-----------------------------|------------------------|-------------------------|
//! | rate limit, write           | 503 + Retry-After      | UNAVAILABLE + RetryInfo |
//! | rate limit, other request   | 429                    | UNAVAILABLE + RetryInfo |
//! | credentials                 | 401 + WWW-Authenticate | UNAUTHENTICATED         |
//! | password not checked yet    | 503 + Retry-After      | UNAVAILABLE + RetryInfo |
//! | password check failed       | 500                    | INTERNAL                |
//!
//! 401 and 429 are those of Prometheus. Writes never get 429, on which Prometheus drops data.

use crate::server::contract::grpc;
use crate::server::contract::request_error::RequestError;
use crate::server::transport::access::control::AccessError;
use crate::server::transport::access::password_checks::CheckPasswordError;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use tonic::Status;

const RATE_LIMITED: &str = "rate limit exceeded (rate_limit in --web.config.file)";

impl From<CheckPasswordError> for RequestError {
    fn from(error: CheckPasswordError) -> Self {
        let message = error.to_string();
        match error {
            CheckPasswordError::TooMany(_) | CheckPasswordError::TooSlow => {
                Self::Unavailable(message)
            }
            CheckPasswordError::Failed => Self::Internal(message),
        }
    }
}

/// Returns the response to an HTTP request. `is_write` is `true` for requests that may send data.
pub(crate) fn http_response(error: AccessError, is_write: bool) -> Response {
    match error {
        AccessError::RateLimited if is_write => {
            RequestError::Unavailable(RATE_LIMITED.to_owned()).into_response()
        }
        AccessError::RateLimited => plain_response(StatusCode::TOO_MANY_REQUESTS),
        AccessError::Unauthenticated => {
            let mut response = plain_response(StatusCode::UNAUTHORIZED);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
            response
        }
        AccessError::Unchecked(error) => RequestError::from(error).into_response(),
    }
}

/// Returns a response whose body is the reason phrase, as Go's `http.Error` does.
fn plain_response(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let headers = [(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))];
    (status, headers, format!("{reason}\n")).into_response()
}

/// Returns the response to a gRPC request.
pub(crate) fn grpc_response(error: AccessError) -> Response {
    let status = match error {
        AccessError::RateLimited => RequestError::Unavailable(RATE_LIMITED.to_owned()).into(),
        AccessError::Unauthenticated => Status::unauthenticated("missing or invalid credentials"),
        AccessError::Unchecked(error) => RequestError::from(error).into(),
    };
    grpc::error_response(status)
}
