//! Expressions against the responses of Prometheus 3.14.0 in `golden/promql/parse.jsonl.gz`: errors
//! with positions, types, formatted text and syntax trees.

use crate::support::golden;
use narthex::promql::ast::duration::Nanoseconds;
use narthex::promql::ast::resolve::{QueryTimes, resolve_durations};
use narthex::promql::ast::tree::Ast;
use narthex::promql::features::Features;
use narthex::promql::parser::parse_expression;
use narthex::promql::print::json::json;
use narthex::promql::print::pretty::pretty;
use serde_json::Value;
use std::fmt::Write as _;

/// Start of every error message.
const PREFIX: &str = "invalid parameter \"query\": ";
/// Times of an instant query.
const INSTANT: QueryTimes = QueryTimes { step: Nanoseconds::ZERO, range: Nanoseconds::ZERO };
/// Features of the recorder, unless a case says otherwise.
const FEATURES: Features = Features::ALL;
/// Maximum length of a formatted expression, bytes.
const MAX_FORMATTED: usize = 1 << 20;

fn cases() -> impl Iterator<Item = Value> {
    let text = golden::text("promql", "parse.jsonl");
    let cases: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    cases.into_iter()
}

/// Returns the expression of a case.
fn expression(case: &Value) -> Vec<u8> {
    if let Some(text) = case["q"].as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(hex) = case["q_hex"].as_str() {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
        return (0..hex.len()).step_by(2).map(digit).collect();
    }
    let part = |at: usize| case["repeat"][at].as_str().expect("a part of an expression");
    let count = case["repeat"][3].as_u64().expect("a count") as usize;
    let text = part(0).repeat(count) + part(1) + &part(2).repeat(count);
    text.into_bytes()
}

/// Compares a response with the recorded one. Long responses are recorded as a checksum.
fn compare(id: &str, recorded: &Value, data: Result<String, String>) {
    match (recorded["http"].as_u64(), data) {
        (Some(200), Ok(data)) => {
            let body = format!("{{\"status\":\"success\",\"data\":{data}}}");
            if let Some(sum) = recorded["sha256"].as_str() {
                assert_eq!(sha256(body.as_bytes()), sum, "{id}");
            } else {
                // The recorder read fill values of -0 as 0.
                let body = body.replace(":-0,", ":0,").replace(":-0}", ":0}");
                let body: Value = serde_json::from_str(&body).expect("JSON");
                assert_eq!(body, recorded["body"], "{id}");
            }
        }
        (Some(400), Err(message)) => {
            assert_eq!(
                Some(PREFIX.to_owned() + &message).as_deref(),
                recorded["body"]["error"].as_str(),
                "{id}"
            );
        }
        // Prometheus cannot encode an infinite fill value.
        (Some(500), Ok(data)) => assert!(data.contains("\"fillValues\""), "{id}: {data}"),
        (_, data) => panic!("{id}: {data:?} instead of {recorded}"),
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn expressions_have_the_responses_of_prometheus() {
    let mut checked = [0; 3];
    for case in cases() {
        let id = case["id"].as_str().expect("an id");
        let text = expression(&case);
        let parsed = parse_expression(&text, FEATURES).map_err(|error| error.to_string());
        if !case["parse"].is_null() {
            compare(id, &case["parse"], parsed.as_ref().map(json).map_err(Clone::clone));
            checked[0] += 1;
        }
        if !case["format"].is_null() {
            let formatted = parsed.as_ref().map_err(Clone::clone).and_then(|ast| {
                let text = pretty(ast, MAX_FORMATTED).map_err(|error| error.to_string())?;
                Ok(serde_json::to_string(&text).expect("JSON"))
            });
            compare(id, &case["format"], formatted);
            checked[1] += 1;
        }
        if !case["query"].is_null() {
            compare_query(id, &case["query"], parsed);
            checked[2] += 1;
        }
    }
    assert_eq!(checked, [5941, 5941, 5938]);
}

/// Compares the type of the result, or the error before the evaluation. Errors of the evaluation
/// (422) are those of valid expressions.
fn compare_query(id: &str, recorded: &Value, parsed: Result<Ast, String>) {
    let resolved = parsed.and_then(|mut ast| {
        resolve_durations(&mut ast, INSTANT).map_err(|error| error.to_string())?;
        Ok(ast)
    });
    match resolved {
        Ok(_) if recorded["http"] == 422 => {}
        Ok(ast) => {
            let found = ast[ast.root()].value_type.api_name();
            assert_eq!(recorded["body"]["resultType"].as_str(), Some(found), "{id}");
        }
        Err(message) => compare(id, recorded, Err(message)),
    }
}

#[test]
fn features_are_off_by_default() {
    let mut checked = 0;
    for case in cases() {
        let id = case["id"].as_str().expect("an id");
        let text = expression(&case);
        let message = |features| parse_expression(&text, features).err().map(|e| e.to_string());
        let (without, with) = (message(Features::default()), message(FEATURES));
        if case["base"].is_null() {
            assert_eq!(without, with, "{id}");
        } else {
            let recorded = case["base"]["query"]["body"]["error"].as_str();
            assert_eq!(
                without.map(|message| PREFIX.to_owned() + &message).as_deref(),
                recorded,
                "{id}"
            );
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} cases");
}
