//! Recorded bodies of programs, and bodies made by hand: each yields the samples, histograms,
//! exemplars and metadata that Prometheus 3.14 made of it (`tests/golden/scrape`).
//!
//! The jobs are those of the recorded configuration. Each scrapes its two bodies under their
//! Content-Type and then errors, at the recorded times. All jobs share a database, as they did in
//! the recording.

use crate::config::units::parse_duration;
use crate::ingest::reject_reason::RejectReason;
use crate::scrape::pool::job::JobSettings;
use crate::scrape::tests::recordings;
use crate::scrape::tests::script::Script;
use crate::scrape::tests::stored::{
    StoredSeries, exemplars, expected_exemplars, expected_metadata, expected_text, float_text,
    label_text, metadata_text, series_text, stored,
};
use crate::scrape::unit::settings::StartTimestamps;
use crate::scrape::unit::tests::fixture::TestDb;
use crate::scrape::unit::tests::golden::{GoldenTarget, NoExchange, targets};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Label `instance` of all targets.
const INSTANCE: &str = "127.0.0.1:29583";
/// Number of bodies of each job.
const BODIES: usize = 2;
/// Error of every further scrape.
const NO_BODY: &str = "server returned HTTP status 500 Internal Server Error";

/// Jobs whose bodies are malformed. Prometheus's errors name no place: `unit "bytes" not a suffix
/// of metric "golden_made"` and `unsupported character in float while parsing:
/// "golden_made_untyped 0x1p-3"`.
const MALFORMED: [(&str, &str); 2] = [
    (
        "bad-openmetrics1",
        "unit \"bytes\" is not a suffix of metric \"golden_made\" at line 2, column 20 near \
         \"# UNIT golden_made bytes\"",
    ),
    (
        "bad-text",
        "unsupported character in float at line 13, column 21 near \"golden_made_untyped 0x1p-3\"",
    ),
];

/// Rejected samples of each body: a series that occurs twice, and a timestamp a year before the
/// others. Prometheus warned of the same numbers.
const REJECTED: [(&str, &[(RejectReason, u64)]); 4] = [
    ("made-openmetrics1", &[(RejectReason::OutOfBounds, 1)]),
    ("made-openmetrics1-nhcb", &[(RejectReason::OutOfBounds, 1)]),
    ("made-text", &[(RejectReason::OutOfBounds, 1), (RejectReason::DuplicateTimestamp, 1)]),
    ("made-text-nhcb", &[(RejectReason::OutOfBounds, 1), (RejectReason::DuplicateTimestamp, 1)]),
];

/// Difference from Prometheus: number of the series of a job that only malformed bodies named, and
/// that Prometheus ends after them with a stale marker. narthex writes nothing, since nothing of
/// them was stored (`Reason::NeverStored` of the scripted cases).
const ONLY_MARKERS: (&str, usize) = ("bad-text", 7);

/// Families of the jobs, and their names in the database. A scrape stores the metadata of series,
/// and the database guesses the names of their families: it leaves the suffixes of counters and
/// info metrics, and takes `golden_made_sum{quantile="0.5"}` for the sum of another summary.
const GUESSED_FAMILIES: [(&str, &[&str]); 3] = [
    ("golden_made_bytes counter", &["golden_made_bytes_total counter"]),
    ("golden_made info", &["golden_made_info info"]),
    ("golden_made_sum summary", &["golden_made_sum summary", "golden_made summary"]),
];

/// Job of the recorded configuration.
struct RecordedJob {
    name: String,
    path: String,
    target: GoldenTarget,
    /// Times of its scrapes, ms.
    times: Vec<i64>,
}

/// Returns the configuration file that the recording describes.
fn config_text() -> String {
    let notes = String::from_utf8(recordings::bytes("scrape/flags.txt")).unwrap();
    let (_, rest) = notes.split_once("Configuration file:\n").unwrap();
    let lines = rest.lines().take_while(|line| !line.is_empty());
    lines.map(|line| format!("{}\n", line.strip_prefix("  ").unwrap())).collect()
}

fn recorded_jobs(expected: &StoredSeries) -> Vec<RecordedJob> {
    let jobs = recordings::scrape_jobs(&config_text(), StartTimestamps::Ignore).unwrap();
    let jobs = jobs.into_iter().map(|job| {
        assert_eq!(job.interval, parse_duration("2s").unwrap(), "{}", job.name);
        let (name, path) = (job.name.clone(), job.metrics_path.clone());
        let job = JobSettings::new(Arc::new(job), Arc::new(NoExchange), StartTimestamps::Ignore);
        let (mut targets, dropped) = targets(&job);
        assert_eq!((targets.len(), dropped), (1, 0), "{name}");
        let up = &expected[&series_text("up", INSTANCE, &name)];
        let times = up.iter().map(|(t, _)| *t).collect();
        RecordedJob { name, path, target: targets.remove(0), times }
    });
    jobs.collect()
}

/// Returns the responses of all targets: `/SOURCE/FORMAT/JOB` has the bodies
/// `SOURCE.FORMAT.NUMBER`.
fn script(jobs: &[RecordedJob]) -> Script {
    let content_types: Value =
        serde_json::from_slice(&recordings::bytes("scrape/bodies.json")).unwrap();
    let mut used = BTreeSet::new();
    let mut answers = BTreeMap::new();
    for job in jobs {
        let mut parts = job.path.split('/').skip(1);
        let body = format!("{}.{}", parts.next().unwrap(), parts.next().unwrap());
        let mut of_job = Vec::new();
        for number in 1..=BODIES {
            let body = format!("{body}.{number}");
            let bytes = recordings::bytes(&format!("scrape/{body}.body.gz"));
            assert_eq!(bytes.len() as u64, content_types[&body]["bytes"].as_u64().unwrap());
            let content_type = content_types[&body]["content_type"].as_str().unwrap();
            of_job.push(json!({"body_b64": STANDARD.encode(bytes), "type": content_type}));
            used.insert(body);
        }
        let error = json!({"status": 500, "reason": "Internal Server Error"});
        of_job.resize(job.times.len(), error);
        answers.insert(job.path.clone(), of_job);
    }
    let all = content_types.as_object().unwrap().keys().cloned();
    assert_eq!(used, all.collect(), "every body is scraped");
    Script::new(&json!({ "answers": answers }))
}

/// Scrapes all jobs in the order of the recording.
fn scrape(jobs: &mut [RecordedJob], db: &TestDb) {
    let script = script(jobs);
    let mut scrapes = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        scrapes.extend(job.times.iter().zip(1..).map(|(t, number)| (*t, index, number)));
    }
    scrapes.sort_unstable();
    for (t, index, number) in scrapes {
        let RecordedJob { name, target, times, .. } = &mut jobs[index];
        let exchange = script.at(number, t, times[0]);
        let report = target.target.scrape(db, &exchange, &target.request, t);
        let what = format!("{name}, scrape {number}");
        let malformed = MALFORMED.iter().find(|(job, _)| job == name).map(|(_, error)| *error);
        let expected = if number > BODIES { Some(NO_BODY) } else { malformed };
        assert_eq!(report.error.map(|error| error.to_string()).as_deref(), expected, "{what}");
        assert!(report.storage_error.is_none(), "{what}: {:?}", report.storage_error);
        let rejected = REJECTED.iter().find(|(job, _)| job == name && number <= BODIES);
        let rejections = &report.outcome.rejections;
        let found = RejectReason::ALL.map(|reason| (reason, rejections.count(reason)));
        let found: Vec<_> = found.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(found, rejected.map_or(&[][..], |(_, list)| list), "{what}: {rejections:?}");
    }
}

/// Returns the samples that Prometheus read back. Durations are not compared.
fn expected_series() -> StoredSeries {
    let text = String::from_utf8(recordings::bytes("scrape/expected.txt.gz")).unwrap();
    let mut all = StoredSeries::new();
    let mut labels = String::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(given) = line.get("labels") {
            labels = label_text(given);
            all.insert(labels.clone(), Vec::new());
            continue;
        }
        let value = match line["v"].as_str() {
            _ if is_duration(&labels) => "*".to_owned(),
            Some(bits) => float_text(u64::from_str_radix(bits, 16).unwrap()),
            None => expected_text(&line["h"]),
        };
        all.get_mut(&labels).unwrap().push((line["t"].as_i64().unwrap(), value));
    }
    all
}

fn is_duration(labels: &str) -> bool {
    labels.starts_with("{__name__=\"scrape_duration_seconds\"")
}

fn is_marker((_, value): &(i64, String)) -> bool {
    value == "stale"
}

/// Removes the series of [`ONLY_MARKERS`].
fn remove_only_markers(expected: &mut StoredSeries) {
    let (job, count) = ONLY_MARKERS;
    let before = expected.len();
    let job = format!("job=\"{job}\"");
    expected.retain(|labels, samples| !labels.contains(&job) || !samples.iter().all(is_marker));
    assert_eq!(before - expected.len(), count);
}

fn assert_stored(db: &TestDb, expected: &StoredSeries) {
    let mut found = stored(&db.handle);
    for (labels, samples) in &mut found {
        if is_duration(labels) {
            samples.iter_mut().for_each(|(_, value)| *value = "*".to_owned());
        }
    }
    let labels: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let different = labels.into_iter().filter(|labels| found.get(*labels) != expected.get(*labels));
    let different: Vec<String> = different
        .map(|labels| format!("{labels}: {:?} not {:?}", found.get(labels), expected.get(labels)))
        .collect();
    assert!(different.is_empty(), "{}:\n{}", different.len(), different.join("\n"));
}

fn seconds_to_ms(seconds: &Value) -> i64 {
    (seconds.as_f64().unwrap() * 1000.0).round() as i64
}

/// Compares the metadata that the API shows for each job, and those of the database.
fn assert_metadata(jobs: &[RecordedJob], db: &TestDb) {
    let recorded: Value =
        serde_json::from_slice(&recordings::bytes("scrape/metadata.json.gz")).unwrap();
    assert_eq!(recorded.as_object().unwrap().len(), jobs.len());
    let mut all = BTreeSet::new();
    for RecordedJob { name, target, .. } in jobs {
        let expected = expected_metadata(recorded[name].as_array().unwrap());
        assert_eq!(BTreeSet::from_iter(target.metadata()), expected, "{name}");
        if MALFORMED.iter().all(|(malformed, _)| malformed != name) {
            all.extend(expected);
        }
    }
    let stored = crate::tsdb::db::list_all(db.handle.ready().unwrap().head());
    let is_report = |family: &str| family == "up" || family.starts_with("scrape_");
    let stored = stored.iter().filter(|(family, _)| !is_report(family));
    let stored: BTreeSet<String> = stored
        .flat_map(|(family, list)| list.iter().map(|metadata| metadata_text(family, metadata)))
        .collect();
    for (family, guesses) in GUESSED_FAMILIES {
        let known = all.iter().find_map(|text| text.strip_prefix(family)).unwrap().to_owned();
        all.remove(&format!("{family}{known}"));
        all.extend(guesses.iter().map(|guess| format!("{guess}{known}")));
    }
    assert_eq!(stored, all);
}

#[test]
fn recorded_bodies_are_stored_as_prometheus_did() {
    let mut expected = expected_series();
    let db = TestDb::open(0);
    let mut jobs = recorded_jobs(&expected);
    assert_eq!(jobs.len(), 15);
    scrape(&mut jobs, &db);
    remove_only_markers(&mut expected);
    assert_eq!(expected.len(), 2445 - ONLY_MARKERS.1);
    let histograms = expected.values().flatten().filter(|(_, text)| text.starts_with("float="));
    assert_eq!(histograms.count(), 8 + 8 + 10 + 34 + 2 + 2);
    assert_stored(&db, &expected);
    let recorded: Value =
        serde_json::from_slice(&recordings::bytes("scrape/exemplars.json")).unwrap();
    let recorded = recorded["data"].as_array().unwrap();
    let expected = expected_exemplars(recorded, seconds_to_ms);
    assert_eq!(recorded.len(), 11);
    assert_eq!(exemplars(&db.handle), expected);
    assert_metadata(&jobs, &db);
}
