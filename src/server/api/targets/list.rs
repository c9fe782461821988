//! `GET /api/v1/targets?state=…&scrapePool=…`: active and dropped targets.
//!
//! ```text
//! {"status":"success","data":{
//!   "activeTargets":[{"discoveredLabels":{…},"labels":{…},"scrapePool":"node",
//!     "scrapeUrl":"http://a:9100/metrics","globalUrl":"http://a:9100/metrics","lastError":"",
//!     "lastScrape":"2025-11-05T00:00:00.123Z","lastScrapeDuration":0.012,"health":"up",
//!     "scrapeInterval":"1m","scrapeTimeout":"10s"}],
//!   "droppedTargets":[{"discoveredLabels":{…},"scrapePool":"node"}],
//!   "droppedTargetCounts":{"node":1}}}
//! ```
//!
//! - `state` is `active`, `dropped` or `any`, the default. Another value selects nothing.
//! - `droppedTargetCounts` has all pools and all dropped targets, also those that are not kept. It
//!   is null if dropped targets are not selected.
//! - `lastScrape` of a target that was not scraped yet is `0001-01-01T00:00:00Z`.
//! - `lastRejections` is narthex's own: the samples of the last scrape that storage rejected, by
//!   reason, with the first series. It is absent if there are none.
//!
//! Targets are sorted by pool, URL and labels. Prometheus leaves their order to chance.

use crate::config::units::format_prometheus_duration;
use crate::model::time::format_rfc3339;
use crate::scrape::pool::status::{ActiveTarget, PoolSnapshot, TargetStatus};
use crate::server::api::listing;
use crate::server::api::listing::ResponseJson;
use crate::server::api::parameters;
use crate::server::api::parameters::{Parameter, first_value};
use crate::server::api::targets::TargetsState;
use crate::server::api::targets::global_url::{GlobalUrl, ServerAddress};
use crate::server::api::targets::labels_json::LabelsJson;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Zero of Go's times.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Parameters of a request for targets.
#[derive(Debug, PartialEq, Eq)]
struct TargetsQuery {
    active: bool,
    dropped: bool,
    /// Only pool to list; `None` = all.
    pool: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTargetData<'a> {
    discovered_labels: LabelsJson<'a>,
    labels: LabelsJson<'a>,
    scrape_pool: &'a str,
    scrape_url: &'a str,
    global_url: String,
    last_error: String,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_rejections: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DroppedTargetData<'a> {
    discovered_labels: LabelsJson<'a>,
    scrape_pool: &'a str,
}

/// Handles a request for targets.
pub(crate) async fn targets(
    State(targets): State<Arc<TargetsState>>,
    State(lists): State<Arc<ListState>>,
    Query(parameters): Query<Vec<Parameter>>,
) -> Response {
    if let Err(error) = parameters::check_ready(&lists.lifecycle, &lists.db) {
        return error.into_response();
    }
    let query = TargetsQuery::parse(&parameters);
    listing::respond_json(lists, move |json| {
        push_targets(json, &query, &targets.scraper.snapshot(), &targets.address)
    })
    .await
}

impl TargetsQuery {
    fn parse(parameters: &[Parameter]) -> Self {
        let state = first_value(parameters, "state").unwrap_or("any").to_lowercase();
        Self {
            active: matches!(state.as_str(), "any" | "active"),
            dropped: matches!(state.as_str(), "any" | "dropped"),
            pool: first_value(parameters, "scrapePool").map(str::to_owned),
        }
    }

    fn selects(&self, pool: &PoolSnapshot) -> bool {
        self.pool.as_deref().is_none_or(|name| name == &*pool.job)
    }
}

fn push_targets(
    json: &mut ResponseJson,
    query: &TargetsQuery,
    pools: &[PoolSnapshot],
    address: &ServerAddress,
) -> Result<(), ApiError> {
    let selected = || pools.iter().filter(|pool| query.selects(pool));
    let active = selected().filter(|_| query.active).flat_map(|pool| {
        pool.active.iter().map(|target| ActiveTargetData::new(&pool.job, target, address))
    });
    json.push(|out| out.push_str("{\"activeTargets\":"))?;
    json.push_list(active)?;
    let dropped = selected().filter(|_| query.dropped).flat_map(|pool| {
        pool.dropped.iter().map(|labels| DroppedTargetData {
            discovered_labels: LabelsJson::Pairs(labels),
            scrape_pool: &pool.job,
        })
    });
    json.push(|out| out.push_str(",\"droppedTargets\":"))?;
    json.push_list(dropped)?;
    let counts = || pools.iter().map(|pool| (&*pool.job, pool.dropped_count)).collect();
    let counts: Option<BTreeMap<&str, usize>> = query.dropped.then(counts);
    json.push(|out| out.push_str(",\"droppedTargetCounts\":"))?;
    json.push_value(&counts)?;
    json.push(|out| out.push('}'))
}

impl<'a> ActiveTargetData<'a> {
    fn new(pool: &'a str, target: &'a ActiveTarget, address: &ServerAddress) -> Self {
        let spec = &*target.spec;
        let TargetStatus { health, last_error, rejected, last_scrape_ms, last_duration, .. } =
            target.state.status();
        let GlobalUrl { url, error } = address.global_url(&spec.url);
        Self {
            discovered_labels: LabelsJson::Pairs(&spec.discovered),
            labels: LabelsJson::Labels(&spec.labels),
            scrape_pool: pool,
            scrape_url: &spec.url,
            global_url: url,
            last_error: match error {
                Some(error) => format!("{last_error}: {error}"),
                None => last_error,
            },
            last_scrape: last_scrape_ms.map_or_else(|| NEVER.to_owned(), format_rfc3339),
            last_scrape_duration: last_duration.as_secs_f64(),
            health: health.as_str(),
            scrape_interval: format_prometheus_duration(spec.interval),
            scrape_timeout: format_prometheus_duration(spec.timeout),
            last_rejections: rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TargetsQuery;

    #[test]
    fn states_are_read_as_in_prometheus() {
        for (query, active, dropped, pool) in [
            ("", true, true, None),
            ("state=&scrapePool=", true, true, None),
            ("state=ANY", true, true, None),
            ("state=Active&scrapePool=a", true, false, Some("a")),
            ("state=dropped&state=active", false, true, None),
            ("state=x", false, false, None),
        ] {
            let parameters: Vec<_> =
                form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let pool = pool.map(str::to_owned);
            assert_eq!(TargetsQuery::parse(&parameters), TargetsQuery { active, dropped, pool });
        }
    }
}
