//! Response envelope of Prometheus's HTTP API: `{"status":"success","data":…}` or
//! `{"status":"error","errorType":…,"error":…}`.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Error of an API request, with Prometheus's statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// 400: the request is invalid; a retry fails as well.
    BadData(String),
    /// 500: the API is disabled. Prometheus has no other status for this.
    Disabled(String),
    /// 503: the request failed for now; the client can retry later.
    Unavailable(String),
    /// 500: an internal error.
    Internal(String),
}

/// Returns a success response with `data`.
pub(crate) fn success(data: &impl Serialize) -> Response {
    json(StatusCode::OK, &Success { status: "success", data })
}

/// Returns a JSON response whose complete envelope is `body`.
pub(crate) fn json_of(body: Body) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// Encodes the envelope of a success response.
pub(crate) fn encode_success(data: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Success { status: "success", data })
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error_type, error) = match self {
            Self::BadData(error) => (StatusCode::BAD_REQUEST, "bad_data", error),
            Self::Disabled(error) => (StatusCode::INTERNAL_SERVER_ERROR, "unavailable", error),
            Self::Unavailable(error) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", error),
            Self::Internal(error) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", error),
        };
        json(status, &Failure { status: "error", error_type, error })
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(string) => {
            let content_type = HeaderValue::from_static("application/json");
            (status, [(CONTENT_TYPE, content_type)], string).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[derive(Serialize)]
struct Success<'a, T> {
    status: &'static str,
    data: &'a T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    status: &'static str,
    error_type: &'static str,
    error: String,
}
