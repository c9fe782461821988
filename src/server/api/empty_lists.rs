//! Empty responses for API lists that narthex does not implement: rules and alerts.
//!
//! Clients that request them, such as Thanos's sidecar, keep working.

use crate::server::api::response;
use axum::response::Response;
use serde_json::json;

/// `GET /api/v1/rules`.
pub(crate) async fn rules() -> Response {
    response::success(&json!({"groups": []}))
}

/// `GET /api/v1/alerts`.
pub(crate) async fn alerts() -> Response {
    response::success(&json!({"alerts": []}))
}

/// `GET /api/v1/alertmanagers`.
pub(crate) async fn alertmanagers() -> Response {
    response::success(&json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}))
}
