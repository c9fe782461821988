//! `GET` or `POST /api/v1/query_exemplars?query=…&start=…&end=…`: exemplars of the selected series.
//!
//! ```text
//! {"status":"success","data":[
//!   {"seriesLabels":{"__name__":"up","job":"node"},
//!    "exemplars":[{"labels":{"trace_id":"4bf9"},"value":"0.5","timestamp":1762300800.123}]}]}
//! ```
//!
//! Series are sorted by their labels, exemplars by time. The response to an expression without a
//! selector is 204, as in Prometheus. The complete JSON is in memory, which comes from the budget
//! of responses.

use crate::model::go_format::SampleText;
use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::promql::features::Features;
use crate::promql::selectors;
use crate::server::api::parameters;
use crate::server::api::parameters::Parameter;
use crate::server::api::response::BufferedJson;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use crate::server::transport::blocking::run_blocking;
use crate::tsdb::db::SeriesExemplars;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use std::fmt::Write as _;
use std::sync::Arc;

/// Handles an exemplar query.
pub(crate) async fn query_exemplars(
    State(lists): State<Arc<ListState>>,
    request: Request,
) -> Response {
    if let Err(error) = parameters::check_ready(&lists.lifecycle, &lists.db) {
        return error.into_response();
    }
    let query = parameters::parse_request(&lists.bodies, request)
        .await
        .and_then(|parameters| parse_params(&parameters));
    let query = match query {
        Ok(query) if query.selectors.is_empty() => return StatusCode::NO_CONTENT.into_response(),
        Ok(query) => query,
        Err(error) => return error.into_response(),
    };
    match run_query(&lists, query).await {
        Ok(exemplars) => exemplars.into_response(lists.responses.time),
        Err(error) => error.into_response(),
    }
}

/// Parameters of an exemplar query.
#[derive(Debug)]
struct ExemplarQuery {
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
}

fn parse_params(parameters: &[Parameter]) -> Result<ExemplarQuery, ApiError> {
    let range = parameters::time_range(parameters)?;
    if range.maxt < range.mint {
        return Err(ApiError::BadData(
            "end timestamp must not be before start timestamp".to_owned(),
        ));
    }
    let query = parameters::first_value(parameters, "query").unwrap_or_default();
    let selectors = selectors::of_expression(query, Features::ALL)
        .map_err(|error| ApiError::BadData(error.to_string()))?;
    Ok(ExemplarQuery { selectors, range })
}

/// Waits for a permit and builds the response on a blocking thread.
async fn run_query(lists: &Arc<ListState>, query: ExemplarQuery) -> Result<BufferedJson, ApiError> {
    let shared = lists.clone();
    let encoded = run_blocking(&lists.gate, "querying exemplars", move |_| {
        let found = shared.db.ready()?.querier().exemplars(&query.selectors, query.range);
        let mut reservation = shared.responses.budget.reserve();
        let text = encode_response(&found, &mut |bytes| reservation.extend(bytes))?;
        Ok(BufferedJson { text: text.into_bytes(), reservation })
    });
    encoded.await?
}

/// Encodes the complete response. `reserve` reserves its memory as it grows.
fn encode_response<E>(
    found: &[SeriesExemplars],
    reserve: &mut dyn FnMut(usize) -> Result<(), E>,
) -> Result<String, E> {
    let mut text = String::from("{\"status\":\"success\",\"data\":[");
    let mut reserved = 0;
    for (at, series) in found.iter().enumerate() {
        text.push_str(if at == 0 { "{\"seriesLabels\":" } else { ",{\"seriesLabels\":" });
        push_labels(&mut text, Some(&series.labels));
        text.push_str(",\"exemplars\":[");
        for (at, exemplar) in series.exemplars.iter().enumerate() {
            text.push_str(if at == 0 { "{\"labels\":" } else { ",{\"labels\":" });
            push_labels(&mut text, exemplar.labels.as_ref());
            text.push_str(",\"value\":\"");
            let _ = write!(text, "{}", SampleText(exemplar.v));
            text.push_str("\",\"timestamp\":");
            push_seconds(&mut text, exemplar.t);
            text.push('}');
        }
        text.push_str("]}");
        reserve(text.len() - reserved)?;
        reserved = text.len();
    }
    text.push_str("]}");
    Ok(text)
}

fn push_labels(text: &mut String, labels: Option<&Labels>) {
    text.push('{');
    for (at, (name, value)) in labels.iter().flat_map(|labels| labels.iter()).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}{}:{}",
            serde_json::Value::from(name),
            serde_json::Value::from(value)
        );
    }
    text.push('}');
}

/// Appends milliseconds as seconds.
fn push_seconds(text: &mut String, ms: i64) {
    let sign = if ms < 0 { "-" } else { "" };
    let (seconds, rest) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
    let _ = write!(text, "{sign}{seconds}");
    if rest != 0 {
        let _ = write!(text, ".{rest:03}");
    }
}

#[cfg(test)]
mod tests {
    use super::{encode_response, parse_params, push_seconds};
    use crate::model::exemplar::Exemplar;
    use crate::model::labels::{Labels, LabelsBuilder};
    use crate::model::time::TimeRange;
    use crate::server::api::parameters::Parameter;
    use crate::server::contract::api_error::ApiError;
    use crate::tsdb::db::SeriesExemplars;
    use std::convert::Infallible;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
    }

    fn text_of(found: &[SeriesExemplars]) -> String {
        let mut reserved = 0;
        let Ok(text) = encode_response(found, &mut |bytes| {
            reserved += bytes;
            Ok::<_, Infallible>(())
        });
        assert!(text.len() - reserved <= 2 || found.is_empty(), "{reserved} of {}", text.len());
        text
    }

    #[test]
    fn response_is_identical_to_prometheus() {
        let exemplar = |t, v, labels| Exemplar { t, v, labels };
        let found = [
            SeriesExemplars {
                labels: labels(&[("__name__", "a\n<b>\"é"), ("job", "x")]),
                exemplars: vec![
                    exemplar(
                        1_762_300_800_000,
                        0.5,
                        Some(labels(&[("trace_id", "1"), ("span_id", "2")])),
                    ),
                    exemplar(1_762_300_800_020, 1e21, None),
                ],
            },
            SeriesExemplars {
                labels: labels(&[("b", "c")]),
                exemplars: vec![exemplar(-1500, -0.0, None)],
            },
        ];
        let expected = concat!(
            r#"{"status":"success","data":[{"seriesLabels":{"__name__":"a\n<b>\"é","job":"x"},"#,
            r#""exemplars":["#,
            r#"{"labels":{"span_id":"2","trace_id":"1"},"value":"0.5","timestamp":1762300800},"#,
            r#"{"labels":{},"value":"1e+21","timestamp":1762300800.020}]},"#,
            r#"{"seriesLabels":{"b":"c"},"#,
            r#""exemplars":[{"labels":{},"value":"-0","timestamp":-1.500}]}]}"#,
        );
        assert_eq!(text_of(&found), expected);
        assert_eq!(text_of(&[]), r#"{"status":"success","data":[]}"#);
    }

    #[test]
    fn smallest_timestamp_is_written() {
        let mut text = String::new();
        push_seconds(&mut text, i64::MIN);
        assert_eq!(text, "-9223372036854775.808");
    }

    #[test]
    fn query_needs_an_expression_and_defaults_to_all_times() {
        let parse = |query: &str| -> Vec<Parameter> {
            form_urlencoded::parse(query.as_bytes()).into_owned().collect()
        };
        let found = parse_params(&parse("query=rate(a[5m])+%2B+b&end=12.5")).unwrap();
        assert_eq!((found.selectors.len(), found.range), (2, TimeRange::new(i64::MIN, 12_500)));
        for (query, part) in [
            ("query=", "no expression"),
            ("query=up{", "inside braces"),
            ("query={}", "matcher"),
            ("query=up&start=x", "start"),
            ("query=up&start=2&end=1", "before"),
        ] {
            let error = parse_params(&parse(query)).unwrap_err();
            assert!(
                matches!(&error, ApiError::BadData(text) if text.contains(part)),
                "{query}: {error:?}"
            );
        }
    }
}
