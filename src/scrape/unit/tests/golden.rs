//! Recorded scrapes of Prometheus 3.14: equal series, markers, health, requests, exemplars and
//! metadata.
//!
//! The jobs are read as a configuration, and their targets are relabeled. The answers of a case are
//! then fed into the unit by the number of the scrape, without a network. Errors are compared by
//! their presence: Prometheus's words are not narthex's.

use crate::model::sample::{Sample, SampleValue};
use crate::scrape::pool::job::{JobSettings, TargetSet, TargetSpec};
use crate::scrape::request::fetch::{Exchange, ExchangeFuture, ScrapeRequest};
use crate::scrape::tests::recordings;
use crate::scrape::tests::script::{Script, resolve_time};
use crate::scrape::tests::stored::{
    StoredSeries, exemplars, expected_exemplars, expected_metadata, expected_text, label_text,
    metadata_text, stored,
};
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::settings::StartTimestamps;
use crate::scrape::unit::tests::differences::{self, DIFFERENCES, Healths};
use crate::scrape::unit::tests::fixture::{TestDb, TestTarget, labels, request_ms, scrape_ms};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Cases that need a network, with the reason. `tests/server/scrape_golden.rs` plays them.
const NETWORK: &[(&str, &str)] = &[
    ("redirect", "the client follows it"),
    ("redirect-other-host", "the client follows it"),
    ("redirect-same-host", "the client follows it"),
    ("redirect-303", "the client follows it"),
    ("closed-at-once", "the client sends the request again"),
    ("reset", "the client sends the request again"),
];

/// Case with two targets that write the same series, so that chance decides on its samples.
const EQUAL_TARGETS: &str = "same-labels-two-targets";
/// Series that moves the time of the head, as the series of the other recorded cases did.
const OTHER_SERIES: &str = "other";

/// Exchange of jobs whose requests are sent by number.
pub(super) struct NoExchange;

impl Exchange for NoExchange {
    fn send(&self, _request: ScrapeRequest) -> ExchangeFuture {
        Box::pin(std::future::ready(Err("no exchange".into())))
    }
}

/// Target of a recorded job.
pub(super) struct GoldenTarget {
    pub(super) request: ScrapeRequest,
    pub(super) target: TestTarget,
}

impl GoldenTarget {
    fn new(job: &JobSettings, spec: &TargetSpec) -> Self {
        let request = ScrapeRequest {
            url: Arc::clone(&spec.url),
            unix_socket: spec.unix_socket.clone(),
            accept: Arc::clone(&job.accept),
            accept_encoding: if job.enable_compression { "gzip" } else { "identity" },
            timeout: spec.timeout,
        };
        let mut target = TestTarget::new(job.unit_settings(spec));
        if job.body_size_limit > 0 {
            target.body_size = job.body_size_limit as usize;
        }
        Self { request, target }
    }

    /// Returns the texts of the metadata that the API shows.
    pub(super) fn metadata(&self) -> Vec<String> {
        let metadata = self.target.store.metadata();
        let metadata = metadata.lock();
        metadata.iter().map(|(family, metadata)| metadata_text(family, metadata)).collect()
    }
}

/// Returns the targets of a job by URL and labels, and the number of dropped ones.
pub(super) fn targets(job: &JobSettings) -> (Vec<GoldenTarget>, usize) {
    let groups = recordings::static_groups(job);
    let set = TargetSet::resolve(&job.targets, &groups, job.kept_dropped());
    let mut specs: Vec<TargetSpec> = set.active;
    specs.sort_by(|a, b| a.url.cmp(&b.url).then_with(|| a.labels.cmp(&b.labels)));
    let (count, limit) = (specs.len(), job.target_limit);
    let mut targets: Vec<GoldenTarget> =
        specs.iter().map(|spec| GoldenTarget::new(job, spec)).collect();
    if limit > 0 && count as u64 > limit {
        for target in &mut targets {
            target.target.forced_error = Some(ScrapeError::TargetLimit { targets: count, limit });
        }
    }
    (targets, set.dropped_count)
}

/// Runs a case. Returns the differences from the recording.
fn run(case: &Value, group: &Value) -> Vec<String> {
    let window = group["storage"]["tsdb"]["out_of_order_time_window"].as_str();
    let window = window.map(|window| crate::config::units::parse_duration(window).unwrap());
    let db = TestDb::open(window.unwrap_or(Duration::ZERO).as_millis() as i64);
    set_head_time(&db);
    let script = Script::new(case);
    let (name, group_name) = (case["case"].as_str().unwrap(), case["group"].as_str().unwrap());
    let start_timestamps = match group_name {
        "ct-zero" => StartTimestamps::StoreZero,
        "st-storage" | "st-synthesis" => StartTimestamps::Store,
        _ => StartTimestamps::Ignore,
    };
    let config = &case["config"];
    let job = recordings::job(config, &group["global"], start_timestamps, Arc::new(NoExchange));
    let (mut targets, dropped) = targets(&job.unwrap());
    let mut expected = expected_series(case);
    let mut healths = expected_healths(case, &targets);
    let mut found = differences::apply(name, group_name, &mut expected, &mut healths[0]);
    for number in 1..=case["scrapes"].as_u64().unwrap() as usize {
        for (target, healths) in targets.iter_mut().zip(&healths) {
            let exchange = script.at(number, request_ms(number), request_ms(1));
            let report = target.target.scrape(&db, &exchange, &target.request, scrape_ms(number));
            let health = if report.error.is_none() { "up" } else { "down" };
            let error = report.error.map(|error| error.to_string()).unwrap_or_default();
            assert!(report.storage_error.is_none(), "{:?}", report.storage_error);
            if let Some(expected) = healths.get(&number).filter(|expected| *expected != health) {
                found.push(format!("scrape {number}: {health} ({error}), not {expected}"));
            }
        }
    }
    if let Some(recorded) = case["droppedTargets"].as_array() {
        let counts = case["droppedTargetCounts"].as_object().unwrap();
        let count = counts.values().next().and_then(Value::as_u64).unwrap_or(0);
        if (recorded.len() > dropped) || count != dropped as u64 {
            found.push(format!("dropped: {dropped} not {count}"));
        }
    }
    compare_requests(&targets, case, &mut found);
    compare_series(&db, case, expected, &mut found);
    compare_exemplars(&db, case, &mut found);
    compare_metadata(&targets, case, &mut found);
    found
}

/// Stores a sample of another series shortly before the first scrape.
fn set_head_time(db: &TestDb) {
    let sample = Sample::new(scrape_ms(1) - 1, SampleValue::Float(1.0));
    let mut appender = db.handle.ready().unwrap().appender().unwrap();
    let labels = labels(&[("__name__", OTHER_SERIES)]);
    appender
        .append_or_create(&labels, std::iter::once(sample), |sample, rejection| {
            panic!("{sample:?}: {rejection:?}")
        })
        .unwrap();
    appender.commit().unwrap();
}

/// Returns the recorded health of each target; there is at least one entry.
fn expected_healths(case: &Value, targets: &[GoldenTarget]) -> Vec<Healths> {
    let states = case["targets"].as_object().unwrap();
    let urls: BTreeSet<&str> = targets.iter().map(|target| &*target.request.url).collect();
    assert_eq!(urls, states.keys().map(String::as_str).collect(), "{}", case["case"]);
    let scrapes = case["scrapes"].as_u64().unwrap() as usize;
    let of_target = |target: &GoldenTarget| match &states[&*target.request.url] {
        Value::Array(list) => {
            let known = list.iter().zip(1..).filter(|(state, _)| state.is_array());
            known.map(|(state, number)| (number, state[0].as_str().unwrap().to_owned())).collect()
        }
        // Chance decides on the rest of these states.
        states => {
            assert_eq!(states, "up at every scrape");
            (1..=scrapes).map(|number| (number, "up".to_owned())).collect()
        }
    };
    let mut healths: Vec<Healths> = targets.iter().map(of_target).collect();
    healths.resize_with(targets.len().max(1), Healths::new);
    healths
}

/// Returns the time of a recorded sample, ms.
fn time(when: &Value) -> i64 {
    if let Some(number) = when.as_u64() {
        return scrape_ms(number as usize);
    }
    let text = when.as_str().unwrap();
    if let Some(ms) = text.strip_prefix('=') {
        return ms.parse().unwrap();
    }
    let (number, token) = text.split_once(':').unwrap();
    let now = request_ms(number.parse().unwrap());
    resolve_time(token, now, request_ms(1)).unwrap().parse().unwrap()
}

/// Returns the text of a recorded value. Some are the time of a request in seconds.
fn recorded_text(value: &Value) -> String {
    let Some(token) = value.as_str().and_then(|text| text.strip_prefix("value of ")) else {
        return expected_text(value);
    };
    let seconds = resolve_time(&format!("{token}:s"), 0, request_ms(1)).unwrap();
    format!("{:016x}", seconds.parse::<f64>().unwrap().to_bits())
}

fn expected_series(case: &Value) -> StoredSeries {
    let series = case["series"].as_array().unwrap().iter().map(|series| {
        let samples = series["samples"].as_array().into_iter().flatten();
        let samples = samples.map(|pair| (time(&pair[0]), recorded_text(&pair[1])));
        let mut samples: Vec<_> = samples.collect();
        samples.sort_by_key(|(t, _)| *t);
        (label_text(&series["labels"]), samples)
    });
    series.collect()
}

/// Compares all series. `expected` has not all of them if the recording counts the others.
fn compare_series(
    db: &TestDb,
    case: &Value,
    expected: StoredSeries,
    differences: &mut Vec<String>,
) {
    let mut found = stored(&db.handle);
    found.remove(&labels(&[("__name__", OTHER_SERIES)]).to_string()).unwrap();
    let mut others: BTreeMap<Vec<(i64, String)>, u64> = BTreeMap::new();
    for entry in case["other_series"].as_array().into_iter().flatten() {
        let samples = entry["samples"].as_array().unwrap().iter();
        let samples = samples.map(|pair| (time(&pair[0]), recorded_text(&pair[1]))).collect();
        others.insert(samples, entry["series"].as_u64().unwrap());
    }
    let is_by_chance = case["case"] == EQUAL_TARGETS;
    let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    for name in names {
        let (found, expected) = (found.get(name), expected.get(name));
        if let (Some(found), None) = (found, expected)
            && let Some(count) = others.get_mut(found)
        {
            *count = count.saturating_sub(1);
            continue;
        }
        let is_equal = match (found, expected) {
            (Some(found), Some(expected)) => {
                is_by_chance
                    || (found.len() == expected.len()
                        && found.iter().zip(expected).all(|(one, other)| {
                            one.0 == other.0 && (one.1 == other.1 || other.1 == "*")
                        }))
            }
            _ => false,
        };
        if !is_equal {
            let relative = |samples: Option<&Vec<(i64, String)>>| -> Vec<String> {
                let samples = samples.into_iter().flatten();
                samples.map(|(t, v)| format!("{}:{v}", t - scrape_ms(1))).collect()
            };
            differences.push(format!("{name}: {:?} not {:?}", relative(found), relative(expected)));
        }
    }
    if others.values().any(|count| *count > 0) {
        differences.push(format!("missing series: {others:?}"));
    }
}

/// Compares the path and the headers that are not those of the HTTP client.
fn compare_requests(targets: &[GoldenTarget], case: &Value, differences: &mut Vec<String>) {
    let recorded = case["requests"].as_object().into_iter().flat_map(|requests| requests.values());
    for recorded in recorded.filter_map(|list| list.get(0)).filter(|first| first.is_object()) {
        let header = |name: &str| {
            let headers = recorded["headers"].as_array().unwrap();
            headers.iter().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str()).unwrap()
        };
        let line = recorded["line"].as_str().unwrap();
        let expected = (
            format!("http://{}{}", header("Host"), line.split(' ').nth(1).unwrap()),
            header("Accept"),
            header("Accept-Encoding"),
            header("X-Prometheus-Scrape-Timeout-Seconds"),
        );
        let found = targets.iter().map(|target| &target.request).any(|request| {
            let timeout = request.timeout_header();
            (request.url.to_string(), &*request.accept, request.accept_encoding, &*timeout)
                == expected
        });
        if !found {
            differences.push(format!("no request {expected:?}"));
        }
    }
}

fn compare_exemplars(db: &TestDb, case: &Value, differences: &mut Vec<String>) {
    let Some(recorded) = case["exemplars"].as_array() else { return };
    let (expected, found) = (expected_exemplars(recorded, time), exemplars(&db.handle));
    if found != expected {
        differences.push(format!("exemplars: {found:?} not {expected:?}"));
    }
}

fn compare_metadata(targets: &[GoldenTarget], case: &Value, differences: &mut Vec<String>) {
    let Some(recorded) = case["metadata"].as_array() else { return };
    let expected = expected_metadata(recorded);
    let found = targets.iter().flat_map(GoldenTarget::metadata).collect::<BTreeSet<_>>();
    if found != expected {
        differences.push(format!("metadata: {found:?} not {expected:?}"));
    }
}

#[test]
fn recorded_scrapes_are_stored_as_prometheus_does() {
    let recordings = recordings::read("cases");
    let only = std::env::var("NARTHEX_GOLDEN_CASE").ok();
    let cases = recordings["cases"].as_array().unwrap();
    let (mut compared, mut wrong, mut seen) = (0, Vec::new(), BTreeSet::new());
    for case in cases {
        let name = case["case"].as_str().unwrap();
        seen.insert(name);
        let is_network = NETWORK.iter().any(|(network, _)| *network == name);
        if is_network || only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        compared += 1;
        let found = run(case, &recordings["groups"][case["group"].as_str().unwrap()]);
        if !found.is_empty() {
            wrong.push(format!("{name}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(only.is_some() || compared + NETWORK.len() == 364, "only {compared} cases");
    let unknown = DIFFERENCES.iter().filter(|difference| !seen.contains(difference.case));
    assert_eq!(unknown.map(|difference| difference.case).collect::<Vec<_>>(), [""; 0]);
}
