//! Exposition parsers against the verdicts of Prometheus 3.14.0 on scripted responses of
//! `golden/scrape-behaviour`. Unit tests of the scraper compare what is stored.

use crate::support::golden;
use narthex::exposition::format::Format;
use narthex::exposition::open::open_parser;
use narthex::exposition::parse_error::ParseError;
use narthex::exposition::parser::ParserOptions;
use serde_json::Value;

/// Parses a body as a job with default settings does.
fn parse(body: &[u8], format: Format) -> Result<(), ParseError> {
    let mut parser = open_parser(body, format, ParserOptions::default());
    while parser.next_entry()?.is_some() {}
    Ok(())
}

/// Starts of the errors with which Prometheus's parsers reject a text body.
const PARSE_ERRORS: [&str; 14] = [
    "expected a valid start token",
    "expected equal",
    "expected label",
    "expected next entry",
    "expected timestamp",
    "expected value",
    "invalid UTF-8",
    "invalid metric type",
    "invalid timestamp",
    "metric name ",
    "strconv.Parse",
    "unit ",
    "unsupported character",
    "data does not end",
];

fn is_parse_error(message: &str) -> bool {
    message.starts_with("unexpected data after")
        || PARSE_ERRORS.iter().any(|start| message.starts_with(start))
}

/// Keys of responses that are delivered as they are.
const PLAIN_ANSWER: [&str; 2] = ["body", "type"];

/// Returns the bytes of a body. Bytes that are not UTF-8 are lone surrogates in the recording,
/// which JSON parsers reject, so they are private characters here.
fn body_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in text.chars() {
        match u32::from(character) {
            code @ 0xe080..=0xe0ff => bytes.push((code - 0xe000) as u8),
            _ => bytes.extend(character.to_string().as_bytes()),
        }
    }
    bytes
}

fn format_of(case: &Value, answer: &Value) -> Option<Format> {
    let content_type = answer.get("type").unwrap_or(&Value::Null).as_str();
    let content_type = match (content_type, answer.get("type")) {
        (Some(content_type), _) => content_type,
        (None, Some(_)) => "",
        (None, None) => "text/plain; version=0.0.4",
    };
    let fallback = match case["config"]["fallback_scrape_protocol"].as_str() {
        Some("PrometheusProto") => Some(Format::Protobuf),
        Some(name) if name.starts_with("OpenMetrics") => Some(Format::OpenMetrics),
        Some(_) => Some(Format::Text),
        None => None,
    };
    let selected = Format::select(content_type, fallback).ok()?;
    (selected.format != Format::Protobuf).then_some(selected.format)
}

#[test]
fn scripted_bodies_have_the_recorded_verdict() {
    let text = golden::text("scrape-behaviour", "cases.json").replace("\\udc", "\\ue0");
    let recording: Value = serde_json::from_str(&text).expect("valid JSON");
    let (mut good, mut bad) = (0, 0);
    for case in recording["cases"].as_array().expect("cases are a list") {
        let name = case["case"].as_str().expect("a case has a name");
        let targets = case["targets"].as_object().expect("targets are an object");
        let answers = case["answers"].as_object().expect("answers are an object");
        if targets.len() != 1 || answers.len() != 1 || case["loop"] == true {
            continue;
        }
        let verdicts = targets.values().next().and_then(Value::as_array).expect("a list");
        let answers = answers.values().next().and_then(Value::as_array).expect("a list");
        for (answer, verdict) in answers.iter().zip(verdicts) {
            let keys = answer.as_object().expect("an answer is an object");
            if !keys.keys().all(|key| PLAIN_ANSWER.contains(&key.as_str())) {
                continue;
            }
            let body = body_bytes(answer["body"].as_str().unwrap_or_default());
            let has_places = body.windows(2).any(|two| two == b"<<");
            let Some(format) = format_of(case, answer).filter(|_| !has_places) else { continue };
            // The scraper takes an empty body for a complete one.
            if body.is_empty() {
                continue;
            }
            let message = verdict[1].as_str().expect("an error is a string");
            let parsed = parse(&body, format);
            assert_eq!(parsed.is_err(), is_parse_error(message), "{name}: {message}: {parsed:?}");
            good += usize::from(parsed.is_ok());
            bad += usize::from(parsed.is_err());
        }
    }
    assert_eq!((good, bad), (515, 46));
}
