//! Kills with SIGKILL while requests or scrapes are written: each one is stored completely or not
//! at all.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use rand::RngExt;
use tempfile::TempDir;

use crate::support::atomic::{JOB, body, request, requests_in, scrapes_in};
use crate::support::clock::now_ms;
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::scripted::{Reply, Scripted};
use crate::support::seed::seeded;
use crate::support::wait::wait_until;
use crate::support::wire::Matcher;

/// Writes until the server is killed. `kill_when` returns when that should happen, given the number
/// of acknowledged requests. Returns the next request.
fn write_until_killed(launch: Launch, first: i64, kill_when: impl FnOnce(&AtomicI64)) -> i64 {
    let mut server = launch.start();
    let found = requests_in(&server.remote().read_all_points(), "after a start");
    assert!(found.iter().all(|n| *n < first), "{found:?} at {first}");
    let acknowledged = AtomicI64::new(0);
    let next = thread::scope(|scope| {
        let (remote, acknowledged) = (server.remote(), &acknowledged);
        let writer = scope.spawn(move || {
            let mut n = first;
            while let Ok(answer) = remote.try_write(&request(n)) {
                assert_eq!(answer.status, 204, "{}", answer.text());
                acknowledged.fetch_add(1, Ordering::SeqCst);
                n += 1;
            }
            n
        });
        kill_when(acknowledged);
        server.program.kill();
        writer.join().expect("the writer ends without a panic")
    });
    let acknowledged = acknowledged.into_inner();
    assert_eq!(next, first + acknowledged);
    next
}

/// Checks what a start finds: everything before `first` that was stored, and all of `first..next`.
fn check(launch: Launch, first: i64, next: i64) {
    let server = launch.start();
    let found = requests_in(&server.remote().read_all_points(), "after a kill");
    assert!((first..next).all(|n| found.contains(&n)), "{found:?} of {first}..{next}");
    server.stop();
}

#[test]
fn request_is_stored_completely_or_not_at_all() {
    let mut rng = seeded("atomic requests");
    let temp = dir::temp();
    let launch =
        || Launch::narthex(&temp.path().join("data")).flag("--storage.tsdb.wal-segment-size=64KB");
    let mut first = 1;
    for _ in 0..12 {
        let count = rng.random_range(5..60);
        let next = write_until_killed(launch(), first, |acknowledged| {
            wait_until("acknowledged requests", || acknowledged.load(Ordering::SeqCst) >= count);
        });
        check(launch(), first, next);
        // The request without a response may be stored or not, and is not sent again.
        first = next + 1;
    }
}

/// Kills the server at the `hit`-th time that it reaches a fail point, and checks the requests.
fn kill_at(point: &str, hit: usize) -> TempDir {
    let temp = dir::temp();
    let launch =
        || Launch::narthex(&temp.path().join("data")).flag("--storage.tsdb.wal-segment-size=64KB");
    let marker = temp.path().join("reached");
    let paused = format!("{point}@{hit}=pause:{}", marker.display());
    let next = write_until_killed(launch().env("NARTHEX_FAULT_POINTS", paused), 1, |_| {
        wait_until(point, || marker.exists());
    });
    check(launch(), 1, next);
    temp
}

/// Between two segments, a request would be cut if it could cross them.
#[test]
fn request_does_not_cross_segments() {
    for roll in 2..8 {
        kill_at("wal.segment_roll", roll);
    }
}

/// The file has all records of the request, but their write is not finished.
#[test]
fn unfinished_write_has_no_request() {
    for hit in [1, 2, 9] {
        let temp = kill_at("wal.unfinished_write", hit);
        assert!(!temp.path().join("data/quarantine").exists(), "an unfinished write is no damage");
    }
}

/// Number of series of a scraped target.
const SCRAPED: usize = 500;

/// Starts a target of which the values are the number of the request.
fn start_target() -> Scripted {
    Scripted::start(|asked| Reply::text(body(SCRAPED, asked.number)))
}

/// Prepares a server that scrapes the target as fast as it can.
fn scraping(dir: &Path, target: &Scripted) -> Launch {
    let data = dir.join("data");
    let config = format!(
        "scrape_configs:\n- {{job_name: {JOB}, scrape_interval: 50ms, scrape_timeout: 50ms, \
         static_configs: [{{targets: ['{}']}}]}}\n",
        target.address()
    );
    Launch::narthex(&data)
        .config(&data, &config)
        .flag("--storage.tsdb.wal-segment-size=64KB")
        .flag("--scrape.discovery-reload-interval=10ms")
}

/// Checks the scrapes that are stored since a time, and that those of `before` are among them.
/// Returns their numbers.
fn check_scrapes(server: &Server, since: i64, before: &BTreeSet<u64>, what: &str) -> BTreeSet<u64> {
    let points = server.remote().read_points(&[Matcher::equal("job", JOB)], since, MAX_TIME);
    let found = scrapes_in(&points, SCRAPED, what);
    let missing: Vec<&u64> = before.difference(&found).collect();
    assert!(missing.is_empty(), "{what}: {missing:?} of {before:?}");
    found
}

#[test]
fn scrape_is_stored_completely_or_not_at_all() {
    let mut rng = seeded("atomic scrapes");
    let temp = dir::temp();
    let target = start_target();
    let (mut since, mut stored) = (0, BTreeSet::new());
    let mut count = 0;
    for round in 0..12 {
        let begin = now_ms();
        let mut server = scraping(temp.path(), &target).start();
        count += check_scrapes(&server, since, &stored, &format!("start {round}")).len();
        let wanted = target.requests("/metrics") + rng.random_range(3..25);
        wait_until("scrapes", || target.requests("/metrics") >= wanted);
        // The scrapes before this start are checked, so the next one looks at later ones.
        since = begin;
        stored = check_scrapes(&server, since, &BTreeSet::new(), "before a kill");
        let wanted = target.requests("/metrics") + rng.random_range(1..4);
        wait_until("scrapes", || target.requests("/metrics") >= wanted);
        server.program.kill();
    }
    let server = scraping(temp.path(), &target).start();
    count += check_scrapes(&server, since, &stored, "at the end").len();
    println!("{count} scrapes of {} requests", target.requests("/metrics"));
    assert!(count >= 30, "{count}");
    server.stop();
}

#[test]
fn scrape_does_not_cross_segments() {
    for roll in 2..6 {
        let temp = dir::temp();
        let target = start_target();
        let marker = temp.path().join("reached");
        let paused = format!("wal.segment_roll@{roll}=pause:{}", marker.display());
        let mut server = scraping(temp.path(), &target).env("NARTHEX_FAULT_POINTS", paused).start();
        wait_until("a segment cut", || marker.exists());
        let asked = target.requests("/metrics");
        server.program.kill();
        let server = scraping(temp.path(), &target).start();
        let found = check_scrapes(&server, MIN_TIME, &BTreeSet::new(), "after a kill");
        let before_kill = found.iter().filter(|number| **number <= asked).count();
        assert!(before_kill > 2, "{found:?}");
        server.stop();
    }
}
