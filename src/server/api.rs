//! The envelope of Prometheus's HTTP API: `{"status":"success","data":…}`, `{"status":"error","errorType":…,"error":…}`.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request of the API was not carried out; the statuses are Prometheus's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// 400: it will never be carried out as it is.
    BadData(String),
    /// 500: it is switched off. Prometheus has no other status for it.
    Disabled(String),
    /// 503, to be repeated later: not now.
    Unavailable(String),
    /// 500: it failed.
    Internal(String),
}

/// An answer with data.
pub(crate) fn success(data: &impl Serialize) -> Response {
    json(StatusCode::OK, &Success { status: "success", data })
}

/// An answer whose whole text is `body`.
pub(crate) fn json_of(body: Body) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// The text of an answer with data, to be sent by who has made it.
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
        Ok(text) => {
            let content_type = HeaderValue::from_static("application/json");
            (status, [(CONTENT_TYPE, content_type)], text).into_response()
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
