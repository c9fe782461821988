//! The data directory is that of Prometheus: each program starts on a directory of the other one
//! and returns the same samples.
//!
//! Debian's tools skip silently what they cannot read, so all comparisons are of complete sets
//! with a known count. Another program opens a copy, unless both write to the directory in turn.

use std::path::{Path, PathBuf};

use crate::support::data::{self, BEGIN, HOUR};
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::samples::Samples;
use crate::support::wait::wait_until;
use crate::support::{dir, dump};

/// Less than the three hours after which Prometheus compacts the head.
const IN_HEAD: i64 = 2 * HOUR + HOUR / 2;

/// End of a server process.
#[derive(Debug, Clone, Copy)]
enum End {
    /// SIGTERM.
    Stop,
    /// SIGKILL.
    Kill,
}

impl End {
    fn apply(self, server: Server) -> String {
        match self {
            End::Stop => server.stop(),
            End::Kill => server.kill(),
        }
    }
}

/// Asserts that Debian's Prometheus on a copy of the directory returns the samples and logs no
/// warning.
fn assert_prometheus_agrees(data: &Path, expected: &Samples, context: &str) {
    let (_temp_dir, copy) = new_data_dir();
    dir::copy(data, &copy);
    let server = Launch::prometheus(&copy, "").start();
    server.assert_holds(expected, context);
    assert_no_warnings(&server.kill(), context);
}

fn assert_no_warnings(log: &str, context: &str) {
    let warning =
        log.lines().find(|line| line.contains("level=error") || line.contains("level=warn"));
    assert!(warning.is_none(), "{context}: {warning:?}");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn directory_of_narthex_is_read_by_promtool_and_prometheus() {
    let sent = data::assorted(IN_HEAD);
    assert!(sent.count() > 5_000);
    // Segments of the default size, and many small ones.
    let cases = [
        ("snappy", "128MB", End::Stop),
        ("snappy", "64KB", End::Kill),
        ("none", "64KB", End::Stop),
    ];
    for (compression, segment, end) in cases {
        let context = format!("compression {compression}, {end:?}");
        let temp_dir = dir::temp();
        let data = temp_dir.path().join("data");
        let narthex = Launch::narthex(&data)
            .flag(format!("--storage.tsdb.wal-compression-type={compression}"))
            .flag(format!("--storage.tsdb.wal-segment-size={segment}"))
            .start();
        narthex.remote().write_all(&sent);
        narthex.assert_holds(&sent, &context);
        end.apply(narthex);
        assert!(has_entry(&data.join("chunks_head"), "0"), "no head chunks, {context}");
        assert_eq!(dir::segments(&data).len() > 1, segment == "64KB", "{context}");

        dump::dump(&data)
            .with_one_nan()
            .assert_equals(&sent.with_one_nan(), &format!("promtool, {context}"));
        assert_prometheus_agrees(&data, &sent, &format!("prometheus, {context}"));
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn both_programs_write_to_one_directory_in_turn() {
    let sent = data::assorted(IN_HEAD);
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let mut expected = Samples::new();
    let parts = [End::Kill, End::Stop, End::Kill, End::Stop, End::Stop, End::Kill];
    let span = IN_HEAD / 6 + 1;
    for (number, end) in (0..).zip(parts) {
        let start = BEGIN + number * span;
        let part = sent.between(start, start + span);
        let is_narthex = number % 2 == 0;
        let server = if is_narthex {
            Launch::narthex(&data).start()
        } else {
            Launch::prometheus(&data, "").start()
        };
        let context = format!("turn {number}");
        server.assert_holds(&expected, &format!("{context}, before"));
        server.remote().write_all(&part);
        expected.add_all(&part);
        server.assert_holds(&expected, &format!("{context}, after"));
        end.apply(server);
    }
    // Stale markers are slightly after the end of the span.
    assert!(expected.count() + 10 > sent.count(), "{} of {}", expected.count(), sent.count());
    dump::dump(&data).with_one_nan().assert_equals(&expected.with_one_nan(), "promtool at the end");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn directory_of_prometheus_is_read_by_narthex() {
    let sent = data::assorted(IN_HEAD);
    for end in [End::Stop, End::Kill] {
        let temp_dir = dir::temp();
        let data = temp_dir.path().join("data");
        let prometheus = Launch::prometheus(&data, "").start();
        prometheus.remote().write_all(&sent);
        prometheus.assert_holds(&sent, "prometheus");
        end.apply(prometheus);
        let narthex = Launch::narthex(&data).start();
        narthex.assert_holds(&sent, &format!("narthex after {end:?}"));
        narthex.stop();
    }
}

/// Writes a directory with blocks, a checkpoint and head chunks with Debian's Prometheus.
fn write_compacted_by_prometheus(data: &Path, sent: &Samples, end: End) {
    let prometheus = Launch::prometheus(data, "").start();
    for (number, request) in (1..).zip(sent.to_requests(HOUR)) {
        prometheus.remote().write_ok(&request);
        // Head compaction starts when the head spans three hours, and removes two of them.
        let compacted = f64::from((number - 2) / 2).max(0.0);
        wait_until("head compaction", || {
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
    end.apply(prometheus);
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn directory_of_prometheus_with_checkpoint_is_read() {
    let sent = data::assorted(13 * HOUR);
    for end in [End::Stop, End::Kill] {
        let temp_dir = dir::temp();
        let data = temp_dir.path().join("data");
        write_compacted_by_prometheus(&data, &sent, end);
        assert!(has_entry(&data.join("wal"), "checkpoint."), "no checkpoint after {end:?}");
        assert!(has_entry(&data.join("chunks_head"), "0"), "no head chunks after {end:?}");

        let narthex = Launch::narthex(&data).start();
        narthex.assert_holds(&sent, &format!("narthex after {end:?}"));
        narthex.stop();
        assert_prometheus_agrees(&data, &sent, "prometheus after narthex");
    }
}

fn has_entry(dir: &Path, prefix: &str) -> bool {
    let entries = std::fs::read_dir(dir).expect("the directory can be listed");
    entries
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
}

/// Asserts that a program does not start on a directory, and returns its log.
fn failed_start_log(launch: Launch, context: &str) -> String {
    let (status, log) = launch.run_to_end();
    assert!(!status.success(), "{context} ended with {status}: {log}");
    log
}

fn new_data_dir() -> (tempfile::TempDir, PathBuf) {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    (temp_dir, data)
}

#[test]
fn second_narthex_does_not_start_and_first_continues() {
    let (_temp_dir, data) = new_data_dir();
    let first = Launch::narthex(&data).start();
    let log = failed_start_log(Launch::narthex(&data), "a second narthex");
    assert!(log.contains("lock") && log.contains(&data.display().to_string()), "{log}");
    let sent = data::assorted(HOUR / 4);
    first.remote().write_all(&sent);
    first.assert_holds(&sent, "the first narthex");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn locked_directory_stops_start_of_narthex_and_prometheus() {
    let (_temp_dir, data) = new_data_dir();
    let narthex = Launch::narthex(&data).start();
    let log = failed_start_log(Launch::prometheus(&data, ""), "prometheus");
    assert!(log.contains("lock"), "{log}");
    narthex.stop();

    let prometheus = Launch::prometheus(&data, "").start();
    let log = failed_start_log(Launch::narthex(&data), "narthex");
    assert!(log.contains("lock") && log.contains(&data.display().to_string()), "{log}");
    prometheus.stop();
    Launch::narthex(&data).start().stop();
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn wal_open_in_prometheus_without_lock_stops_start() {
    let (_temp_dir, data) = new_data_dir();
    let prometheus =
        Launch::prometheus(&data, "").without_flag("--storage.tsdb.use-lockfile").start();
    let log = failed_start_log(Launch::narthex(&data), "narthex");
    assert!(log.contains("open") && log.contains(&prometheus.program.pid().to_string()), "{log}");
    prometheus.stop();
    Launch::narthex(&data).start().stop();
}
