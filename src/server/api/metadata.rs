//! `GET /api/v1/metadata?metric=…&limit=…&limit_per_metric=…`: type, help and unit of metric
//! families, in Prometheus's format.
//!
//! ```text
//! {"status":"success","data":{"up":[{"type":"gauge","unit":"","help":"…"}]}}
//! ```
//!
//! Prometheus shows the metadata of its current targets; narthex shows the metadata of the head.
//! Families are sorted by name, so a limit always returns the same ones. `limit=0` returns none, a
//! negative limit all.

use crate::model::metadata::Metadata;
use crate::server::api::parameters;
use crate::server::api::response;
use crate::server::api::response::BufferedJson;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use crate::server::transport::blocking::run_blocking;
use crate::tsdb::db::FamilyList;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Estimated JSON overhead of an entry, bytes.
const ENTRY_BYTES: usize = 64;

/// Parameters of a metadata request.
#[derive(Debug, Default, PartialEq, Eq)]
struct MetadataQuery {
    metric: Option<String>,
    families: Option<usize>,
    per_family: Option<usize>,
}

#[derive(Serialize)]
struct MetadataEntry<'a> {
    r#type: &'static str,
    unit: &'a str,
    help: &'a str,
}

/// Handles a metadata request.
pub(crate) async fn metadata(
    State(lists): State<Arc<ListState>>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Response {
    match run_query(&lists, &parameters).await {
        Ok(families) => families.into_response(lists.responses.time),
        Err(error) => error.into_response(),
    }
}

async fn run_query(
    lists: &Arc<ListState>,
    values: &[(String, String)],
) -> Result<BufferedJson, ApiError> {
    parameters::check_ready(&lists.lifecycle, &lists.db)?;
    let query = parse_params(values)?;
    let shared = lists.clone();
    let listed = run_blocking(&lists.gate, "listing metadata", move |_| {
        let mut families = shared.db.ready()?.metadata(query.metric.as_deref());
        limit(&mut families, &query);
        let mut reservation = shared.responses.budget.reserve();
        reservation.extend(estimate_response_bytes(&families))?;
        let text = encode(&families).map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(BufferedJson { text, reservation })
    });
    listed.await?
}

fn parse_params(parameters: &[(String, String)]) -> Result<MetadataQuery, ApiError> {
    // As in Prometheus, the first value counts, and an empty value counts as missing.
    let value = |name: &str| {
        let found = parameters.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let number = |name: &str| match value(name).map(str::parse::<i64>) {
        None => Ok(-1),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(ApiError::BadData(format!("{name} must be a number"))),
    };
    let families = usize::try_from(number("limit")?).ok();
    let per_family = usize::try_from(number("limit_per_metric")?).ok().filter(|limit| *limit > 0);
    Ok(MetadataQuery { metric: value("metric").map(str::to_owned), families, per_family })
}

fn limit(families: &mut FamilyList, query: &MetadataQuery) {
    if let Some(limit) = query.families
        && let Some(beyond) = families.keys().nth(limit).cloned()
    {
        drop(families.split_off(&beyond));
    }
    if let Some(limit) = query.per_family {
        families.values_mut().for_each(|values| values.truncate(limit));
    }
}

fn estimate_response_bytes(families: &FamilyList) -> usize {
    let of_entry = |entry: &Metadata| entry.unit.len() + entry.help.len() + ENTRY_BYTES;
    let of_family = |values: &Vec<_>| {
        values.iter().map(|entry: &std::sync::Arc<Metadata>| of_entry(entry)).sum::<usize>()
    };
    families.iter().map(|(name, values)| name.len() + of_family(values)).sum()
}

fn encode(families: &FamilyList) -> serde_json::Result<Vec<u8>> {
    let entries = families.iter().map(|(name, values)| {
        let entries = values.iter().map(|entry| MetadataEntry {
            r#type: entry.metric_type.as_str(),
            unit: &entry.unit,
            help: &entry.help,
        });
        (name.as_str(), entries.collect())
    });
    response::encode_success(&entries.collect::<BTreeMap<&str, Vec<MetadataEntry<'_>>>>())
}

#[cfg(test)]
mod tests {
    use super::{MetadataQuery, encode, limit, parse_params};
    use crate::model::metadata::{Metadata, MetricType};
    use crate::server::contract::api_error::ApiError;
    use crate::tsdb::db::FamilyList;
    use std::sync::Arc;

    fn parse(query: &str) -> Result<MetadataQuery, ApiError> {
        parse_params(&form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Vec<_>>())
    }

    #[test]
    fn limits_are_parsed_as_in_prometheus() {
        assert_eq!(parse(""), Ok(MetadataQuery::default()));
        assert_eq!(parse("metric=&limit=&limit_per_metric="), Ok(MetadataQuery::default()));
        assert_eq!(parse("limit=-5&limit_per_metric=0"), Ok(MetadataQuery::default()));
        let query =
            MetadataQuery { metric: Some("up".into()), families: Some(0), per_family: Some(2) };
        assert_eq!(parse("metric=up&limit=0&limit_per_metric=2"), Ok(query));
        let error = |name| Err(ApiError::BadData(format!("{name} must be a number")));
        assert_eq!(parse("limit=x"), error("limit"));
        assert_eq!(parse("limit_per_metric=1.5"), error("limit_per_metric"));
    }

    #[test]
    fn limits_keep_the_first_families_and_values() {
        let entry = |help: &str| {
            Arc::new(Metadata {
                metric_type: MetricType::GaugeHistogram,
                unit: "s".into(),
                help: help.into(),
            })
        };
        let all = FamilyList::from([
            ("a".to_owned(), vec![entry("1"), entry("<2>")]),
            ("b".to_owned(), vec![entry("3")]),
            ("c".to_owned(), vec![entry("4")]),
        ]);
        let limited = |families, per_family| {
            let mut list = all.clone();
            limit(&mut list, &MetadataQuery { metric: None, families, per_family });
            String::from_utf8(encode(&list).unwrap()).unwrap()
        };
        assert_eq!(limited(Some(0), None), r#"{"status":"success","data":{}}"#);
        assert_eq!(limited(None, None), limited(Some(3), Some(2)));
        assert_eq!(
            limited(Some(2), Some(1)),
            concat!(
                r#"{"status":"success","data":{"#,
                r#""a":[{"type":"gaugehistogram","unit":"s","help":"1"}],"#,
                r#""b":[{"type":"gaugehistogram","unit":"s","help":"3"}]}}"#,
            )
        );
    }
}
