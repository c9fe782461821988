//! Empty responses for API lists that narthex does not implement: rules, alerts, targets, scrape
//! pools.
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

/// `GET /api/v1/targets`.
pub(crate) async fn targets() -> Response {
    response::success(
        &json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}),
    )
}

/// `GET /api/v1/scrape_pools`.
pub(crate) async fn scrape_pools() -> Response {
    response::success(&json!({"scrapePools": []}))
}
