//! Life cycle of the process: start, readiness, signals, shutdown, as an operator sees it.

use std::path::PathBuf;
use std::process::Command;

use crate::support::admin::{self, Admin};
use crate::support::data::{self, BEGIN, HOUR};
use crate::support::dir;
use crate::support::http::Http;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::metrics::Metrics;
use crate::support::samples::Samples;
use crate::support::wait::{wait_for, wait_until};
use crate::support::wire::WriteRequest;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

fn run_narthex(arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_narthex")).args(arguments).output().expect("narthex runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("narthex prints UTF-8"))
}

fn new_data_dir() -> (tempfile::TempDir, PathBuf) {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    (temp_dir, data)
}

/// Returns a launch with a management listener, and a client of that listener.
fn with_management(launch: Launch) -> (Launch, Http) {
    let port = free_port();
    let flag = format!("--web.management-listen-address=127.0.0.1:{port}");
    (launch.flag(flag), Http::new(port))
}

/// Returns a launch that pauses at a fail point, and the file that exists during the pause.
fn paused_at(launch: Launch, point: &str, marker: PathBuf) -> (Launch, PathBuf) {
    (launch.paused_at(&[(point.to_owned(), marker.clone())]), marker)
}

#[test]
fn version_and_help_are_printed() {
    let (ok, version) = run_narthex(&["--version"]);
    assert!(
        ok && version.starts_with(concat!("narthex ", env!("CARGO_PKG_VERSION")))
            && version.contains("commit"),
        "{version}"
    );
    let (ok, help) = run_narthex(&["--help"]);
    assert!(ok && help.contains("serve"), "{help}");
    let (ok, help) = run_narthex(&["serve", "--help"]);
    for flag in [
        "--config.file",
        "--storage.tsdb.path",
        "--storage.tsdb.wal-sync",
        "--web.listen-address",
        "--log.level",
    ] {
        assert!(ok && help.contains(flag), "{flag} is not in {help}");
    }
}

#[test]
fn invalid_command_line_names_the_flag() {
    let invalid = [
        "--storage.tsdb.pathh=x",
        "--storage.tsdb.wal-segment-size=1KB",
        "--web.enable-otlp-receiver=true",
        "--web.external-url=ftp://host/",
        "--web.route-prefix=/a//b",
        "--web.cors.origin=(",
        "--web.management-listen-address=9202",
    ];
    for flag in invalid {
        let (ok, text) = run_narthex(&["serve", flag]);
        let name = flag.split_once('=').expect("a flag with a value").0;
        assert!(!ok && text.contains(name), "{flag}: {text}");
    }
}

#[test]
fn port_in_use_names_flag_and_address() {
    let (_temp_dir, data) = new_data_dir();
    let first = Launch::narthex(&data).start();
    let port = first.http.port();
    let (_other_place, other) = new_data_dir();
    let (status, log) = Launch::narthex(&other).port(port).run_to_end();
    assert!(!status.success(), "{log}");
    assert!(log.contains("--web.listen-address") && log.contains(&port.to_string()), "{log}");
    let flag = format!("--web.management-listen-address=127.0.0.1:{port}");
    let (status, log) = Launch::narthex(&other).flag(&flag).run_to_end();
    assert!(!status.success() && log.contains(&flag), "{log}");
    assert!(!other.exists(), "the data directory was created before all sockets were bound");
}

#[test]
fn start_prints_directory_urls_and_prometheus_yml() {
    let (_temp_dir, data) = new_data_dir();
    let server = Launch::narthex(&data).flag("--web.enable-remote-write-receiver").start();
    let url = server.http.url("/api/v1/write");
    let log = server.stop();
    let directory = data.display().to_string();
    for part in [
        url.as_str(),
        "/api/v1/read",
        "remote_write",
        "remote_read",
        directory.as_str(),
        "interval",
    ] {
        assert!(log.contains(part), "{part:?} is not in {log}");
    }
    let about_flag =
        log.lines().filter(|line| line.contains("web.enable-remote-write-receiver")).count();
    assert_eq!(about_flag, 1, "{log}");
}

#[test]
fn replaying_server_is_healthy_not_ready_and_shows_progress() {
    let (temp_dir, data) = new_data_dir();
    let sent = data::assorted(HOUR);
    let first = Launch::narthex(&data).start();
    first.remote().write_all(&sent);
    first.kill();

    let (launch, management) = with_management(Launch::narthex(&data));
    let (launch, marker) = paused_at(launch, "replay.record", temp_dir.path().join("marker"));
    let mut server = launch.spawn();
    wait_until("the paused replay", || marker.exists());
    for http in [&server.http, &management] {
        let healthy = wait_for("a response", || http.try_get("/-/healthy").ok());
        assert_eq!(healthy.status, 200);
        assert_eq!(http.get("/-/ready").status, 503);
    }
    let write =
        server.remote().write(&WriteRequest::one(&[("__name__", "early")], &[(BEGIN, 1.0)]));
    assert_eq!(write.status, 503, "{}", write.text());
    let seconds: u32 =
        write.header("retry-after").expect("a Retry-After").parse().expect("seconds");
    assert!((1..=5).contains(&seconds), "Retry-After is {seconds}");
    let progress = server.http.get("/api/v1/status/walreplay");
    assert_eq!(progress.status, 200);
    let progress = progress.json();
    assert_eq!(progress["status"], "success");
    let number = |name: &str| {
        progress["data"][name].as_i64().unwrap_or_else(|| panic!("no {name} in {progress}"))
    };
    assert!(number("min") <= number("max") && number("current") <= number("max"), "{progress}");

    std::fs::remove_file(&marker).expect("the marker can be removed");
    server.wait_ready();
    assert_eq!(management.get("/-/ready").status, 200);
    server.assert_holds(&sent, "after the replay");
    server.stop();
}

/// The alerts NarthexIngestStopped and NarthexReadOnly depend on these values.
#[test]
fn metrics_tell_empty_head_and_replay_apart() {
    let (temp_dir, data) = new_data_dir();
    let values = |server: &Server| {
        let metrics = Metrics::of(&server.http);
        ["prometheus_tsdb_head_max_time", "prometheus_ready", "narthex_tsdb_writable"]
            .map(|name| metrics.sum(name).expect("a metric of every start"))
    };
    let server = Launch::narthex(&data).start();
    assert_eq!(values(&server), [i64::MIN as f64, 1.0, 1.0], "an empty head");
    server.remote().write_ok(&WriteRequest::one(&[("__name__", "a")], &[(BEGIN, 1.0)]));
    assert_eq!(values(&server), [BEGIN as f64, 1.0, 1.0]);
    server.kill();

    let launch = Launch::narthex(&data);
    let (launch, marker) = paused_at(launch, "replay.record", temp_dir.path().join("marker"));
    let mut server = launch.spawn();
    wait_until("the paused replay", || marker.exists());
    wait_until("a response", || server.http.try_get("/metrics").is_ok());
    assert_eq!(values(&server), [0.0, 0.0, 0.0], "during the replay");
    std::fs::remove_file(&marker).expect("the marker can be removed");
    server.wait_ready();
    assert_eq!(values(&server), [BEGIN as f64, 1.0, 1.0], "after the replay");
    server.stop();
}

/// Pauses a write, ends the server with `end`, and continues the write, which must succeed. The
/// management listener serves until then.
fn assert_write_finishes(end: impl Fn(&Server)) {
    let (temp_dir, data) = new_data_dir();
    let (launch, management) = with_management(Launch::narthex(&data));
    let (launch, marker) = paused_at(launch, "wal.before_write", temp_dir.path().join("marker"));
    let mut server = launch.start();
    let request = WriteRequest::one(&[("__name__", "last")], &[(BEGIN, 1.0)]);
    let remote = server.remote();
    std::thread::scope(|scope| {
        let response = scope.spawn(|| remote.write(&request));
        wait_until("the paused write", || marker.exists());
        end(&server);
        wait_until("rejected requests", || {
            server.http.try_get("/-/ready").map_or(true, |response| response.status == 503)
        });
        assert!(server.program.is_running(), "the server does not wait for the request");
        assert_eq!(management.get("/-/healthy").status, 200);
        let ready = management.get("/-/ready");
        assert_eq!((ready.status, ready.text().as_str()), (503, "narthex is shutting down\n"));
        std::fs::remove_file(&marker).expect("the marker can be removed");
        let response = response.join().expect("no panic");
        assert_eq!(response.status, 204, "{}", response.text());
    });
    let status = server.program.wait_exit();
    assert!(status.success(), "exit status {status}");

    let server = Launch::narthex(&data).start();
    let mut expected = Samples::new();
    expected.add_request(&request);
    server.assert_holds(&expected, "after the shutdown");
}

#[test]
fn sigterm_finishes_write_and_exits_with_0() {
    assert_write_finishes(|server| server.program.signal("TERM"));
}

#[test]
fn sigint_finishes_write_and_exits_with_0() {
    assert_write_finishes(|server| server.program.signal("INT"));
}

#[test]
fn sigterm_cancels_snapshot_and_exits_with_0() {
    let (temp_dir, data) = new_data_dir();
    let marker = temp_dir.path().join("marker");
    let (launch, marker) =
        paused_at(Launch::narthex(&data).flag(admin::ENABLE), "snapshot.write", marker);
    let mut server = launch.start();
    let sent = data::assorted(HOUR);
    server.remote().write_all(&sent);
    let http = server.http.clone();
    std::thread::scope(|scope| {
        let response = scope.spawn(|| Admin::of(&http).try_snapshot().expect("a response"));
        wait_until("the paused snapshot", || marker.exists());
        server.program.signal("TERM");
        wait_until("the shutdown", || server.program.log().contains("shutting down"));
        std::fs::remove_file(&marker).expect("the marker can be removed");
        let response = response.join().expect("no panic");
        assert_eq!(response.status, 503, "{}", response.text());
    });
    let status = server.program.wait_exit();
    assert!(status.success(), "exit status {status}");
    assert_eq!(std::fs::read_dir(data.join("snapshots")).expect("a directory").count(), 0);
    let server = Launch::narthex(&data).start();
    server.assert_holds(&sent, "after the shutdown");
    server.stop();
}

#[test]
fn other_signals_do_not_end_the_process() {
    let (_temp_dir, data) = new_data_dir();
    let server = Launch::narthex(&data).start();
    for name in ["USR1", "USR2", "ALRM", "XFSZ"] {
        server.program.signal(name);
    }
    let sent = data::assorted(HOUR);
    server.remote().write_all(&sent);
    server.assert_holds(&sent, "after the signals");
    server.stop();
}

/// Sets the maximum file size of a server process, bytes. `None` = unlimited.
fn limit_file_size(server: &Server, bytes: Option<u64>) {
    let pid = i32::try_from(server.program.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(pid, Resource::Fsize, limit).expect("the limit of a child can be set");
}

#[test]
fn file_size_limit_makes_read_only_until_it_is_raised() {
    let (_temp_dir, data) = new_data_dir();
    let mut server = Launch::narthex(&data).start();
    let mut stored = Samples::new();
    let request = |number: i64| {
        let samples: Vec<(i64, f64)> = (0..1000)
            .map(|step| {
                let t = BEGIN + number * 1000 + step;
                (t, f64::from_bits((t as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2))
            })
            .collect();
        WriteRequest::one(&[("__name__", "grows")], &samples)
    };
    limit_file_size(&server, Some(48 << 10));
    let rejected = (0..1000)
        .find(|number| {
            let response = server.remote().write(&request(*number));
            if response.status == 204 {
                stored.add_request(&request(*number));
            }
            response.status != 204
        })
        .expect("the WAL reaches the limit");
    assert_eq!(server.remote().write(&request(rejected)).status, 503);
    assert!(server.program.is_running());
    let healthy = server.http.get("/-/healthy");
    assert!(healthy.status == 200 && healthy.text().contains("read-only"), "{}", healthy.text());
    assert_eq!(server.http.get("/-/ready").status, 200);

    limit_file_size(&server, None);
    wait_until("a successful write", || server.remote().write(&request(rejected)).status == 204);
    stored.add_request(&request(rejected));
    server.assert_holds(&stored, "without the limit");
    server.kill();
    let server = Launch::narthex(&data).start();
    server.assert_holds(&stored, "after a kill");
    server.stop();
}

#[test]
fn metrics_have_prometheus_names_and_count_samples() {
    let (_temp_dir, data) = new_data_dir();
    let strict = "storage:\n  tsdb:\n    out_of_order_time_window: 0s\n";
    let server = Launch::narthex(&data).config(&data, strict).start();
    let sent = data::assorted(HOUR);
    server.remote().write_all(&sent);
    let oldest = sent.iter().map(|(_, t, _)| t).min().expect("samples were sent");
    let newest = sent.max_time().expect("samples were sent");
    let partially_invalid = WriteRequest::one(
        &[("__name__", "conflict")],
        &[(newest, 1.0), (newest, 2.0), (newest - 1, 1.0)],
    );
    assert_eq!(server.remote().write(&partially_invalid).status, 400);

    let (series, samples) = (sent.series_count() as f64 + 1.0, sent.count() as f64 + 1.0);
    let metrics = Metrics::of(&server.http);
    let value = |name: &str| metrics.sum(name).unwrap_or_else(|| panic!("no metric {name}"));
    assert_eq!(value("prometheus_tsdb_head_series"), series);
    assert_eq!(value("prometheus_tsdb_head_series_created_total"), series);
    assert_eq!(value("prometheus_tsdb_head_samples_appended_total"), samples);
    assert_eq!(value("prometheus_tsdb_head_min_time"), oldest as f64);
    assert_eq!(value("prometheus_tsdb_head_max_time"), newest as f64);
    assert_eq!(value("prometheus_tsdb_out_of_order_samples_total"), 1.0);
    assert_eq!(value("prometheus_tsdb_wal_corruptions_total"), 0.0);
    assert!(value("prometheus_tsdb_head_chunks") >= series);
    assert!(value("prometheus_tsdb_head_chunks_created_total") >= series);
    assert!(value("prometheus_tsdb_wal_segment_current") >= 0.0);
    assert!(value("process_resident_memory_bytes") > 0.0);
    assert!(value("process_cpu_seconds_total") >= 0.0);
    assert!(value("process_start_time_seconds") > 0.0);
    let written = metrics.sum_where("prometheus_http_requests_total", r#"handler="/api/v1/write""#);
    assert!(written > Some(1.0), "{written:?}");

    server.kill();
    let server = Launch::narthex(&data).start();
    let metrics = Metrics::of(&server.http);
    assert_eq!(metrics.sum("prometheus_tsdb_head_series"), Some(series), "after a restart");
    assert_eq!(
        metrics.sum("prometheus_tsdb_head_max_time"),
        Some(newest as f64),
        "after a restart"
    );
    assert!(metrics.sum("prometheus_tsdb_data_replay_duration_seconds").is_some());
}

#[test]
fn unknown_configuration_key_stops_start() {
    let (temp_dir, data) = new_data_dir();
    let file = temp_dir.path().join("narthex.yml");
    let launch = || Launch::narthex(&data).flag(format!("--config.file={}", file.display()));
    for (text, part) in
        [("rule_files: [a.yml]\n", "rule_files"), ("storage: {tsdb: {nonsense: 1}}\n", "nonsense")]
    {
        std::fs::write(&file, text).expect("a file can be written");
        let (status, log) = launch().run_to_end();
        assert!(!status.success() && log.contains(part), "{text}: {log}");
    }
    std::fs::write(&file, "storage: {tsdb: {}}\n").expect("a file can be written");
    launch().start().stop();
}
