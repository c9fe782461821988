//! `GET /api/v1/targets/relabel_steps?scrapePool=…&labels={…}`: labels after each rule of
//! `relabel_configs` of a pool.
//!
//! ```text
//! {"status":"success","data":{"steps":[{"rule":{"source_labels":["__address__"],
//!   "separator":";","regex":"(.*)","replacement":"$1","action":"drop"},
//!   "output":{},"keep":false}]}}
//! ```
//!
//! Rules after one that drops the target do not run; their output is empty, too. Texts of errors in
//! `labels` are those of Go, except for malformed JSON that is not cut off.

use crate::config::file::scrape::job::ScrapeJob;
use crate::model::label_editor::LabelEditor;
use crate::model::relabel::rule::RelabelRule;
use crate::model::relabel::{RelabelStep, Steps, Verdict};
use crate::server::api::listing;
use crate::server::api::listing::ResponseJson;
use crate::server::api::parameters;
use crate::server::api::parameters::Parameter;
use crate::server::api::targets::TargetsState;
use crate::server::api::targets::labels_json::LabelsJson;
use crate::server::api::targets::pools::required_value;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys of a rule with their values. The regular expression and the texts have their defaults.
#[derive(Serialize)]
struct RuleData<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    source_labels: &'a [String],
    separator: &'a str,
    regex: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    modulus: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    target_label: &'a str,
    replacement: &'a str,
    action: &'static str,
}

#[derive(Serialize)]
struct StepData<'a> {
    rule: RuleData<'a>,
    output: LabelsJson<'a>,
    keep: bool,
}

/// Request for the steps of a pool.
struct StepsQuery {
    job: Arc<ScrapeJob>,
    labels: LabelEditor,
}

/// Handles a request for the steps of a pool.
pub(crate) async fn relabel_steps(
    State(targets): State<Arc<TargetsState>>,
    State(lists): State<Arc<ListState>>,
    Query(parameters): Query<Vec<Parameter>>,
) -> Response {
    let query = parameters::check_ready(&lists.lifecycle, &lists.db)
        .and_then(|()| StepsQuery::parse(&parameters, &targets));
    match query {
        Ok(query) => listing::respond_json(lists, move |json| push_steps(json, query)).await,
        Err(error) => error.into_response(),
    }
}

impl StepsQuery {
    fn parse(parameters: &[Parameter], targets: &TargetsState) -> Result<Self, ApiError> {
        let pool = required_value(parameters, "scrapePool")?;
        let labels = parse_labels(required_value(parameters, "labels")?)?;
        Ok(Self { job: targets.job(pool)?, labels })
    }
}

/// Reads a JSON object of labels. An empty value means no label, and null is an empty value.
fn parse_labels(text: &str) -> Result<LabelEditor, ApiError> {
    let error = |text: String| ApiError::BadData(format!("error parsing labels: {text}"));
    let value: Value = serde_json::from_str(text).map_err(|json_error| {
        error(if json_error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            json_error.to_string()
        })
    })?;
    let mut pairs = BTreeMap::new();
    match value {
        Value::Null => {}
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text) => drop(pairs.insert(name, text)),
                    Value::Null => {}
                    other => return Err(error(type_error(&other, "string"))),
                }
            }
        }
        other => return Err(error(type_error(&other, "map[string]string"))),
    }
    let mut labels = LabelEditor::new();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        labels.push(name, value);
    }
    labels.sort_initial();
    if labels.is_too_large() {
        return Err(error("too many or too long labels".to_owned()));
    }
    Ok(labels)
}

/// Returns Go's text for a JSON value of the wrong type.
fn type_error(value: &Value, expected: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {found} into Go value of type {expected}")
}

fn push_steps(json: &mut ResponseJson, query: StepsQuery) -> Result<(), ApiError> {
    let StepsQuery { job, mut labels } = query;
    let rules = &job.relabel_rules;
    json.push(|out| out.push_str("{\"steps\":["))?;
    let steps = Steps::new(rules, &mut labels);
    for (at, (rule, step)) in rules.iter().zip(steps).enumerate() {
        let RelabelStep { verdict, labels } =
            step.map_err(|error| ApiError::BadData(error.to_string()))?;
        if at > 0 {
            json.push(|out| out.push(','))?;
        }
        json.push_value(&StepData {
            rule: RuleData::from(rule),
            output: LabelsJson::Pairs(&labels),
            keep: verdict == Verdict::Keep,
        })?;
    }
    json.push(|out| out.push_str("]}"))
}

impl<'a> From<&'a RelabelRule> for RuleData<'a> {
    fn from(rule: &'a RelabelRule) -> Self {
        Self {
            source_labels: rule.source_labels(),
            separator: rule.separator(),
            regex: rule.regex(),
            modulus: rule.modulus(),
            target_label: rule.target_label(),
            replacement: rule.replacement(),
            action: rule.action().name(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::parse_labels;
    use crate::server::contract::api_error::ApiError;

    #[test]
    fn labels_are_read_as_by_go() {
        let read = |text: &str| parse_labels(text).unwrap().sorted();
        assert_eq!(read("{}"), []);
        assert_eq!(read("null"), []);
        let expected = [("a".to_owned(), "2".to_owned()), ("b".to_owned(), "x".to_owned())];
        assert_eq!(read(r#" {"b":"x","a":"1","c":"","d":null,"a":"2"} "#), expected);
    }

    #[test]
    fn errors_of_labels_are_those_of_go() {
        for (text, expected) in [
            ("{", "unexpected end of JSON input"),
            (r#"{"a"#, "unexpected end of JSON input"),
            (r#"{"a":1}"#, "json: cannot unmarshal number into Go value of type string"),
            (r#"{"a":{}}"#, "json: cannot unmarshal object into Go value of type string"),
            (r#"{"a":true}"#, "json: cannot unmarshal bool into Go value of type string"),
            ("[]", "json: cannot unmarshal array into Go value of type map[string]string"),
            (r#""a""#, "json: cannot unmarshal string into Go value of type map[string]string"),
        ] {
            let expected = ApiError::BadData(format!("error parsing labels: {expected}"));
            assert_eq!(parse_labels(text).map(|_| ()), Err(expected), "{text}");
        }
        assert!(parse_labels("{x}").is_err());
        assert!(parse_labels("{} {}").is_err());
    }
}
