//! The data directory is Prometheus's: each program starts on what the other wrote, and answers the
//! same.
//!
//! Debian's tools leave out without a word what they cannot read, so every comparison is of whole
//! sets whose count is known. What another program opens is a copy, unless both are to write to it
//! in turn.

use std::path::{Path, PathBuf};

use crate::support::data::{self, BEGIN, HOUR};
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::samples::Samples;
use crate::support::wait::wait_until;
use crate::support::{dir, dump};

/// Short of the three hours at which a Prometheus turns the head's beginning into a block.
const IN_HEAD: i64 = 2 * HOUR + HOUR / 2;

/// How a server ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// SIGTERM.
    Stop,
    /// kill -9.
    Kill,
}

impl End {
    fn of(self, server: Server) -> String {
        match self {
            End::Stop => server.stop(),
            End::Kill => server.kill(),
        }
    }
}

/// Debian's Prometheus on a copy of a directory: it says nothing bad and answers with the samples.
fn prometheus_agrees(data: &Path, expected: &Samples, what: &str) {
    let (_place, copy) = fresh_directory();
    dir::copy(data, &copy);
    let server = Launch::prometheus(&copy, "").start();
    server.assert_holds(expected, what);
    says_nothing_bad(&server.kill(), what);
}

fn says_nothing_bad(log: &str, what: &str) {
    let bad = log.lines().find(|line| line.contains("level=error") || line.contains("level=warn"));
    assert!(bad.is_none(), "{what}: {bad:?}");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn what_narthex_wrote_is_read_by_promtool_and_by_prometheus() {
    let sent = data::assorted(IN_HEAD);
    assert!(sent.count() > 5_000);
    // Segments of a usual size, and many small ones.
    let ways = [
        ("snappy", "128MB", End::Stop),
        ("snappy", "64KB", End::Kill),
        ("none", "64KB", End::Stop),
    ];
    for (compression, segment, end) in ways {
        let what = format!("compression {compression}, {end:?}");
        let place = dir::temp();
        let data = place.path().join("data");
        let narthex = Launch::narthex(&data)
            .flag(format!("--storage.tsdb.wal-compression-type={compression}"))
            .flag(format!("--storage.tsdb.wal-segment-size={segment}"))
            .start();
        narthex.remote().write_all(&sent);
        narthex.assert_holds(&sent, &what);
        end.of(narthex);
        assert!(has_entry(&data.join("chunks_head"), "0"), "no head chunks, {what}");
        assert_eq!(dir::segments(&data).len() > 1, segment == "64KB", "{what}");

        dump::dump(&data)
            .with_one_nan()
            .assert_equals(&sent.with_one_nan(), &format!("promtool, {what}"));
        prometheus_agrees(&data, &sent, &format!("prometheus, {what}"));
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn both_programs_write_to_one_directory_in_turn() {
    let sent = data::assorted(IN_HEAD);
    let place = dir::temp();
    let data = place.path().join("data");
    let mut expected = Samples::new();
    let parts = [End::Kill, End::Stop, End::Kill, End::Stop, End::Stop, End::Kill];
    let span = IN_HEAD / 6 + 1;
    for (number, end) in (0..).zip(parts) {
        let begin = BEGIN + number * span;
        let part = sent.between(begin, begin + span);
        let is_narthex = number % 2 == 0;
        let server = if is_narthex {
            Launch::narthex(&data).start()
        } else {
            Launch::prometheus(&data, "").start()
        };
        let what = format!("turn {number}");
        server.assert_holds(&expected, &format!("{what}, before"));
        server.remote().write_all(&part);
        expected.add_all(&part);
        server.assert_holds(&expected, &format!("{what}, after"));
        end.of(server);
    }
    // The stale markers stand a little behind the end of the span.
    assert!(expected.count() + 10 > sent.count(), "{} of {}", expected.count(), sent.count());
    dump::dump(&data).with_one_nan().assert_equals(&expected.with_one_nan(), "promtool in the end");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn what_prometheus_wrote_is_read_by_narthex() {
    let sent = data::assorted(IN_HEAD);
    for end in [End::Stop, End::Kill] {
        let place = dir::temp();
        let data = place.path().join("data");
        let prometheus = Launch::prometheus(&data, "").start();
        prometheus.remote().write_all(&sent);
        prometheus.assert_holds(&sent, "prometheus");
        end.of(prometheus);
        let narthex = Launch::narthex(&data).start();
        narthex.assert_holds(&sent, &format!("narthex after {end:?}"));
        narthex.stop();
    }
}

/// A directory with blocks, a checkpoint and head chunks, by Debian's Prometheus.
fn compacted_by_prometheus(data: &Path, sent: &Samples, end: End) {
    let prometheus = Launch::prometheus(data, "").start();
    for (number, request) in (1..).zip(sent.to_requests(HOUR)) {
        prometheus.remote().write_ok(&request);
        // The head begins to be compacted when it spans three hours; then two hours go.
        let compacted = f64::from((number - 2) / 2).max(0.0);
        wait_until("the head to be compacted", || {
            Metrics::of(&prometheus.http).sum("prometheus_tsdb_head_truncations_total")
                >= Some(compacted)
        });
    }
    assert!(
        Metrics::of(&prometheus.http).sum("prometheus_tsdb_checkpoint_creations_total")
            >= Some(1.0),
        "no checkpoint"
    );
    prometheus.assert_holds(sent, "prometheus with blocks");
    end.of(prometheus);
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn what_prometheus_left_behind_a_checkpoint_is_read_by_narthex() {
    let sent = data::assorted(13 * HOUR);
    for end in [End::Stop, End::Kill] {
        let place = dir::temp();
        let data = place.path().join("data");
        compacted_by_prometheus(&data, &sent, end);
        assert!(has_entry(&data.join("wal"), "checkpoint."), "no checkpoint after {end:?}");
        assert!(has_entry(&data.join("chunks_head"), "0"), "no head chunks after {end:?}");

        let narthex = Launch::narthex(&data).start();
        narthex.assert_holds(&sent, &format!("narthex after {end:?}"));
        narthex.stop();
        prometheus_agrees(&data, &sent, "prometheus after narthex");
    }
}

fn has_entry(folder: &Path, prefix: &str) -> bool {
    let entries = std::fs::read_dir(folder).expect("the folder can be listed");
    entries
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
}

/// A program that must not start on a directory: what it says.
fn refusal(launch: Launch, what: &str) -> String {
    let (status, log) = launch.run_to_end();
    assert!(!status.success(), "{what} ended with {status}: {log}");
    log
}

fn fresh_directory() -> (tempfile::TempDir, PathBuf) {
    let place = dir::temp();
    let data = place.path().join("data");
    (place, data)
}

#[test]
fn a_second_narthex_is_refused_and_the_first_goes_on() {
    let (_place, data) = fresh_directory();
    let first = Launch::narthex(&data).start();
    let said = refusal(Launch::narthex(&data), "a second narthex");
    assert!(said.contains("lock") && said.contains(&data.display().to_string()), "{said}");
    let sent = data::assorted(HOUR / 4);
    first.remote().write_all(&sent);
    first.assert_holds(&sent, "the first narthex");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn locked_directory_stops_start_of_narthex_and_prometheus() {
    let (_place, data) = fresh_directory();
    let narthex = Launch::narthex(&data).start();
    let said = refusal(Launch::prometheus(&data, ""), "prometheus");
    assert!(said.contains("lock"), "{said}");
    narthex.stop();

    let prometheus = Launch::prometheus(&data, "").start();
    let said = refusal(Launch::narthex(&data), "narthex");
    assert!(said.contains("lock") && said.contains(&data.display().to_string()), "{said}");
    prometheus.stop();
    Launch::narthex(&data).start().stop();
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn wal_open_in_prometheus_without_lock_stops_start() {
    let (_place, data) = fresh_directory();
    let prometheus =
        Launch::prometheus(&data, "").without_flag("--storage.tsdb.use-lockfile").start();
    let said = refusal(Launch::narthex(&data), "narthex");
    assert!(
        said.contains("open") && said.contains(&prometheus.program.pid().to_string()),
        "{said}"
    );
    prometheus.stop();
    Launch::narthex(&data).start().stop();
}
