//! Errors as HTTP statuses.
//!
//! | variant       | status            |
//! |---------------|-------------------|
//! | `BadData`     | 400               |
//! | `Unsupported` | 415               |
//! | `TooLarge`    | 413               |
//! | `Unavailable` | 503 + Retry-After |
//! | `Internal`    | 500               |

use crate::server::contract::request_error::{RequestError, retry_seconds};
use axum::http::header::{CONNECTION, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

const NO_SNIFFING: [(HeaderName, &str); 1] = [(X_CONTENT_TYPE_OPTIONS, "nosniff")];

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::BadData(message) => (StatusCode::BAD_REQUEST, message),
            Self::Unsupported(message) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
            Self::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message),
            Self::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, message),
            Self::Internal(message) => (StatusCode::INTERNAL_SERVER_ERROR, message),
        };
        let mut response = (status, message + "\n").into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_seconds()));
        }
        response
    }
}

/// Returns the response to an unknown path, as in Prometheus.
pub(crate) fn page_not_found() -> Response {
    (StatusCode::NOT_FOUND, NO_SNIFFING, "404 page not found\n").into_response()
}

/// Returns the response to a method that a path does not have, as in Prometheus. The router adds
/// the header `Allow`.
pub(crate) async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, NO_SNIFFING, "Method Not Allowed\n").into_response()
}

/// Returns a response after which the server closes the connection. A response to a request that
/// was not read to its end closes it in any case.
pub(crate) fn response_and_close(error: impl Into<RequestError>) -> Response {
    let mut response = error.into().into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
