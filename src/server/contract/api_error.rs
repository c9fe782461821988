//! Errors as statuses of Prometheus's HTTP API, in its envelope:
//! `{"status":"error","errorType":…,"error":…}`.

use crate::server::contract::query_error::log_query_error;
use crate::server::transport::admission::BudgetExhausted;
use crate::server::transport::blocking::BlockingError;
use crate::tsdb::db::error::{MaintenanceError, NotReady};
use crate::tsdb::db::{LabelQueryError, NoMemoryForStats};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Error of an API request, with Prometheus's statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// 400: the request is invalid; a retry fails as well.
    BadData(String),
    /// 404: narthex does not have what the request asks for.
    NotFound(String),
    /// 413: the request exceeds a size limit. Prometheus responds 400.
    TooLarge(String),
    /// 500: the API is disabled. Prometheus has no other status for this.
    Disabled(String),
    /// 503: the request failed for now; the client can retry later.
    Unavailable(String),
    /// 500: an internal error.
    Internal(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    status: &'static str,
    error_type: &'static str,
    error: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error_type, error) = match self {
            Self::BadData(error) => (StatusCode::BAD_REQUEST, "bad_data", error),
            Self::NotFound(error) => (StatusCode::NOT_FOUND, "not_found", error),
            Self::TooLarge(error) => (StatusCode::PAYLOAD_TOO_LARGE, "bad_data", error),
            Self::Disabled(error) => (StatusCode::INTERNAL_SERVER_ERROR, "unavailable", error),
            Self::Unavailable(error) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", error),
            Self::Internal(error) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", error),
        };
        json_response(status, &Failure { status: "error", error_type, error })
    }
}

/// Returns a response with a JSON body.
pub(crate) fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(string) => {
            let content_type = HeaderValue::from_static("application/json");
            (status, [(CONTENT_TYPE, content_type)], string).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

impl From<NotReady> for ApiError {
    fn from(NotReady: NotReady) -> Self {
        Self::Unavailable("Service Unavailable".to_owned())
    }
}

impl From<BudgetExhausted> for ApiError {
    fn from(error: BudgetExhausted) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<NoMemoryForStats> for ApiError {
    fn from(error: NoMemoryForStats) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<BlockingError> for ApiError {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::Overloaded(error) => Self::Unavailable(error.to_string()),
            BlockingError::Panicked(error) => Self::Internal(error.to_string()),
        }
    }
}

impl From<MaintenanceError> for ApiError {
    fn from(error: MaintenanceError) -> Self {
        let message = error.to_string();
        match error {
            MaintenanceError::NotReady
            | MaintenanceError::Cancelled
            | MaintenanceError::WriteUnavailable(_) => Self::Unavailable(message),
            MaintenanceError::Failed { .. } => Self::Internal(message),
        }
    }
}

impl From<LabelQueryError> for ApiError {
    fn from(error: LabelQueryError) -> Self {
        let text = error.to_string();
        match error {
            LabelQueryError::Busy => Self::Unavailable(text),
            LabelQueryError::TooLarge(_) => Self::BadData(text),
            LabelQueryError::Query(error) => {
                log_query_error("list labels", &error);
                Self::Internal(text)
            }
        }
    }
}
