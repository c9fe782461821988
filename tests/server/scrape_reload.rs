//! Which changes of the targets end series with stale markers, and which do not: reloads, targets
//! that go and come back, stop, and kill.
//!
//! The out-of-order window is the default, 2 h, so a delayed marker that comes after newer samples
//! must be rejected, or it would land between good samples.
//!
//! The value of a sample is the number of the request, so a lost scrape shows. A busy machine can
//! delay a scrape by more than a tick; such a run is repeated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::samples::{LabelSet, Samples};
use crate::support::scrapes::{STALE, get, series_text};
use crate::support::scripted::{Asked, Reply, Scripted};
use crate::support::ticks::{Ticks, repeat_undisturbed};
use crate::support::wait::wait_until;

/// Interval of the jobs, ms.
const INTERVAL: i64 = 1_000;

/// Scrapes before and after a change.
const SCRAPES: u64 = 3;

/// Expected course of the series of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// No markers, and the loop keeps its cache.
    Continues,
    /// No markers.
    Restarts,
    /// A marker ends `b`; `a` and the series of the scraper go on.
    LosesB,
    /// A marker ends every series.
    Ends,
    /// A marker ends every series, and series with the label `new` follow.
    Moves,
}

/// Change of a job in a reload.
struct Event {
    job: &'static str,
    /// Keys of the job before, in YAML's flow style.
    before: &'static str,
    /// Keys after the reload; `None` if the job is removed.
    after: Option<&'static str>,
    expect: Expect,
}

const fn event(
    job: &'static str,
    before: &'static str,
    after: &'static str,
    expect: Expect,
) -> Event {
    Event { job, before, after: Some(after), expect }
}

impl Event {
    /// Returns the maximum time between two scrapes, ms, with half an interval for a busy machine.
    /// A loop with another interval or URL has another position in the interval.
    fn max_gap(&self) -> i64 {
        match self.expect {
            _ if self.before == SLOW => INTERVAL * 5,
            Expect::Continues if self.job != "interval" => INTERVAL * 3 / 2,
            _ => INTERVAL * 28 / 10,
        }
    }
}

/// Every kind of change. `TARGET` is the address of the target.
const EVENTS: [Event; 22] = [
    event("nothing", STATIC, STATIC, Expect::Continues),
    event("interval", STATIC, "scrape_interval: 1200ms, TARGET", Expect::Continues),
    event("timeout", STATIC, "scrape_timeout: 900ms, TARGET", Expect::Continues),
    event("sample-limit", STATIC, "sample_limit: 100, TARGET", Expect::Continues),
    event("no-sample-limit", "sample_limit: 100, TARGET", STATIC, Expect::Continues),
    event("headers", STATIC, "http_headers: {X-A: {values: ['1']}}, TARGET", Expect::Continues),
    event(
        "basic-auth",
        STATIC,
        "basic_auth: {username: u, password: p}, TARGET",
        Expect::Continues,
    ),
    event("bearer", "authorization: {credentials: x}, TARGET", STATIC, Expect::Continues),
    event("tls", STATIC, "tls_config: {insecure_skip_verify: true}, TARGET", Expect::Continues),
    event("redirects", STATIC, "follow_redirects: false, TARGET", Expect::Continues),
    event("http2", "enable_http2: false, TARGET", STATIC, Expect::Continues),
    event("honor-labels", STATIC, "honor_labels: true, TARGET", Expect::Restarts),
    event("honor-timestamps", STATIC, "honor_timestamps: false, TARGET", Expect::Restarts),
    event("label-limit", STATIC, "label_limit: 10, TARGET", Expect::Restarts),
    event("params", SLOW, "params: {x: ['1']}, SLOW", Expect::Restarts),
    event("path", SLOW, "metrics_path: /path/other, SLOW", Expect::Restarts),
    event(
        "drops-b",
        STATIC,
        "metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}], TARGET",
        Expect::LosesB,
    ),
    event(
        "target-label",
        STATIC,
        "relabel_configs: [{target_label: new, replacement: '1'}], TARGET",
        Expect::Moves,
    ),
    event(
        "static-label",
        STATIC,
        "static_configs: [{targets: ['ADDRESS'], labels: {new: '1'}}]",
        Expect::Moves,
    ),
    event("no-targets", STATIC, "static_configs: []", Expect::Ends),
    event(
        "dropped-target",
        STATIC,
        "relabel_configs: [{source_labels: [job], action: drop}], TARGET",
        Expect::Ends,
    ),
    Event { job: "removed", before: STATIC, after: None, expect: Expect::Ends },
];

const STATIC: &str = "TARGET";
/// Where a new loop can have another position in the interval than the old one, its second scrape
/// comes a tenth of the interval before the delayed markers. So it is longer.
const SLOW: &str = "scrape_interval: 2s, scrape_timeout: 2s, TARGET";

/// narthex with a configuration file, and a target.
struct Setup {
    temp_dir: TempDir,
    target: Scripted,
    server: Server,
}

/// Answers with two series of which the value is the number of the request for the first part of
/// the path, or for the host if the path is `/bulk`.
fn numbered(counts: &Mutex<BTreeMap<String, u64>>, asked: &Asked) -> Reply {
    let key = match asked.path.split('/').nth(1).unwrap_or("") {
        "bulk" => asked.header("host").unwrap_or("").to_owned(),
        part => part.to_owned(),
    };
    let mut counts = counts.lock().expect("nothing panics with it");
    let count = counts.entry(key).or_default();
    *count += 1;
    Reply::text(format!("a {count}\nb {count}\n"))
}

/// Starts a target that numbers its responses.
fn start_target() -> Scripted {
    let counts = Mutex::default();
    Scripted::start(move |asked| numbered(&counts, asked))
}

fn job(name: &str, keys: &str, address: &str) -> String {
    let path = if keys.contains("metrics_path") {
        String::new()
    } else {
        format!("metrics_path: /{name}, ")
    };
    let keys = keys
        .replace("SLOW", SLOW)
        .replace("TARGET", "static_configs: [{targets: ['ADDRESS']}]")
        .replace("ADDRESS", address);
    format!("- {{job_name: {name}, {path}{keys}}}\n")
}

fn config(jobs: &str) -> String {
    format!(
        "global: {{scrape_interval: {INTERVAL}ms, scrape_timeout: {INTERVAL}ms}}\n\
         scrape_configs:\n{jobs}"
    )
}

impl Setup {
    fn start(target: Scripted, jobs: &str) -> Setup {
        let temp_dir = dir::temp();
        let server = Setup::launch(temp_dir.path(), jobs).start();
        Setup { temp_dir, target, server }
    }

    fn launch(dir: &Path, jobs: &str) -> Launch {
        let data = dir.join("data");
        Launch::narthex(&data)
            .config(&data, &config(jobs))
            .flag("--scrape.discovery-reload-interval=100ms")
            .flag("--web.enable-lifecycle")
    }

    fn file(&self) -> PathBuf {
        self.temp_dir.path().join("data.narthex.yml")
    }

    /// Replaces the jobs. Returns status and text of the response.
    fn reload(&self, jobs: &str) -> (u16, String) {
        std::fs::write(self.file(), config(jobs)).expect("a writable file");
        let response = self.server.http.post("/-/reload", &[], b"");
        (response.status, response.text())
    }

    #[track_caller]
    fn reload_ok(&self, jobs: &str) {
        let (status, text) = self.reload(jobs);
        assert_eq!(status, 200, "{text}");
    }

    /// Waits for further scrapes of these paths, and until they are stored.
    fn wait_scrapes(&self, paths: &[String]) {
        // The request after the last one shows that it is stored.
        let wanted: Vec<u64> =
            paths.iter().map(|path| self.target.requests(path) + SCRAPES + 1).collect();
        for (path, wanted) in paths.iter().zip(wanted) {
            wait_until(&format!("scrapes of {path}"), || self.target.requests(path) >= wanted);
        }
    }

    fn read(&self) -> Courses {
        Courses(self.server.remote().read_all())
    }
}

/// Stored samples.
struct Courses(Samples);

impl Courses {
    /// Returns the bits of the samples of a job, by series, without `job` and `instance`.
    fn of(&self, job: &str) -> BTreeMap<String, Vec<(i64, u64)>> {
        let mut courses: BTreeMap<String, Vec<(i64, u64)>> = BTreeMap::new();
        for (labels, t, bits) in
            self.0.iter().filter(|(labels, _, _)| get(labels, "job") == Some(job))
        {
            let mut labels: LabelSet = labels.clone();
            labels.retain(|(name, _)| name != "job" && name != "instance");
            courses.entry(series_text(&labels)).or_default().push((t, bits));
        }
        courses
    }

    fn markers(&self, job: &str) -> usize {
        self.of(job).values().flatten().filter(|(_, bits)| *bits == STALE).count()
    }

    /// Returns `true` if a scrape took so long that delayed markers could overtake it.
    fn is_slow(&self) -> bool {
        let durations = self
            .0
            .iter()
            .filter(|(labels, _, _)| get(labels, "__name__") == Some("scrape_duration_seconds"));
        durations.map(|(_, _, bits)| f64::from_bits(bits)).any(|seconds| seconds > 0.05)
    }

    /// Returns `true` if two successive scrapes of a job are more than `max` ms apart.
    fn has_gap(&self, job: &str, max: i64) -> bool {
        let courses = self.of(job);
        let ups = courses.iter().filter(|(series, _)| series.starts_with("up"));
        let mut times: Vec<i64> = ups
            .flat_map(|(_, samples)| samples.iter().filter(|(_, bits)| *bits != STALE))
            .map(|(t, _)| *t)
            .collect();
        times.sort_unstable();
        times.windows(2).any(|pair| pair[1] - pair[0] > max)
    }
}

/// Returns a course as text: `v` for values that count up from 1, `s` for a stale marker.
fn course(samples: &[(i64, u64)]) -> String {
    let mut text = String::new();
    let mut number = 0.0;
    for (_, bits) in samples {
        number += 1.0;
        if *bits == STALE {
            text.push('s');
            number -= 1.0;
        } else if f64::from_bits(*bits) != number {
            return format!("{text}: {} instead of {number}", f64::from_bits(*bits));
        } else if !text.ends_with('v') {
            text.push('v');
        }
    }
    text
}

/// Returns what is wrong with the samples of a job.
fn flaws(courses: &Courses, job: &str, expect: Expect) -> String {
    let found = courses.of(job);
    let shown = || format!("{job} {expect:?}: {found:?}\n");
    let course_of =
        |series: &str| found.get(series).map_or(String::new(), |samples| course(samples));
    let (a, b) = match expect {
        Expect::Continues | Expect::Restarts => ("v", "v"),
        Expect::LosesB => ("v", "vs"),
        Expect::Ends | Expect::Moves => ("vs", "vs"),
    };
    if course_of("a") != a || course_of("b") != b {
        return shown();
    }
    // Series of the scraper have a marker where `a` has one.
    let scraper =
        found.iter().filter(|(name, _)| name.starts_with("up") || name.starts_with("scrape_"));
    for (name, samples) in scraper {
        let markers = samples.iter().filter(|(_, bits)| *bits == STALE).count();
        let is_new = name.contains("new=");
        let is_last = samples.last().is_some_and(|(_, bits)| *bits == STALE);
        let expected = usize::from(a == "vs" && !is_new);
        if markers != expected || (expected == 1 && !is_last) {
            return shown();
        }
    }
    match expect {
        Expect::Continues => {
            let added = &found["scrape_series_added"];
            let added: f64 = added.iter().map(|(_, bits)| f64::from_bits(*bits)).sum();
            if added == 2.0 { String::new() } else { shown() }
        }
        Expect::Moves => {
            // Its values continue those of the old series.
            let first = found["a"].len() as f64;
            let new = found.get("a{new=\"1\"}").and_then(|samples| samples.first());
            match new {
                Some((_, bits)) if f64::from_bits(*bits) == first => String::new(),
                _ => shown(),
            }
        }
        _ => String::new(),
    }
}

fn run_events() -> bool {
    let target = start_target();
    let address = target.address();
    let jobs_before: String =
        EVENTS.iter().map(|event| job(event.job, event.before, &address)).collect();
    let jobs_after: String =
        EVENTS.iter().filter_map(|event| Some(job(event.job, event.after?, &address))).collect();
    let setup = Setup::start(target, &jobs_before);
    let paths: Vec<String> = EVENTS.iter().map(|event| format!("/{}", event.job)).collect();
    setup.wait_scrapes(&paths);
    setup.reload_ok(&jobs_after);
    let goes_on = |event: &&Event| event.expect != Expect::Ends;
    let paths: Vec<String> =
        EVENTS
            .iter()
            .filter(goes_on)
            .map(|event| {
                if event.job == "path" {
                    "/path/other".to_owned()
                } else {
                    format!("/{}", event.job)
                }
            })
            .collect();
    setup.wait_scrapes(&paths);
    // Delayed markers are due after two ticks at most, so all that come are there when these are.
    for event in EVENTS.iter().filter(|event| matches!(event.expect, Expect::Ends | Expect::Moves))
    {
        wait_until(&format!("markers of {}", event.job), || setup.read().markers(event.job) >= 7);
    }
    setup.wait_scrapes(&["/nothing".to_owned()]);
    let courses = setup.read();
    let late = EVENTS.iter().filter(|event| courses.has_gap(event.job, event.max_gap()));
    if late.count() > 0 {
        return false;
    }
    let flaws: String =
        EVENTS.iter().map(|event| flaws(&courses, event.job, event.expect)).collect();
    if !flaws.is_empty() && courses.is_slow() {
        return false;
    }
    assert!(flaws.is_empty(), "{flaws}");
    setup.server.stop();
    true
}

#[test]
fn reload_ends_only_series_of_changed_jobs() {
    repeat_undisturbed(run_events);
}

fn run_absences() -> bool {
    let target = start_target();
    let address = target.address();
    let temp_dir = dir::temp();
    let sd_file = temp_dir.path().join("targets.json");
    let write_targets = |targets: &str| {
        let new = sd_file.with_extension("tmp");
        std::fs::write(&new, targets).expect("a writable file");
        std::fs::rename(&new, &sd_file).expect("a file can be replaced");
    };
    let present = format!("[{{\"targets\": [\"{address}\"]}}]");
    write_targets(&present);
    let by_file = format!("file_sd_configs: [{{files: ['{}']}}]", sd_file.display());
    let steady = job("steady", STATIC, &address);
    let by_file = job("by-file", &by_file, &address);
    let removed = job("removed", STATIC, &address);
    let setup = Setup::start(target, &format!("{steady}{by_file}{removed}"));
    let paths = ["/steady", "/by-file", "/removed"].map(str::to_owned);
    setup.wait_scrapes(&paths);
    // Back before its markers are due.
    setup.reload_ok(&format!("{steady}{by_file}"));
    setup.reload_ok(&format!("{steady}{by_file}{removed}"));
    setup.wait_scrapes(&paths);
    // Back after its markers.
    write_targets("[]");
    wait_until("markers of the target that is gone", || setup.read().markers("by-file") >= 7);
    write_targets(&present);
    setup.wait_scrapes(&paths);
    let courses = setup.read();
    if ["steady", "removed"].iter().any(|job| courses.has_gap(job, 3 * INTERVAL)) {
        return false;
    }
    let found = |job: &str, series: &str| course(&courses.of(job)[series]);
    for series in ["a", "b"] {
        assert_eq!(found("steady", series), "v");
        assert_eq!(found("removed", series), "v");
        assert_eq!(found("by-file", series), "vsv");
    }
    assert_eq!(courses.markers("steady") + courses.markers("removed"), 0);
    assert_eq!(courses.markers("by-file"), 7);
    setup.server.stop();
    true
}

#[test]
fn absence_ends_series_unless_target_is_back_soon() {
    repeat_undisturbed(run_absences);
}

#[test]
fn stop_and_kill_write_no_markers() {
    let target = start_target();
    let temp_dir = dir::temp();
    let jobs = job("steady", STATIC, &target.address());
    let mut interrupted = Vec::new();
    for is_kill in [false, true, false, true] {
        let server = Setup::launch(temp_dir.path(), &jobs).start();
        let wanted = target.requests("/steady") + SCRAPES;
        wait_until("scrapes", || target.requests("/steady") >= wanted);
        if is_kill {
            server.kill()
        } else {
            server.stop()
        };
        // The last request may have been interrupted.
        interrupted.push(target.requests("/steady"));
    }
    let last = *interrupted.last().expect("a number");
    let server = Setup::launch(temp_dir.path(), &jobs).start();
    wait_until("another scrape", || target.requests("/steady") >= last + 2);
    let courses = Courses(server.remote().read_all());
    assert_eq!(courses.markers("steady"), 0);
    let found = courses.of("steady");
    for series in ["a", "b"] {
        let values: Vec<u64> =
            found[series].iter().map(|(_, bits)| f64::from_bits(*bits) as u64).collect();
        let missing: Vec<u64> = (1..=last).filter(|n| !values.contains(n)).collect();
        assert!(missing.iter().all(|n| interrupted.contains(n)), "{missing:?} of {interrupted:?}");
    }
    server.stop();
}

/// Number of unchanged targets.
const BULK: usize = 200;

/// Maximum time from a tick to the start of its scrape, and maximum duration of a scrape, ms. A
/// longer time is a disturbance, because both together can cost the next tick. A missing tick of
/// any other cause is an error.
const MAX_DELAY: i64 = INTERVAL / 2;

fn run_reloads_of_another_job() -> bool {
    let target = start_target();
    let address = target.address();
    let targets: Vec<String> =
        (0..BULK).map(|n| format!("'127.0.1.{}:{}'", n + 1, target.port())).collect();
    let bulk = format!("static_configs: [{{targets: [{}]}}]", targets.join(", "));
    let bulk = job("bulk", &bulk, &address);
    let setup = Setup::start(target, &format!("{bulk}{}", job("other", STATIC, &address)));
    let all_scraped = |times: u64| {
        let before = setup.target.requests("/bulk");
        wait_until("scrapes of all targets", || {
            setup.target.requests("/bulk") >= before + times * BULK as u64
        });
    };
    all_scraped(2);
    for round in 0..6 {
        let other = format!("params: {{round: ['{round}']}}, TARGET");
        setup.reload_ok(&format!("{bulk}{}", job("other", &other, &address)));
        all_scraped(1);
    }
    let samples = setup.server.remote().read_all();
    let courses = |name: &str| {
        let mut by_target: BTreeMap<LabelSet, Vec<(i64, u64)>> = BTreeMap::new();
        let of_name = samples.iter().filter(|(labels, _, _)| {
            get(labels, "job") == Some("bulk") && get(labels, "__name__") == Some(name)
        });
        for (labels, t, bits) in of_name {
            by_target.entry(labels.clone()).or_default().push((t, bits));
        }
        assert_eq!(by_target.len(), BULK, "{name}");
        by_target
    };
    let ups = courses("up");
    let ticks = ups.values().map(|samples| {
        let times: Vec<i64> = samples.iter().map(|(t, _)| *t).collect();
        Ticks::of(&times, INTERVAL)
    });
    let (gaps, max_delay) =
        ticks.fold((0, 0), |(gaps, max), ticks| (gaps + ticks.gaps, max.max(ticks.max_delay)));
    let durations = courses("scrape_duration_seconds").into_values().flatten();
    let longest = durations.map(|(_, bits)| f64::from_bits(bits)).fold(0.0, f64::max);
    let scrapes: usize = ups.values().map(Vec::len).sum();
    println!("{scrapes} scrapes, at most {max_delay} ms late, {longest} s long; {gaps} gaps");
    if max_delay > MAX_DELAY || longest * 1_000.0 > MAX_DELAY as f64 {
        return false;
    }
    assert_eq!(gaps, 0, "ticks without a scrape");
    for (labels, samples) in ups {
        assert!(samples.iter().all(|(_, bits)| *bits == 1f64.to_bits()), "{labels:?}: {samples:?}");
    }
    for (labels, samples) in courses("a") {
        assert_eq!(course(&samples), "v", "{labels:?}: {samples:?}");
    }
    let added = courses("scrape_series_added").into_values().flatten();
    let added: f64 = added.map(|(_, bits)| f64::from_bits(bits)).sum();
    assert_eq!(added, 2.0 * BULK as f64, "caches are kept");
    assert!(scrapes >= 6 * BULK, "{scrapes} scrapes");
    setup.server.stop();
    true
}

#[test]
fn ticks_without_a_scrape_are_gaps() {
    let ticks = |times: &[i64]| {
        let Ticks { gaps, max_delay } = Ticks::of(times, 1_000);
        (gaps, max_delay)
    };
    assert_eq!(ticks(&[1_900, 2_900, 3_900]), (0, 0));
    assert_eq!(ticks(&[1_900, 3_250, 3_900]), (0, 350));
    assert_eq!(ticks(&[2_200, 2_900, 4_900, 7_000]), (2, 300));
}

#[test]
fn reloads_do_not_touch_loops_of_unchanged_jobs() {
    repeat_undisturbed(run_reloads_of_another_job);
}

/// Invalid configurations: jobs, and a part of the error.
const INVALID: [(&str, &str); 5] = [
    ("- {job_name: x, no_such_key: 1}\n", "no_such_key"),
    ("- {job_name: steady}\n", "steady"),
    ("- {job_name: x, scrape_interval: 1s, scrape_timeout: 2s}\n", "scrape_timeout"),
    ("- {job_name: x, tls_config: {ca_file: /nonexistent/ca}}\n", "/nonexistent/ca"),
    ("- {job_name: x, static_configs: [\n", "yml:"),
];

fn run_invalid_reloads() -> bool {
    let target = start_target();
    let address = target.address();
    let steady = job("steady", STATIC, &address);
    let setup = Setup::start(target, &steady);
    let path = ["/steady".to_owned()];
    setup.wait_scrapes(&path);
    for (invalid, part) in INVALID {
        // Changes that alone are valid.
        let changed = job("steady", "metrics_path: /path/other, TARGET", &address);
        let new = job("new", STATIC, &address);
        let (status, text) = setup.reload(&format!("{changed}{new}{invalid}"));
        assert_eq!(status, 500, "{invalid}");
        assert!(text.contains(part), "{invalid}: {text}");
    }
    setup.wait_scrapes(&path);
    assert_eq!((setup.target.requests("/path/other"), setup.target.requests("/new")), (0, 0));
    let courses = setup.read();
    if courses.has_gap("steady", INTERVAL * 3 / 2) {
        return false;
    }
    let flaws = flaws(&courses, "steady", Expect::Continues);
    assert!(flaws.is_empty(), "{flaws}");
    setup.server.stop();
    true
}

#[test]
fn invalid_reload_changes_nothing() {
    repeat_undisturbed(run_invalid_reloads);
}

/// Each response of interest arrives after a reload, and its scrape is stored.
fn run_slow_scrapes() -> bool {
    let counts = Mutex::default();
    // Path whose responses wait.
    let slow: Arc<Mutex<String>> = Arc::default();
    let slow_path = Arc::clone(&slow);
    let target = Scripted::start(move |asked| {
        while *slow_path.lock().expect("nothing panics with it") == asked.path {
            std::thread::sleep(Duration::from_millis(5));
        }
        numbered(&counts, asked)
    });
    let address = target.address();
    let names = ["kept", "changed", "removed"];
    let [kept, changed, removed] = names.map(|name| job(name, SLOW, &address));
    let setup = Setup::start(target, &format!("{kept}{changed}{removed}"));
    for name in names {
        wait_until("a scrape", || setup.target.requests(&format!("/{name}")) >= 2);
    }
    let new = job("changed", &format!("honor_labels: true, {SLOW}"), &address);
    for (name, jobs) in [
        ("kept", format!("{kept}{changed}{removed}# new\n")),
        ("changed", format!("{kept}{new}{removed}")),
        ("removed", format!("{kept}{new}")),
    ] {
        let path = format!("/{name}");
        *slow.lock().expect("nothing panics with it") = path.clone();
        let before = setup.target.requests(&path);
        wait_until("a slow scrape", || setup.target.requests(&path) > before);
        setup.reload_ok(&jobs);
        slow.lock().expect("nothing panics with it").clear();
    }
    wait_until("markers", || setup.read().markers("removed") >= 7);
    for name in &names[..2] {
        let path = format!("/{name}");
        let before = setup.target.requests(&path);
        wait_until("further scrapes", || setup.target.requests(&path) >= before + 2);
    }
    let courses = setup.read();
    if names.iter().any(|name| courses.has_gap(name, 3 * INTERVAL)) {
        return false;
    }
    let flaws = flaws(&courses, "kept", Expect::Continues)
        + &flaws(&courses, "changed", Expect::Restarts)
        + &flaws(&courses, "removed", Expect::Ends);
    assert!(flaws.is_empty(), "{flaws}");
    setup.server.stop();
    true
}

#[test]
fn scrape_in_progress_finishes_after_a_reload() {
    repeat_undisturbed(run_slow_scrapes);
}
