//! Recorded scrapes of Prometheus 3.14 that need a network or a process: redirects, connections
//! that the target closes, and a kill. The unit tests of `scrape/` play all others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::dir;
use crate::support::golden;
use crate::support::launch::{Launch, Server};
use crate::support::samples::LabelSet;
use crate::support::scrapes::{JobScrapes, STALE, difference, series_text, value_text};
use crate::support::scripted::{Asked, Reply, Scripted, TEXT};
use crate::support::ticks::repeat_undisturbed;
use crate::support::wait::wait_until;

/// Cases that need a network. Names that end with `*` are prefixes.
const CASES: [&str; 3] = ["redirect*", "closed-at-once", "reset"];

/// Number of the cases.
const CASE_COUNT: usize = 9;

/// Number of their failed scrapes.
const ERROR_COUNT: usize = 5;

/// Port of the recorded target.
const RECORDED_PORT: &str = "18180";

/// Header with the name of the scraper.
const USER_AGENT: &str = "user-agent";

/// Reads a file of the recordings.
fn recordings(name: &str) -> Value {
    let text = golden::text("scrape-behaviour", &format!("{name}.json"));
    serde_json::from_str(&text).expect("the recordings are JSON")
}

fn is_selected(case: &str) -> bool {
    CASES.iter().any(|name| match name.strip_suffix('*') {
        Some(prefix) => case.starts_with(prefix),
        None => case == *name,
    })
}

/// Replaces the port of the recorded target.
fn at_port(json: &Value, port: u16) -> Value {
    let text = json.to_string().replace(RECORDED_PORT, &port.to_string());
    serde_json::from_str(&text).expect("JSON with another number")
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_else(|| panic!("no text {key} in {json}"))
}

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().unwrap_or_else(|| panic!("no list {key} in {json}"))
}

fn item(json: &Value, index: usize) -> &str {
    json[index].as_str().unwrap_or_else(|| panic!("no text {index} in {json}"))
}

/// Returns the reply of a recorded answer.
fn reply(answer: &Value) -> Reply {
    if answer["drop"] == true {
        return Reply::none();
    }
    if answer["reset"] == true {
        return Reply::Reset;
    }
    let status = match (answer["status"].as_u64(), answer["reason"].as_str()) {
        (None, None) => "200 OK",
        (Some(302), Some("Found")) => "302 Found",
        (Some(303), Some("See Other")) => "303 See Other",
        (Some(307), Some("T")) => "307 T",
        (Some(308), Some("P")) => "308 P",
        _ => panic!("another status: {answer}"),
    };
    let mut headers = vec![("Content-Type", TEXT.to_owned())];
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        assert_eq!(name, "Location");
        headers.push(("Location", value.as_str().expect("text").to_owned()));
    }
    let body = answer["body"].as_str().unwrap_or_default();
    Reply::Whole { status, headers, body: body.as_bytes().to_vec() }
}

/// Answers by path and number of the request; then like a target that is broken.
fn answer(cases: &[Value], asked: &Asked) -> Reply {
    let case = cases.iter().find(|case| case["answers"].get(&asked.path).is_some());
    let Some(case) = case else { return Reply::status("404 Not Found") };
    let number = if case["loop"] == true { 0 } else { asked.number as usize - 1 };
    match case["answers"][&asked.path].get(number) {
        Some(answer) => reply(answer),
        None => Reply::status("503 Service Unavailable"),
    }
}

/// Returns the recorded series as lines of [`JobScrapes::lines`].
fn recorded_lines(recording: &Value) -> BTreeMap<String, String> {
    let series = list(recording, "series").iter().map(|series| {
        let labels: BTreeMap<String, String> =
            serde_json::from_value(series["labels"].clone()).expect("labels");
        let labels: LabelSet =
            labels.into_iter().filter(|(name, _)| name != "job" && name != "instance").collect();
        let samples = list(series, "samples").iter().map(|sample| match item(sample, 1) {
            "*" => sample[0].to_string(),
            "stale" => format!("{}={}", sample[0], value_text(STALE)),
            bits => {
                let bits = u64::from_str_radix(bits, 16).expect("bits");
                format!("{}={}", sample[0], value_text(bits))
            }
        });
        (series_text(&labels), samples.collect::<Vec<_>>().join(" "))
    });
    series.collect()
}

/// Returns the headers of a request without the name of the scraper.
fn headers(asked: &Asked) -> BTreeSet<(String, String)> {
    asked.headers.iter().filter(|(name, _)| name != USER_AGENT).cloned().collect()
}

/// Compares the first request of each path with the recorded one, or only the number of requests if
/// the recording has no headers.
fn compare_requests(case: &Value, asked: &[Asked]) -> String {
    let mut differences = String::new();
    for (path, recorded) in case["requests"].as_object().into_iter().flatten() {
        let recorded = recorded.as_array().expect("a list");
        let of_path: Vec<&Asked> = asked.iter().filter(|asked| asked.path == *path).collect();
        let Some(headers_of_first) = recorded[0].get("headers") else {
            if of_path.len() < recorded.len() {
                differences.push_str(&format!("  {} requests of {path}\n", of_path.len()));
            }
            continue;
        };
        let expected: BTreeSet<(String, String)> = headers_of_first
            .as_array()
            .expect("a list")
            .iter()
            .map(|pair| (item(pair, 0).to_ascii_lowercase(), item(pair, 1).to_owned()))
            .filter(|(name, _)| name != USER_AGENT)
            .collect();
        let found = of_path.first().map(|first| headers(first)).unwrap_or_default();
        if found != expected {
            differences.push_str(&format!("  {path}\n    {found:?}\n    not {expected:?}\n"));
        }
    }
    differences
}

/// Returns the recorded errors of failed scrapes. The error of a redirect loop has the whole URL in
/// narthex, and the header `Location` as it came in Prometheus.
fn recorded_errors(case: &Value, address: &str) -> Vec<String> {
    let states = case["targets"].as_object().expect("targets").values().next().expect("a target");
    let errors = states.as_array().expect("a list").iter().map(|state| item(state, 1));
    let errors = errors.filter(|error| !error.is_empty());
    errors.map(|error| error.replace("Get \"/", &format!("Get \"http://{address}/"))).collect()
}

/// Returns the errors of a job in the order of the scrapes.
fn logged_errors(file: &Path) -> Vec<String> {
    let lines = std::fs::read_to_string(file).unwrap_or_default();
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    lines.map(|line: Value| text(&line, "msg").to_owned()).collect()
}

#[test]
fn recorded_network_exchanges_are_stored_as_in_prometheus() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let cases: Arc<Mutex<Vec<Value>>> = Arc::default();
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let (answers, seen) = (Arc::clone(&cases), Arc::clone(&asked));
    let target = Scripted::start_keeping_open(move |asked| {
        let reply = answer(&answers.lock().expect("no panic"), asked);
        seen.lock().expect("no panic").push(asked.clone());
        reply
    });
    let recorded = recordings("cases");
    let selected = list(&recorded, "cases").iter().filter(|case| is_selected(text(case, "case")));
    let selected: Vec<Value> = selected.map(|case| at_port(case, target.port())).collect();
    assert_eq!(selected.len(), CASE_COUNT);
    assert!(selected.iter().all(|case| case["group"] == "default"));
    *cases.lock().expect("no panic") = selected.clone();
    let failures = |case: &Value| temp_dir.path().join(format!("{}.log", text(case, "case")));
    let jobs = selected.iter().map(|case| {
        let mut job = case["config"].clone();
        job["scrape_failure_log_file"] = json!(failures(case));
        job
    });
    let jobs: Vec<Value> = jobs.collect();
    let config = json!({
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "scrape_configs": jobs,
    });
    let server = Launch::narthex(&data).config(&data, &config.to_string()).start();
    let count = |case: &Value| case["scrapes"].as_u64().expect("a number") as usize;
    let mut stored = BTreeMap::new();
    wait_until("all scrapes", || {
        let samples = server.remote().read_all();
        stored = selected
            .iter()
            .map(|case| {
                (text(case, "case").to_owned(), JobScrapes::of(&samples, text(case, "case")))
            })
            .collect();
        // Recorded request lines include those of the scrape after the last one.
        selected.iter().all(|case| {
            let more = usize::from(case["requests"].is_object());
            stored[text(case, "case")].times.len() >= count(case) + more
        })
    });
    server.stop();
    let (mut differences, mut error_count) = (String::new(), 0);
    let asked = asked.lock().expect("no panic");
    for case in &selected {
        let name = text(case, "case");
        let found = stored.remove(name).expect("a case").first(count(case)).lines();
        let recorded = recorded_lines(case);
        let mut different = difference(("narthex", &found), ("recorded", &recorded));
        different.push_str(&compare_requests(case, &asked));
        let errors = recorded_errors(case, &target.address());
        error_count += errors.len();
        let mut logged = logged_errors(&failures(case));
        // Scrapes after the recorded ones fail, too.
        logged.truncate(errors.len());
        if logged != errors {
            different.push_str(&format!("  {logged:?}\n    not {errors:?}\n"));
        }
        if !different.is_empty() {
            differences.push_str(&format!("{name}:\n{different}"));
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(error_count, ERROR_COUNT);
}

/// Kills the server after the second scrape. A disturbance is a scrape that begins between the
/// storage of the second one and the kill.
fn run_kill(story: &Value) -> bool {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let name = text(story, "story");
    let target = Scripted::start(|asked| Reply::text(format!("a {0}\nb {0}\n", asked.number)));
    let mut job = story["config"].clone();
    job["static_configs"][0]["targets"][0] = json!(target.address());
    let config = json!({
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "scrape_configs": [job],
    });
    let launch = || Launch::narthex(&data).config(&data, &config.to_string()).start();
    let scrapes = list(story, "scrape_times").len();
    let kill_at = story["steps"][0][0].as_u64().expect("a number of requests");
    let server = launch();
    let stored = |server: &Server| JobScrapes::of(&server.remote().read_all(), name);
    wait_until("scrapes before the kill", || stored(&server).times.len() as u64 >= kill_at);
    server.kill();
    if target.requests(&format!("/{name}")) != kill_at {
        return false;
    }
    let server = launch();
    wait_until("scrapes after the kill", || stored(&server).times.len() >= scrapes);
    let found = stored(&server).first(scrapes).lines();
    let different = difference(("narthex", &found), ("recorded", &recorded_lines(story)));
    assert!(different.is_empty(), "{different}");
    server.stop();
    true
}

#[test]
fn recorded_kill_leaves_no_markers() {
    let recorded = recordings("stories");
    let mut stories = list(&recorded, "stories").iter();
    let story = stories.find(|story| story["story"] == "restart-kill").expect("a story");
    repeat_undisturbed(|| run_kill(story));
}
