//! `GET /api/v1/targets/metadata?match_target=…&metric=…&limit=…`: type, help and unit of the
//! metrics that active targets expose.
//!
//! ```text
//! {"status":"success","data":[{"target":{"instance":"a:9100","job":"node"},
//!   "metric":"node_load1","type":"gauge","help":"1m load average.","unit":""}]}
//! ```
//!
//! - `match_target` selects targets by their labels, `metric` one metric family, whose name the
//!   entries then omit.
//! - As in Prometheus, `limit` is checked between targets: the list of a target is never cut.
//!
//! Entries are sorted by pool, URL, labels and metric. Prometheus leaves their order to chance.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::metadata::Metadata;
use crate::promql::parser::parse_selector;
use crate::scrape::pool::status::{ActiveTarget, PoolSnapshot};
use crate::server::api::listing;
use crate::server::api::listing::{ListEnd, ListResponseBuilder};
use crate::server::api::parameters;
use crate::server::api::parameters::{Parameter, first_value};
use crate::server::api::targets::TargetsState;
use crate::server::api::targets::labels_json::LabelsJson;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// Parameters of a request for the metadata of targets.
#[derive(Debug)]
struct MetadataQuery {
    /// Matchers of the labels of a target; none select every target.
    matchers: Vec<Matcher>,
    metric: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct MetadataData<'a> {
    target: LabelsJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<&'a str>,
    r#type: &'static str,
    help: &'a str,
    unit: &'a str,
}

/// Handles a request for the metadata of targets.
pub(crate) async fn target_metadata(
    State(targets): State<Arc<TargetsState>>,
    State(lists): State<Arc<ListState>>,
    Query(parameters): Query<Vec<Parameter>>,
) -> Response {
    let query = parameters::check_ready(&lists.lifecycle, &lists.db)
        .and_then(|()| MetadataQuery::parse(&parameters));
    match query {
        Ok(query) => {
            listing::respond(lists, move |_, builder| {
                list(&targets.scraper.snapshot(), &query, builder)
            })
            .await
        }
        Err(error) => error.into_response(),
    }
}

impl MetadataQuery {
    fn parse(parameters: &[Parameter]) -> Result<Self, ApiError> {
        let limit = match first_value(parameters, "limit").map(str::parse::<i64>) {
            None => None,
            // A negative limit is none.
            Some(Ok(limit)) => usize::try_from(limit).ok(),
            Some(Err(_)) => return Err(ApiError::BadData("limit must be a number".to_owned())),
        };
        let matchers = match first_value(parameters, "match_target") {
            None => Vec::new(),
            Some(selector) => parse_selector(selector.as_bytes())
                .map_err(|error| parameters::invalid_parameter("match_target", error))?,
        };
        let metric = first_value(parameters, "metric").map(str::to_owned);
        Ok(Self { matchers, metric, limit })
    }

    fn selects(&self, labels: &Labels) -> bool {
        let value = |matcher: &Matcher| labels.get(matcher.name()).unwrap_or_default();
        self.matchers.iter().all(|matcher| matcher.matches(value(matcher)))
    }
}

fn list(
    pools: &[PoolSnapshot],
    query: &MetadataQuery,
    builder: &mut ListResponseBuilder,
) -> Result<ListEnd, ApiError> {
    for target in pools.iter().flat_map(|pool| &pool.active) {
        if query.limit.is_some_and(|limit| builder.entries() >= limit) {
            break;
        }
        if query.selects(target.labels()) {
            list_target(target, query.metric.as_deref(), builder)?;
        }
    }
    Ok(ListEnd::Complete)
}

/// Lists the metadata of a target. A scrape of the target waits meanwhile for at most the time that
/// the list takes.
fn list_target(
    target: &ActiveTarget,
    metric: Option<&str>,
    builder: &mut ListResponseBuilder,
) -> Result<(), ApiError> {
    let families = target.state.metadata().lock();
    if let Some(metric) = metric {
        return match families.get(metric) {
            Some(metadata) => push(target, None, metadata, builder),
            None => Ok(()),
        };
    }
    let mut sorted: Vec<(&str, &Metadata)> = families.iter().collect();
    sorted.sort_unstable_by_key(|(family, _)| *family);
    for (family, metadata) in sorted {
        push(target, Some(family), metadata, builder)?;
    }
    Ok(())
}

fn push(
    target: &ActiveTarget,
    metric: Option<&str>,
    metadata: &Metadata,
    builder: &mut ListResponseBuilder,
) -> Result<(), ApiError> {
    let Metadata { metric_type, help, unit } = metadata;
    builder.push_value(&MetadataData {
        target: LabelsJson::Labels(target.labels()),
        metric,
        r#type: metric_type.as_str(),
        help,
        unit,
    })
}

#[cfg(test)]
mod tests {
    use super::MetadataQuery;
    use crate::server::contract::api_error::ApiError;

    fn parse(query: &str) -> Result<MetadataQuery, ApiError> {
        let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        MetadataQuery::parse(&parameters)
    }

    #[test]
    fn empty_parameters_are_missing_and_a_negative_limit_is_none() {
        for query in ["", "limit=&match_target=&metric=", "limit=-1"] {
            let query = parse(query).unwrap();
            assert!(query.matchers.is_empty() && query.metric.is_none() && query.limit.is_none());
        }
        let query = parse("limit=0&metric=a&match_target={}").unwrap();
        assert_eq!((query.limit, query.metric.as_deref()), (Some(0), Some("a")));
    }

    #[test]
    fn invalid_parameters_are_errors() {
        let error = |query: &str| match parse(query) {
            Err(ApiError::BadData(text)) => text,
            other => panic!("{query}: {other:?}"),
        };
        assert_eq!(error("limit=1.5"), "limit must be a number");
        assert!(error("match_target=a{").starts_with("invalid parameter \"match_target\": 1:3: "));
    }
}
