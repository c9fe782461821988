//! Exposition parsers against scrapes of Prometheus 3.14.0: bodies of `golden/scrape` and scripted
//! responses of `golden/scrape-behaviour`.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::golden;
use narthex::exposition::entry::{EntryKind, EntryValue};
use narthex::exposition::format::Format;
use narthex::exposition::label_buffer::LabelBuffer;
use narthex::exposition::open::open_parser;
use narthex::exposition::parse_error::ParseError;
use narthex::exposition::parser::ParserOptions;
use serde_json::Value;

/// Labels of a series without those of its target.
type Series = BTreeMap<String, String>;

/// Sample of a body.
#[derive(Debug, PartialEq)]
struct Sample {
    series: Series,
    bits: u64,
    timestamp: Option<i64>,
}

/// Bits of the stale marker.
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// Labels of a target, which rename labels of the body.
const TARGET_LABELS: [&str; 2] = ["instance", "job"];

/// Parses a body as a job with default settings does. Of the same series, the first sample counts.
fn parse(body: &[u8], format: Format) -> Result<Vec<Sample>, ParseError> {
    let mut parser = open_parser(body, format, ParserOptions::default());
    let mut samples: Vec<Sample> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut labels = LabelBuffer::new();
    while let Some(kind) = parser.next_entry()? {
        if kind == EntryKind::Metadata {
            continue;
        }
        parser.labels(&mut labels);
        let pairs = labels.iter().filter(|(_, value)| !value.is_empty());
        let series: Series = pairs
            .map(|(name, value)| {
                let prefix = if TARGET_LABELS.contains(&name) { "exported_" } else { "" };
                (format!("{prefix}{name}"), value.to_owned())
            })
            .collect();
        let entry = parser.series();
        let EntryValue::Float(value) = entry.value else { panic!("text has no histograms") };
        if seen.insert((series.clone(), entry.timestamp)) {
            samples.push(Sample { series, bits: value.to_bits(), timestamp: entry.timestamp });
        }
    }
    Ok(samples)
}

/// Samples that Prometheus stored for a job, without stale markers.
fn stored_samples(job: &str) -> BTreeMap<Series, Vec<(i64, u64)>> {
    let mut stored: BTreeMap<Series, Vec<(i64, u64)>> = BTreeMap::new();
    let job = ("job".to_owned(), job.to_owned());
    for (labels, t, bits) in golden::expected_floats("scrape").iter() {
        let is_target_label = |name: &str| TARGET_LABELS.contains(&name);
        if labels.contains(&job) && bits != STALE {
            let labels = labels.iter().filter(|(name, _)| !is_target_label(name));
            stored.entry(labels.cloned().collect()).or_default().push((t, bits));
        }
    }
    assert!(!stored.is_empty(), "{job:?} has no series");
    stored
}

fn is_own_series(name: &str) -> bool {
    name == "up" || name.starts_with("scrape_")
}

#[test]
fn golden_bodies_yield_the_stored_samples() {
    for (source, form, format, missing) in [
        ("node_exporter", "text", Format::Text, 0),
        ("prometheus3", "text", Format::Text, 0),
        // Samples too far in the future, which storage rejects in each of the two scrapes.
        ("made", "text", Format::Text, 2),
        ("made", "openmetrics1", Format::OpenMetrics, 2),
    ] {
        let mut stored = stored_samples(&format!("{source}-{form}"));
        stored.retain(|series, _| !is_own_series(&series["__name__"]));
        let mut found: BTreeMap<Series, Vec<Sample>> = BTreeMap::new();
        for scrape in 1..=2 {
            let body = golden::text("scrape", &format!("{source}.{form}.{scrape}.body"));
            for sample in parse(body.as_bytes(), format).expect("a valid body") {
                found.entry(sample.series.clone()).or_default().push(sample);
            }
        }
        let mut rejected = 0;
        for (series, samples) in &found {
            let points = stored.remove(series).unwrap_or_default();
            let mut scraped: Vec<u64> = Vec::new();
            for sample in samples {
                match sample.timestamp {
                    Some(t) if !points.contains(&(t, sample.bits)) => rejected += 1,
                    Some(_) => {}
                    None => scraped.push(sample.bits),
                }
            }
            if !scraped.is_empty() {
                let bits: Vec<u64> = points.iter().map(|(_, bits)| *bits).collect();
                assert_eq!(bits, scraped, "{source} {form} {series:?}");
            }
        }
        assert!(stored.is_empty(), "{source} {form} lacks {stored:?}");
        assert_eq!(rejected, missing, "{source} {form}");
    }
}

#[test]
fn bad_golden_bodies_are_errors() {
    for (name, format, message) in [
        (
            "bad.text.1.body",
            Format::Text,
            "unsupported character in float at line 13, column 21 near \"golden_made_untyped 0x1p-3\"",
        ),
        (
            "bad.openmetrics1.1.body",
            Format::OpenMetrics,
            "unit \"bytes\" is not a suffix of metric \"golden_made\" at line 2, column 20 near \
             \"# UNIT golden_made bytes\"",
        ),
    ] {
        let error = parse(golden::text("scrape", name).as_bytes(), format).expect_err(name);
        assert_eq!(error.to_string(), message);
    }
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

/// Keys of jobs that change neither labels nor values.
const PLAIN_KEYS: [&str; 5] =
    ["job_name", "metrics_path", "static_configs", "fallback_scrape_protocol", "scrape_protocols"];
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

/// Float samples that Prometheus stored at the time of a scrape.
fn stored_at(case: &Value, scrape: usize) -> BTreeMap<Series, u64> {
    let mut stored = BTreeMap::new();
    for series in case["series"].as_array().expect("series are a list") {
        let labels = series["labels"].as_object().expect("labels are an object");
        let labels: Series = labels
            .iter()
            .filter(|(name, _)| !TARGET_LABELS.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        let samples = series["samples"].as_array().expect("samples are a list");
        let sample = samples.iter().find(|sample| sample[0].as_u64() == Some(scrape as u64));
        let bits = sample.and_then(|sample| u64::from_str_radix(sample[1].as_str()?, 16).ok());
        if let Some(bits) = bits.filter(|_| !is_own_series(&labels["__name__"])) {
            stored.insert(labels, bits);
        }
    }
    stored
}

#[test]
fn scripted_bodies_have_the_recorded_verdict_and_values() {
    let text = golden::text("scrape-behaviour", "cases.json").replace("\\udc", "\\ue0");
    let recording: Value = serde_json::from_str(&text).expect("valid JSON");
    let (mut good, mut bad, mut compared) = (0, 0, 0);
    for case in recording["cases"].as_array().expect("cases are a list") {
        let name = case["case"].as_str().expect("a case has a name");
        let targets = case["targets"].as_object().expect("targets are an object");
        let answers = case["answers"].as_object().expect("answers are an object");
        if targets.len() != 1 || answers.len() != 1 || case["loop"] == true {
            continue;
        }
        let verdicts = targets.values().next().and_then(Value::as_array).expect("a list");
        let answers = answers.values().next().and_then(Value::as_array).expect("a list");
        let config = case["config"].as_object().expect("a job is an object");
        let is_plain = config.keys().all(|key| PLAIN_KEYS.contains(&key.as_str()))
            && config["static_configs"][0].get("labels").is_none()
            && case["group"] == "default";
        for (number, (answer, verdict)) in answers.iter().zip(verdicts).enumerate() {
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
            if let (Ok(samples), true, "") = (parsed, is_plain, message) {
                if samples.iter().any(|sample| sample.timestamp.is_some()) {
                    continue;
                }
                let samples = samples.into_iter();
                let found: BTreeMap<Series, u64> = samples
                    .filter(|sample| !is_own_series(&sample.series["__name__"]))
                    // The recording has no negative zeros.
                    .map(|sample| {
                        (sample.series, if sample.bits == 1 << 63 { 0 } else { sample.bits })
                    })
                    .collect();
                assert_eq!(found, stored_at(case, number + 1), "{name}, scrape {}", number + 1);
                compared += found.len();
            }
        }
    }
    assert_eq!((good, bad, compared), (515, 46, 465));
}
