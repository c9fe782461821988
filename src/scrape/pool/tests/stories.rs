//! Recorded stories of Prometheus 3.14: targets that go and come back, reloads, restarts.
//!
//! Targets have other offsets in their intervals than in the recordings. So the samples of a series
//! are compared in their order, and a stale marker also by its distance from the sample before.
//! Discovery waits up to 5 s in Prometheus; [`LATE_UPDATES`] repeats its delays where they matter.

use crate::model::labels::{Labels, LabelsBuilder};
use crate::scrape::pool::job::TargetSet;
use crate::scrape::pool::tests::bench::{Bench, START_MS};
use crate::scrape::request::fetch::{Exchange, ExchangeFuture, ScrapeRequest};
use crate::scrape::tests::recordings;
use crate::scrape::tests::script::Script;
use crate::scrape::tests::stored::{expected_text, series_text, stored};
use crate::scrape::unit::settings::StartTimestamps;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Interval of the recorded jobs.
const INTERVAL: Duration = Duration::from_secs(2);
/// Time between a request and a step that follows it.
const STEP_DELAY: Duration = Duration::from_millis(700);
/// Time for what a scrape stores, and for a marker of a target that is gone.
const SETTLING: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(10)];

/// Stories that need a process of their own. `tests/server/scrape_golden.rs` plays them.
const PROCESS: [&str; 1] = ["restart-kill"];

/// Time until the targets of a step, counted from 0, reach the scraper, in seconds.
const LATE_UPDATES: &[(&str, usize, u64)] = &[
    ("sd-gone-back-soon", 1, 9),
    ("sd-gone-timestamps", 0, 2),
    ("sd-gone-timestamps-tracked", 0, 2),
    ("sd-second-target", 0, 2),
    ("reload-native", 0, 2),
    ("reload-path-same-target", 0, 2),
    ("reload-relabel-adds-label", 0, 2),
    ("reload-static-empty", 0, 2),
];

/// Story whose recording leaves out that the target exposes only `a 3` after the restart.
const SERIES_GONE: &str = "restart-series-gone";

/// Differences from Prometheus, with the reason.
const DIFFERENCES: &[(&str, &str, Edit)] = &[
    ("reload-job-removed", "a removed job is a removed target", Edit::Marker(2)),
    ("reload-removed-during-slow-scrape", "a removed job is a removed target", Edit::Marker(2)),
    ("reload-job-removed-and-back", "a removed job is a removed target", Edit::Marker(2)),
    (
        "reload-sample-limit-too-small",
        "a failed scrape ends every series of the last good one",
        Edit::Samples("a", "1 2 stale+1"),
    ),
    ("sd-second-target", OFFSETS, Edit::Samples(r#"a{i="2"}"#, "5 stale+1")),
    ("sd-second-target", OFFSETS, Edit::Samples(r#"b{i="2"}"#, "5 stale+1")),
    ("sd-second-target", OFFSETS, Edit::Samples("a", "1 2 3 4 6 7 8 9")),
    ("sd-second-target", OFFSETS, Edit::Samples("b", "1 2 3 4 6 7 8 9")),
    ("reload-interval", KEPT, Edit::Samples(ADDED, "2 0 0 0 0 0 0")),
    ("reload-global-interval", KEPT, Edit::Samples(ADDED, "2 0 0 0 0 0")),
    ("reload-timeout", KEPT, Edit::Samples(ADDED, "2 0 0 0 0")),
    ("reload-native", KEPT, Edit::Samples(ADDED, "2 0 2 0 0")),
    ("reload-static-empty", KEPT, Edit::Samples(ADDED, "2 0 0 stale+1")),
];

/// Reason of a difference in the order of two targets.
const OFFSETS: &str = "the targets have other offsets in their intervals";
/// Reason of differences in [`ADDED`].
const KEPT: &str = "a target keeps its cache if only its time, its settings or its sources change";
const ADDED: &str = "scrape_series_added";

/// Edit of a recording.
#[derive(Clone, Copy)]
enum Edit {
    /// Every series has a stale marker at this position.
    Marker(usize),
    /// A series, written without the labels of its target, has these samples.
    Samples(&'static str, &'static str),
}

/// Samples of the series in order.
type Series = BTreeMap<String, Vec<String>>;

/// Target whose response depends on the number of the request.
struct StoryTarget {
    script: Script,
    started: Instant,
    /// Times of the requests, ms.
    requests: Mutex<Vec<i64>>,
}

impl StoryTarget {
    fn count(&self) -> usize {
        self.requests.lock().len()
    }

    /// Waits for a number of requests.
    async fn requested(&self, count: usize) {
        let deadline = Instant::now() + 100 * INTERVAL;
        while self.count() < count {
            assert!(Instant::now() < deadline, "only {} requests", self.count());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Exchange for StoryTarget {
    fn send(&self, request: ScrapeRequest) -> ExchangeFuture {
        let mut requests = self.requests.lock();
        let now_ms = START_MS + self.started.elapsed().as_millis() as i64;
        requests.push(now_ms);
        self.script.at(requests.len(), now_ms, requests[0]).send(request)
    }
}

/// Configuration and files of a story.
struct Scene {
    config: Value,
    global: Value,
    files: BTreeMap<String, Value>,
    target: Arc<StoryTarget>,
}

impl Scene {
    /// Applies the configuration, unless it is invalid.
    fn apply(&self, bench: &Bench) -> bool {
        let exchange = Arc::clone(&self.target) as Arc<dyn Exchange>;
        let start_timestamps = StartTimestamps::Ignore;
        match recordings::job(&self.config, &self.global, start_timestamps, exchange) {
            Ok(job) => bench.scraper.apply(vec![job]),
            Err(_) => return false,
        }
        true
    }

    /// Hands the targets to the scraper.
    fn update(&self, bench: &Bench) {
        bench.scraper.update(|job| {
            let mut groups = recordings::static_groups(job);
            groups.extend(self.files.values().flat_map(recordings::file_groups));
            Some(TargetSet::resolve(&job.targets, &groups, job.kept_dropped()))
        });
    }

    /// Takes the keys of a reload.
    fn reload(&mut self, original: &Value, keys: &Value, global: &Value) {
        self.config = original.clone();
        for (key, value) in keys.as_object().unwrap() {
            self.config[key] = value.clone();
        }
        self.global = global.clone();
    }

    /// Takes new contents of files; a broken one changes nothing.
    fn write(&mut self, files: &Value) {
        for (name, content) in files.as_object().unwrap() {
            match content {
                Value::Null => _ = self.files.remove(name),
                Value::Array(_) => _ = self.files.insert(name.clone(), content.clone()),
                _ => {}
            }
        }
    }
}

/// Plays a story. Returns the series of the database.
async fn play(story: &Value) -> Series {
    let name = story["story"].as_str().unwrap();
    let mut bench = Bench::new(0);
    let mut scripted = story.clone();
    if name == SERIES_GONE {
        let bodies = ["a 1\nb 1\n", "a 2\nb 2\n", "a 3\n", "a 3\n"];
        scripted["answers"][format!("/{name}")] =
            bodies.map(|body| json!({"body": body})).into_iter().collect();
    }
    let target = Arc::new(StoryTarget {
        script: Script::new(&scripted),
        started: Instant::now(),
        requests: Mutex::default(),
    });
    let files = story["files"].as_object().cloned().unwrap_or_default();
    let mut scene = Scene {
        config: story["config"].clone(),
        global: Value::Null,
        files: files.into_iter().collect(),
        target: Arc::clone(&target),
    };
    assert!(scene.apply(&bench), "{name}");
    scene.update(&bench);
    for (number, step) in story["steps"].as_array().unwrap().iter().enumerate() {
        target.requested(step[0].as_u64().unwrap() as usize).await;
        let action = &step[1];
        let delay = action["wait"].as_f64().or(action["delay"].as_f64());
        tokio::time::sleep(delay.map_or(STEP_DELAY, Duration::from_secs_f64)).await;
        let mut has_targets = true;
        if let Some(keys) = action.get("reload") {
            if keys.is_null() {
                bench.scraper.apply(Vec::new());
            } else {
                scene.reload(&story["config"], keys, &action["global"]);
                has_targets = scene.apply(&bench);
            }
        }
        if let Some(files) = action.get("files") {
            scene.write(files);
        }
        if action.get("stop").is_some() {
            bench.restart().await;
        }
        if action["start"] == true {
            assert!(scene.apply(&bench), "{name}");
        }
        let late = LATE_UPDATES.iter().find(|late| (late.0, late.1) == (name, number));
        tokio::time::sleep(Duration::from_secs(late.map_or(0, |late| late.2))).await;
        if has_targets {
            scene.update(&bench);
        }
    }
    let count = story["scrape_times"].as_array().unwrap().len();
    let is_over = target.count() >= count;
    target.requested(count).await;
    tokio::time::sleep(SETTLING[usize::from(is_over)]).await;
    let series = found_series(&bench, &target.requests.lock());
    bench.scraper.stop().await;
    series
}

/// Returns the text of a stale marker, `intervals` after the sample before it.
fn marker(intervals: f64) -> String {
    format!("stale+{}", intervals.round())
}

fn is_duration(series: &str) -> bool {
    series.contains("\"scrape_duration_seconds\"")
}

fn found_series(bench: &Bench, requests: &[i64]) -> Series {
    let text = |name: &str, before: i64, (t, value): &(i64, String)| {
        if value == "stale" {
            return marker((t - before) as f64 / INTERVAL.as_millis() as f64);
        }
        let value = if is_duration(name) { "*" } else { value };
        let nearest = requests.iter().map(|request| t - request).min_by_key(|ms| ms.abs());
        // Scrapes have the time of their tick, and tokio's clock counts whole milliseconds.
        match nearest {
            Some(ms) if ms.abs() > 2 => format!("{value}@{ms}"),
            _ => value.to_owned(),
        }
    };
    let series = stored(&bench.db).into_iter().map(|(name, samples)| {
        let before = std::iter::once(0).chain(samples.iter().map(|(t, _)| *t));
        let texts = before.zip(&samples).map(|(before, sample)| text(&name, before, sample));
        let texts = texts.collect();
        (name, texts)
    });
    series.collect()
}

/// Returns the series of a recording.
fn recorded_series(story: &Value) -> Series {
    let scrapes: Vec<f64> = serde_json::from_value(story["scrape_times"].clone()).unwrap();
    let at = |number: &str| scrapes[number.parse::<usize>().unwrap() - 1];
    let series = story["series"].as_array().unwrap().iter().map(|series| {
        let mut before = 0.0;
        let samples = series["samples"].as_array().unwrap().iter().map(|sample| {
            let value = expected_text(&sample[1]);
            let when = sample[0].as_str().map_or_else(|| sample[0].to_string(), str::to_owned);
            let (time, own) = match (when.split_once('+'), when.split_once(":now")) {
                (Some((number, intervals)), _) => {
                    (at(number) + intervals.parse::<f64>().unwrap(), "")
                }
                (_, Some((number, own))) => (at(number), own),
                _ => (at(&when), ""),
            };
            let distance = time - std::mem::replace(&mut before, time);
            match (value.as_str(), own) {
                ("stale", _) => marker(distance),
                (_, "") => value,
                (_, own) => format!("{value}@{own}"),
            }
        });
        let samples = samples.collect();
        let labels: BTreeMap<String, String> =
            serde_json::from_value(series["labels"].clone()).unwrap();
        let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels: Labels = pairs.collect::<LabelsBuilder<'_>>().build().unwrap();
        (labels.to_string(), samples)
    });
    series.collect()
}

/// Returns the series of a recording with narthex's differences.
fn expected_series(story: &Value) -> Series {
    let name = story["story"].as_str().unwrap();
    let mut series = recorded_series(story);
    for (_, _, edit) in DIFFERENCES.iter().filter(|difference| difference.0 == name) {
        match *edit {
            Edit::Marker(position) => {
                series.values_mut().for_each(|samples| samples.insert(position, marker(1.0)));
            }
            Edit::Samples(own, samples) => {
                let labels = series_text(own, "127.0.0.1:18181", name);
                let samples = samples.split(' ').map(|sample| match sample.parse::<f64>() {
                    Ok(value) => format!("{:016x}", value.to_bits()),
                    Err(_) => sample.to_owned(),
                });
                let old = series.insert(labels.clone(), samples.collect());
                assert!(old.is_some_and(|old| old != series[&labels]), "{name}: {own}");
            }
        }
    }
    series
}

#[tokio::test(start_paused = true)]
async fn recorded_stories_end_as_in_prometheus() {
    let recordings = recordings::read("stories");
    let only = std::env::var("NARTHEX_GOLDEN_STORY").ok();
    let (mut played, mut wrong) = (0, Vec::new());
    for story in recordings["stories"].as_array().unwrap() {
        let name = story["story"].as_str().unwrap();
        if PROCESS.contains(&name) || only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        played += 1;
        let (found, expected) = (play(story).await, expected_series(story));
        if found != expected {
            let names = found.keys().chain(expected.keys());
            let different = names.filter(|name| found.get(*name) != expected.get(*name));
            let lines = different
                .map(|name| format!("{name}: {:?} not {:?}", found.get(name), expected.get(name)));
            wrong.push(format!("{name}:\n  {}", lines.collect::<Vec<_>>().join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {played}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(only.is_some() || played + PROCESS.len() == 42, "only {played} stories");
}
