//! Empty responses for API lists that narthex does not implement: rules, alerts, targets, scrape
//! pools.
//!
//! Clients that request them, such as Thanos's sidecar, keep working.

use crate::promql::selector;
use crate::server::api::parameters;
use crate::server::api::parameters::{Parameter, first_value};
use crate::server::api::response;
use crate::server::contract::api_error::ApiError;
use axum::extract::Query;
use axum::response::Response;
use serde_json::json;
use std::collections::BTreeMap;

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

/// `GET /api/v1/alertmanagers`.
pub(crate) async fn alertmanagers() -> Response {
    response::success(&json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}))
}

/// `GET /api/v1/targets/metadata`. Invalid parameters are errors, as in Prometheus.
pub(crate) async fn target_metadata(
    Query(parameters): Query<Vec<Parameter>>,
) -> Result<Response, ApiError> {
    if first_value(&parameters, "limit").is_some_and(|limit| limit.parse::<i64>().is_err()) {
        return Err(ApiError::BadData("limit must be a number".to_owned()));
    }
    if let Some(target) = first_value(&parameters, "match_target") {
        selector::parse(target)
            .map_err(|error| parameters::invalid_parameter("match_target", error))?;
    }
    Ok(response::success(&json!([])))
}

/// `GET /api/v1/scrape_pools/config`: no scrape pool exists.
pub(crate) async fn scrape_pool_config(Query(parameters): Query<Vec<Parameter>>) -> ApiError {
    match required_value(&parameters, "scrapePool") {
        Ok(pool) => unknown_pool(pool),
        Err(error) => error,
    }
}

/// `GET /api/v1/targets/relabel_steps`: no scrape pool exists.
pub(crate) async fn relabel_steps(Query(parameters): Query<Vec<Parameter>>) -> ApiError {
    let found = required_value(&parameters, "scrapePool")
        .and_then(|pool| required_value(&parameters, "labels").map(|labels| (pool, labels)));
    let (pool, labels) = match found {
        Ok(found) => found,
        Err(error) => return error,
    };
    match serde_json::from_str::<BTreeMap<String, String>>(labels) {
        Ok(_) => unknown_pool(pool),
        Err(error) => ApiError::BadData(format!("error parsing labels: {error}")),
    }
}

fn required_value<'a>(parameters: &'a [Parameter], name: &str) -> Result<&'a str, ApiError> {
    first_value(parameters, name)
        .ok_or_else(|| ApiError::BadData(format!("no {name} parameter provided")))
}

fn unknown_pool(pool: &str) -> ApiError {
    ApiError::BadData(format!("error retrieving scrape config: scrape pool {pool:?} not found"))
}
