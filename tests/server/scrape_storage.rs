//! Scrapes and their storage: rejected samples, replay, a slow disk, and bodies that take long to
//! store.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::clock::now_ms;
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::samples::Samples;
use crate::support::scrapes::get;
use crate::support::scripted::{Reply, Scripted};
use crate::support::ticks::{Ticks, repeat_undisturbed};
use crate::support::wait::{wait_for, wait_until};
use crate::support::wire::{Matcher, TimeSeries, WriteRequest};

/// Interval of the jobs, ms.
const INTERVAL: i64 = 1_000;

/// Returns a job with one target, of which the path is the name of the job. The interval is in ms.
fn job(target: &Scripted, name: &str, interval: i64) -> String {
    format!(
        "- {{job_name: {name}, metrics_path: /{name}, scrape_interval: {interval}ms, \
         scrape_timeout: {interval}ms, static_configs: [{{targets: ['{}']}}]}}\n",
        target.address()
    )
}

fn config(jobs: &str) -> String {
    format!("scrape_configs:\n{jobs}")
}

/// Reads the float samples of a job.
fn read_job(server: &Server, job: &str) -> Samples {
    server.remote().read(&[Matcher::equal("job", job)], MIN_TIME, MAX_TIME)
}

/// Returns timestamps and values of the series with a name.
fn values<'a>(samples: &'a Samples, name: &'a str) -> impl Iterator<Item = (i64, f64)> + 'a {
    let of_name =
        samples.iter().filter(move |(labels, _, _)| get(labels, "__name__") == Some(name));
    of_name.map(|(_, t, bits)| (t, f64::from_bits(bits)))
}

#[test]
fn rejected_sample_is_listed_with_the_url_of_its_target() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let tomorrow = now_ms() + 86_400_000;
    let target =
        Scripted::start(move |_| Reply::text(format!("good 1\nahead{{x=\"y\"}} 2 {tomorrow}\n")));
    let server =
        Launch::narthex(&data).config(&data, &config(&job(&target, "ahead", INTERVAL))).start();
    let entry = wait_for("a rejection", || {
        let list = server.http.get("/api/v1/status/rejections").json();
        list["data"]["rejections"].get(0).cloned()
    });
    assert_eq!(entry["protocol"], "scrape", "{entry}");
    assert_eq!(entry["sender"], format!("http://{}/ahead", target.address()), "{entry}");
    assert_eq!(entry.get("user"), None, "{entry}");
    assert_eq!(entry["reason"], "too_far_in_future", "{entry}");
    let series = entry["series"].as_str().expect("text");
    for part in ["ahead", "x=\"y\"", "job=\"ahead\"", &target.address()] {
        assert!(series.contains(part), "{part}: {entry}");
    }
    assert!(entry["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{entry}");
    assert!(entry["count"].as_u64() >= Some(1), "{entry}");
    assert_eq!(entry["dryRun"], false, "{entry}");
    // The rest of the scrape is stored.
    let stored = read_job(&server, "ahead");
    for (name, first) in [("good", Some(1.0)), ("up", Some(1.0)), ("ahead", None)] {
        assert_eq!(values(&stored, name).map(|(_, value)| value).next(), first, "{name}");
    }
    server.stop();
}

#[test]
fn scrapes_start_after_replay() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let server = Launch::narthex(&data).start();
    server.remote().write_ok(&WriteRequest::one(&[("__name__", "replayed")], &[(now_ms(), 1.0)]));
    server.kill();
    let target = Scripted::start(|asked| Reply::text(format!("a {}\n", asked.number)));
    let marker = temp_dir.path().join("marker");
    let mut server = Launch::narthex(&data)
        .config(&data, &config(&job(&target, "waits", INTERVAL)))
        .paused_at(&[("replay.record".to_owned(), marker.clone())])
        .spawn();
    wait_until("the paused replay", || marker.exists());
    let paused = Instant::now();
    let intervals = Duration::from_millis(2 * INTERVAL.unsigned_abs());
    wait_until("ticks during the replay", || paused.elapsed() >= intervals);
    assert_eq!(server.http.get("/-/ready").status, 503);
    assert_eq!(target.requests("/waits"), 0);
    std::fs::remove_file(&marker).expect("the marker can be removed");
    server.wait_ready();
    wait_until("scrapes", || target.requests("/waits") >= 2);
    let stored = read_job(&server, "waits");
    assert_eq!(values(&stored, "a").map(|(_, value)| value).next(), Some(1.0));
    server.stop();
}

/// Number of slow writes to the WAL.
const SLOW_WRITES: usize = 20;

/// Duration of a slow write. A scrape waits for two of them at most: one in progress and its own.
const WRITE_TIME: Duration = Duration::from_millis(200);

/// Number of targets besides the one whose ticks are checked.
const OTHER_TARGETS: usize = 20;

/// Returns files for the pauses at the first `count` hits of a fail point.
fn pauses(dir: &Path, point: &str, count: usize) -> Vec<(String, PathBuf)> {
    let pause = |hit: usize| (format!("{point}@{hit}"), dir.join(format!("{point}.{hit}")));
    (1..=count).map(pause).collect()
}

/// Lets each write take its time. A disturbance is a write that takes twice as long, or a scrape
/// that takes as long without its write: together they can take almost an interval.
fn run_slow_writes() -> bool {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let target = Scripted::start(|asked| Reply::text(format!("a {}\n", asked.number)));
    let mut jobs = job(&target, "checked", INTERVAL);
    jobs.extend((0..OTHER_TARGETS).map(|n| job(&target, &format!("other{n}"), INTERVAL)));
    let pauses = pauses(temp_dir.path(), "wal.before_write", SLOW_WRITES);
    let server = Launch::narthex(&data)
        .config(&data, &config(&jobs))
        .flag("--storage.tsdb.wal-sync=always")
        .paused_at(&pauses)
        .start();
    let mut longest = Duration::ZERO;
    for (point, file) in &pauses {
        wait_until(point, || file.exists());
        let start = Instant::now();
        thread::sleep(WRITE_TIME);
        std::fs::remove_file(file).expect("the file can be removed");
        longest = longest.max(start.elapsed());
    }
    wait_until("further scrapes", || target.requests("/checked") >= 4);
    let stored = read_job(&server, "checked");
    let times: Vec<i64> = values(&stored, "up").map(|(t, _)| t).collect();
    let ticks = Ticks::of(&times, INTERVAL);
    let durations = values(&stored, "scrape_duration_seconds").map(|(_, seconds)| seconds);
    let slowest = durations.fold(0.0, f64::max);
    println!("{} scrapes, {ticks:?}, {slowest} s; writes {longest:?}", times.len());
    let is_disturbed = longest >= 2 * WRITE_TIME || slowest >= WRITE_TIME.as_secs_f64();
    if ticks.gaps != 0 && is_disturbed {
        return false;
    }
    assert_eq!(ticks.gaps, 0, "{times:?}");
    assert!(times.len() >= 3, "{times:?}");
    server.stop();
    true
}

#[test]
fn slow_writes_of_other_targets_cost_no_tick() {
    repeat_undisturbed(run_slow_writes);
}

/// Number of targets with a large body: more than scrapes are stored at once.
const LARGE_TARGETS: usize = 70;

/// Minimum size of a large body, bytes.
const LARGE_BODY: usize = 1 << 20;

/// Interval of the targets with a large body, ms.
const LARGE_INTERVAL: i64 = 3_000;

/// Scrapes of large bodies stop in the middle of their appends, as if they took forever: those that
/// are worked on at a fail point, and the others behind them. Small bodies have a processor left.
#[test]
fn large_bodies_in_progress_do_not_delay_a_small_target() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let comments = format!("# {}\n", "x".repeat(1_000)).repeat(LARGE_BODY / 1_000);
    let target = Scripted::start(move |asked| {
        let body = format!("value {}\n", asked.number);
        Reply::text(if asked.path == "/small" { body } else { format!("{comments}{body}") })
    });
    let processors = thread::available_parallelism().map_or(1, usize::from).max(2);
    let held = (processors - 1).min(LARGE_TARGETS);
    let pauses = pauses(temp_dir.path(), "head.chunk_cut", held);
    let server = Launch::narthex(&data)
        .config(&data, "global: {}\n")
        .flag("--scrape.discovery-reload-interval=100ms")
        .flag("--web.enable-lifecycle")
        .paused_at(&pauses)
        .start();
    // The next sample of these series begins a chunk, because it is in another chunk range.
    const CHUNK_RANGE: i64 = 2 * 3_600_000;
    let before = now_ms().div_euclid(CHUNK_RANGE) * CHUNK_RANGE - 1;
    let jobs: Vec<String> = (0..LARGE_TARGETS).map(|n| format!("large{n}")).collect();
    let address = target.address();
    let timeseries = jobs.iter().map(|job| {
        let labels = [("__name__", "value"), ("instance", &*address), ("job", &**job)];
        TimeSeries::new(&labels, &[(before, 0.0)])
    });
    let timeseries = timeseries.collect();
    server.remote().write_ok(&WriteRequest { timeseries, ..WriteRequest::default() });
    let mut all = job(&target, "small", INTERVAL);
    all.extend(jobs.iter().map(|name| job(&target, name, LARGE_INTERVAL)));
    let file = data.with_extension("narthex.yml");
    std::fs::write(file, config(&all)).expect("a writable file");
    let reloaded = server.http.post("/-/reload", &[], b"");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());

    for (point, file) in &pauses {
        wait_until(point, || file.exists());
    }
    wait_until("all large bodies", || {
        let used = Metrics::of(&server.http).sum("narthex_scrape_body_bytes_in_flight");
        used.expect("a metric") >= (LARGE_TARGETS * LARGE_BODY) as f64
    });
    // The request of a later tick shows that a scrape is stored.
    let first = target.requests("/small");
    wait_until("scrapes of the small target", || target.requests("/small") >= first + 4);
    let stored = read_job(&server, "small");
    let values: Vec<u64> = values(&stored, "value").map(|(_, value)| value as u64).collect();
    for number in first + 1..first + 4 {
        assert!(values.contains(&number), "{number} of {values:?}");
    }
    assert!(pauses.iter().all(|(_, file)| file.exists()), "the large bodies are held");

    for (_, file) in &pauses {
        std::fs::remove_file(file).expect("the file can be removed");
    }
    wait_until("large bodies", || {
        let stored =
            server.remote().read(&[Matcher::equal("__name__", "value")], before + 1, MAX_TIME);
        stored.label_sets().filter(|labels| get(labels, "job") != Some("small")).count()
            == LARGE_TARGETS
    });
    server.stop();
}
