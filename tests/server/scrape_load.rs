//! Many targets, and large bodies, at once. What is stored is counted exactly; how long it takes
//! does not matter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::atomic::{JOB, body, request_at, scrapes_in, timestamps_in};
use crate::support::clock::now_ms;
use crate::support::dir;
use crate::support::launch::Launch;
use crate::support::metrics::Metrics;
use crate::support::points::{PointValue, Points};
use crate::support::remote::{MAX_TIME, MIN_TIME, Remote};
use crate::support::scrapes::get;
use crate::support::scripted::{Reply, Scripted};
use crate::support::wait::wait_until;
use crate::support::wire::Matcher;

/// Number of small targets.
const TARGETS: usize = 200;

/// Number of series that a small target exposes.
const SERIES: usize = 200;

/// Number of series that the scraper adds for a target.
const SERIES_OF_SCRAPER: usize = 5;

/// Minimum number of scrapes of each target.
const SCRAPES: u64 = 4;

/// Number of scrapes for each pushed request, so that the data to read stays small.
const SCRAPES_PER_PUSH: i64 = 10;

/// Time between two pushed requests, ms.
const PUSH_STEP: i64 = 10;

/// Returns a job with `count` targets of one address. The path and the label `number` of a target
/// are its number.
fn config(target: &Scripted, count: usize, keys: &str) -> String {
    let address = target.address();
    let groups = (0..count).map(|n| {
        format!("{{targets: ['{address}'], labels: {{__metrics_path__: /{n}, number: '{n}'}}}}")
    });
    let groups: Vec<String> = groups.collect();
    format!(
        "scrape_configs: [{{job_name: {JOB}, {keys}, static_configs: [{}]}}]\n",
        groups.join(", ")
    )
}

/// Selects a tenth of the targets, so that a read ends soon: more is scraped during it.
fn some_targets() -> [Matcher; 2] {
    [Matcher::equal("job", JOB), Matcher::regex("number", ".*0")]
}

/// Returns the samples of each target by its number, and all others without a number.
fn by_target(points: Points) -> BTreeMap<Option<usize>, Points> {
    points.divide(|labels| {
        let number = get(labels, "number").filter(|_| get(labels, "job") == Some(JOB));
        number.map(|number| number.parse().expect("a number"))
    })
}

/// Asserts that each scrape is stored completely, or not at all if it failed, and that none of the
/// first `finished` ones is missing for another reason.
fn check_scrapes(points: &Points, finished: u64, what: &str) {
    let series = points.label_sets().count();
    assert_eq!(series, SERIES + SERIES_OF_SCRAPER, "{what}: series");
    let stored = scrapes_in(points, SERIES, what);
    let failed = points.iter().filter(|(labels, _, value)| {
        get(labels, "__name__") == Some("up") && **value == PointValue::Float(0)
    });
    let failed = failed.count();
    let missing: Vec<u64> = (1..=finished).filter(|number| !stored.contains(number)).collect();
    assert!(missing.len() <= failed, "{what}: without {missing:?}, {failed} scrapes failed");
    assert!(!stored.is_empty(), "{what}: each scrape failed");
}

/// Pushes requests until the server or the test ends. Returns the number of acknowledged ones.
fn push(remote: &Remote, begin: i64, scrapes: &AtomicI64, is_over: &Receiver<()>) -> i64 {
    let mut acknowledged = 0;
    loop {
        while scrapes.load(Ordering::SeqCst) < acknowledged * SCRAPES_PER_PUSH {
            let waited = is_over.recv_timeout(Duration::from_millis(1));
            if waited == Err(RecvTimeoutError::Disconnected) {
                return acknowledged;
            }
        }
        let number = acknowledged + 1;
        match remote.try_write(&request_at(number, begin + number * PUSH_STEP)) {
            Ok(response) => assert_eq!(response.status, 204, "{}", response.text()),
            Err(_) => return acknowledged,
        }
        acknowledged = number;
    }
}

#[test]
fn scrapes_of_many_targets_during_pushes_are_stored_completely() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let scrapes = Arc::new(AtomicI64::new(0));
    let scripted_scrapes = Arc::clone(&scrapes);
    let target = Scripted::start(move |asked| {
        scripted_scrapes.fetch_add(1, Ordering::SeqCst);
        Reply::text(body(SERIES, asked.number))
    });
    let interval = "scrape_interval: 1s, scrape_timeout: 1s";
    let server = Launch::narthex(&data).config(&data, &config(&target, TARGETS, interval)).start();
    // Scrapes have the time of the clock, so pushes must, too: they begin ten minutes ago.
    let begin = now_ms() - 600_000;
    let requests = |number: usize| target.requests(&format!("/{number}"));
    let (finished, before, acknowledged) = thread::scope(|scope| {
        let (test, is_over) = channel();
        let (remote, scrapes) = (server.remote(), &scrapes);
        let pushes = scope.spawn(move || push(&remote, begin, scrapes, &is_over));
        wait_until("scrapes of all targets", || (0..TARGETS).all(|n| requests(n) > SCRAPES));
        // The request after a scrape shows that it is stored.
        let finished: Vec<u64> = (0..TARGETS).map(|n| requests(n) - 1).collect();
        let before = server.remote().read_points(&some_targets(), MIN_TIME, MAX_TIME);
        server.kill();
        drop(test);
        (finished, before, pushes.join().expect("the requests are valid"))
    });
    // Without a job, nothing is stored while the samples are read.
    let server = Launch::narthex(&data).start();
    let after = server.remote().read_all_points();
    before.assert_within(&after, "samples before the kill");
    let before = by_target(before);
    assert_eq!(before.len(), TARGETS / 10, "targets before the kill");
    let mut after = by_target(after);
    let pushed = after.remove(&None).expect("pushed samples");
    assert_eq!(after.len(), TARGETS, "targets after the kill");
    for (what, targets) in [("before the kill", before), ("after the kill", after)] {
        for (number, points) in targets {
            let number = number.expect("a target");
            check_scrapes(&points, finished[number], &format!("{what}, target {number}"));
        }
    }
    let times = timestamps_in(&pushed, "pushes");
    let pushed = times.len() as i64;
    let expected = (1..=pushed).map(|number| begin + number * PUSH_STEP);
    assert!(times.into_iter().eq(expected), "a pushed request is missing");
    // The kill may have interrupted the response of the last request.
    let allowed = acknowledged..=acknowledged + 1;
    assert!(allowed.contains(&pushed), "{pushed} of {acknowledged} acknowledged requests");
    println!("{} scrapes, {pushed} pushes", scrapes.load(Ordering::SeqCst));
    server.stop();
}

/// Number of targets with a large body.
const LARGE_TARGETS: usize = 8;

/// Minimum size of a large body, bytes.
const LARGE_BODY: usize = 8 << 20;

/// Memory for bodies, MiB. It has room for two large bodies.
const MAX_IN_FLIGHT_MIB: usize = 20;

/// The WAL accepts nothing until each target has been scraped, so that bodies fill their memory.
/// Scrapes that find no memory fail, and the next tick follows.
#[test]
fn large_bodies_are_stored_within_the_memory_for_bodies() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let line = format!("# {}\n", "x".repeat(1_000));
    let comments = line.repeat(LARGE_BODY / line.len() + 1);
    let target = Scripted::start(move |asked| {
        Reply::text(format!("{comments}large{{n=\"0\"}} 1\nlarge{{n=\"1\"}} {}\n", asked.number))
    });
    let interval = Duration::from_secs(2);
    let keys = format!("scrape_interval: {interval:?}, scrape_timeout: {interval:?}");
    let marker = temp_dir.path().join("marker");
    let server = Launch::narthex(&data)
        .config(&data, &config(&target, LARGE_TARGETS, &keys))
        .flag(format!("--scrape.max-bytes-in-flight={MAX_IN_FLIGHT_MIB}MB"))
        .paused_at(&[("wal.before_write".to_owned(), marker.clone())])
        .start();
    let bytes_in_flight = || {
        let used = Metrics::of(&server.http).sum("narthex_scrape_body_bytes_in_flight");
        let used = used.expect("a metric");
        assert!(used <= (MAX_IN_FLIGHT_MIB << 20) as f64, "{used} bytes");
        used
    };
    wait_until("the first write", || marker.exists());
    // Each scrape begins within an interval, and ends within another one.
    let (paused, mut most) = (Instant::now(), 0.0);
    wait_until("the scrapes of all targets", || {
        most = f64::max(most, bytes_in_flight());
        paused.elapsed() >= 2 * interval
    });
    assert!(most >= 2.0 * LARGE_BODY as f64, "{most} bytes");
    std::fs::remove_file(&marker).expect("the marker can be removed");
    let remote = server.remote();
    wait_until("a scrape of each target", || {
        bytes_in_flight();
        let stored = remote.read(&[Matcher::equal("__name__", "large")], MIN_TIME, MAX_TIME);
        stored.series_count() == 2 * LARGE_TARGETS
    });
    server.stop();
}
