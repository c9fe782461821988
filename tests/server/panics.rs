//! Panics inside the server: requests get a response, the panic is reported, and maintenance runs
//! again.

use crate::support::data::{BEGIN, HOUR};
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::samples::Samples;
use crate::support::wait::wait_until;
use crate::support::wire::WriteRequest;

const PANICS: &str = "narthex_tsdb_maintenance_panics_total";

/// Returns a request with a sample of one series for each minute.
fn request(minutes: std::ops::Range<i64>) -> WriteRequest {
    let samples: Vec<(i64, f64)> =
        minutes.map(|minute| (BEGIN + minute * 60_000, minute as f64)).collect();
    WriteRequest::one(&[("__name__", "steady")], &samples)
}

fn write(server: &Server, stored: &mut Samples, minutes: std::ops::Range<i64>) {
    let request = request(minutes);
    server.remote().write_ok(&request);
    stored.add_request(&request);
}

/// Returns a launch that panics at the first `times` hits of the fail point of head compaction.
fn panicking(times: u32) -> (tempfile::TempDir, Launch) {
    let temp_dir = dir::temp();
    let points: Vec<String> = (1..=times).map(|hit| format!("compact.write@{hit}=panic")).collect();
    let launch =
        Launch::narthex(&temp_dir.path().join("data")).flag("--storage.tsdb.min-block-duration=1h");
    (temp_dir, launch.env("NARTHEX_FAULT_POINTS", points.join(";")))
}

fn wait_for_compaction(server: &Server) {
    wait_until("head compaction", || {
        Metrics::of(&server.http).sum("prometheus_tsdb_head_truncations_total") > Some(0.0)
    });
}

#[test]
fn maintenance_runs_again_after_a_panic() {
    let (_temp_dir, launch) = panicking(1);
    let (server, mut stored) = (launch.start(), Samples::new());
    write(&server, &mut stored, 0..3 * HOUR / 60_000);
    wait_for_compaction(&server);
    assert_eq!(Metrics::of(&server.http).sum(PANICS), Some(1.0));
    assert_eq!(server.http.get("/-/healthy").status, 200);
    server.assert_holds(&stored, "after a panic of maintenance");
    let log = server.stop();
    assert!(log.contains("thread panicked") && log.contains("fail point compact.write"), "{log}");
}

#[test]
fn repeated_panics_of_maintenance_are_unhealthy() {
    let (_temp_dir, launch) = panicking(4);
    let (server, mut stored) = (launch.start(), Samples::new());
    write(&server, &mut stored, 0..3 * HOUR / 60_000);
    wait_until("the unhealthy state", || {
        let healthy = server.http.get("/-/healthy");
        healthy.status == 503 && healthy.text().contains("maintenance panicked")
    });
    // Reads, writes and maintenance runs continue.
    write(&server, &mut stored, 180..190);
    assert_eq!(server.http.get("/-/ready").status, 200);
    wait_for_compaction(&server);
    wait_until("the healthy state", || server.http.get("/-/healthy").status == 200);
    assert_eq!(Metrics::of(&server.http).sum(PANICS), Some(4.0));
    server.assert_holds(&stored, "after panics of maintenance");
    server.stop();
}

#[test]
fn panic_in_wal_write_fails_every_waiting_write() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let server =
        Launch::narthex(&data).env("NARTHEX_FAULT_POINTS", "wal.before_write@2=panic").start();
    let mut stored = Samples::new();
    write(&server, &mut stored, 0..1);
    let remote = server.remote();
    std::thread::scope(|scope| {
        let write = |number: usize| {
            let labels = [("__name__", "many"), ("number", &number.to_string())];
            remote.write(&WriteRequest::one(&labels, &[(BEGIN, 1.0)])).status
        };
        let senders: Vec<_> = (0..8).map(|number| scope.spawn(move || write(number))).collect();
        for sender in senders {
            let status = sender.join().expect("a response to each write");
            assert!([500, 503].contains(&status), "{status}");
        }
    });
    let healthy = server.http.get("/-/healthy");
    assert!(healthy.status == 503 && healthy.text().contains("restart"), "{}", healthy.text());
    assert_eq!(server.remote().write(&request(1..2)).status, 503);
    assert_eq!(server.http.get("/api/v1/export?match[]=steady").status, 200);
    server.kill();
    let server = Launch::narthex(&data).start();
    server.assert_holds(&stored, "after a panic and a kill");
    server.stop();
}
