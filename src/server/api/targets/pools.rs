//! `GET /api/v1/scrape_pools`: names of all scrape pools, and
//! `GET /api/v1/scrape_pools/config?scrapePool=…`: effective configuration of one as YAML, without
//! secrets.
//!
//! ```text
//! {"status":"success","data":{"scrapePools":["node"]}}
//! {"status":"success","data":{"yaml":"job_name: node\n…"}}
//! ```

use crate::config::effective;
use crate::config::file::scrape::job::ScrapeJob;
use crate::server::api::parameters;
use crate::server::api::parameters::{Parameter, first_value};
use crate::server::api::response;
use crate::server::api::targets::TargetsState;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolNames<'a> {
    scrape_pools: Vec<&'a str>,
}

#[derive(Serialize)]
struct PoolConfig {
    yaml: String,
}

/// Handles a request for the names of all pools.
pub(crate) async fn scrape_pools(
    State(targets): State<Arc<TargetsState>>,
    State(lists): State<Arc<ListState>>,
) -> Result<Response, ApiError> {
    parameters::check_ready(&lists.lifecycle, &lists.db)?;
    let names = targets.scraper.job_names();
    let scrape_pools = names.iter().map(|name| &**name).collect();
    Ok(response::success(&PoolNames { scrape_pools }))
}

/// Handles a request for the configuration of a pool.
pub(crate) async fn scrape_pool_config(
    State(targets): State<Arc<TargetsState>>,
    State(lists): State<Arc<ListState>>,
    Query(parameters): Query<Vec<Parameter>>,
) -> Result<Response, ApiError> {
    parameters::check_ready(&lists.lifecycle, &lists.db)?;
    let pool = required_value(&parameters, "scrapePool")?;
    let yaml = effective::job_to_yaml(&*targets.job(pool)?)
        .map_err(|error| ApiError::Internal(format!("error marshaling scrape config: {error}")))?;
    Ok(response::success(&PoolConfig { yaml }))
}

/// Returns the value of a parameter.
///
/// # Errors
/// [`ApiError::BadData`] if it is missing or empty.
pub(super) fn required_value<'a>(
    parameters: &'a [Parameter],
    name: &str,
) -> Result<&'a str, ApiError> {
    first_value(parameters, name)
        .ok_or_else(|| ApiError::BadData(format!("no {name} parameter provided")))
}

impl TargetsState {
    /// Returns the job of a pool.
    ///
    /// # Errors
    /// [`ApiError::BadData`] if there is none.
    pub(super) fn job(&self, pool: &str) -> Result<Arc<ScrapeJob>, ApiError> {
        self.scraper.job(pool).ok_or_else(|| {
            let error = "error retrieving scrape config: scrape pool";
            ApiError::BadData(format!("{error} {pool:?} not found"))
        })
    }
}
