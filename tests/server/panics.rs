//! What panics inside is answered, reported and gone on from: maintenance runs again, and no write
//! waits for ever.

use crate::support::data::{BEGIN, HOUR};
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::samples::Samples;
use crate::support::wait::wait_until;
use crate::support::wire::WriteRequest;

const PANICS: &str = "narthex_tsdb_maintenance_panics_total";

/// A sample of one series at each of these minutes.
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

/// Panics at the first so many hits of the point of a head compaction.
fn panicking(times: u32) -> (tempfile::TempDir, Launch) {
    let place = dir::temp();
    let points: Vec<String> = (1..=times).map(|hit| format!("compact.write@{hit}=panic")).collect();
    let launch =
        Launch::narthex(&place.path().join("data")).flag("--storage.tsdb.min-block-duration=1h");
    (place, launch.env("NARTHEX_FAULT_POINTS", points.join(";")))
}

fn wait_for_compaction(server: &Server) {
    wait_until("the head to be compacted", || {
        Metrics::of(&server.http).sum("prometheus_tsdb_head_truncations_total") > Some(0.0)
    });
}

#[test]
fn maintenance_that_panics_once_runs_again() {
    let (_place, launch) = panicking(1);
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
fn maintenance_that_panics_again_and_again_is_unhealthy() {
    let (_place, launch) = panicking(4);
    let (server, mut stored) = (launch.start(), Samples::new());
    write(&server, &mut stored, 0..3 * HOUR / 60_000);
    wait_until("bad health", || {
        let healthy = server.http.get("/-/healthy");
        healthy.status == 503 && healthy.text().contains("maintenance panicked")
    });
    // Reads and writes go on, and so do the attempts.
    write(&server, &mut stored, 180..190);
    assert_eq!(server.http.get("/-/ready").status, 200);
    wait_for_compaction(&server);
    wait_until("good health", || server.http.get("/-/healthy").status == 200);
    assert_eq!(Metrics::of(&server.http).sum(PANICS), Some(4.0));
    server.assert_holds(&stored, "after panics of maintenance");
    server.stop();
}

#[test]
fn panic_while_the_log_is_written_answers_every_write() {
    let place = dir::temp();
    let data = place.path().join("data");
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
            let status = sender.join().expect("each write is answered");
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
