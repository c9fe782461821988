//! Exemplars of the running server: those in directories of Prometheus 3.14.0, compared with its
//! own responses, the query API, and exemplars of remote write.

use crate::support::launch::Launch;
use crate::support::launch::Server;
use crate::support::metrics::Metrics;
use crate::support::wait::wait_until;
use crate::support::wire::{Exemplar, Label, TimeSeries, WriteRequest};
use crate::support::{dir, golden};
use serde_json::{Value, json};

/// Query of all exemplars.
const ALL: &str = "/api/v1/query_exemplars?query=%7B__name__%3D~%22.%2B%22%7D";

/// Starts narthex twice on a case. Asserts that its response equals that of Prometheus, also in the
/// order.
fn assert_exemplars_of_prometheus(case: &str, count: f64) {
    let temp_dir = dir::temp();
    let data = golden::unpack(case, temp_dir.path());
    let expected: Value =
        serde_json::from_str(&golden::text(case, "exemplars.json")).expect("the file is JSON");
    for time in ["first", "second"] {
        let server = Launch::narthex(&data)
            .flag("--enable-feature=memory-snapshot-on-shutdown,exemplar-storage")
            .start();
        let response = server.http.get(ALL);
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["data"], expected["data"], "{case}, {time} start");
        let metrics = Metrics::of(&server.http);
        assert_eq!(
            metrics.sum("prometheus_tsdb_exemplar_exemplars_in_storage"),
            Some(count),
            "{case}, {time} start"
        );
        server.stop();
    }
}

#[test]
fn exemplars_of_wal_with_all_types_are_read() {
    assert_exemplars_of_prometheus("all-types-killed", 640.0);
}

#[test]
fn exemplars_of_zstd_wal_are_read() {
    assert_exemplars_of_prometheus("wal-zstd", 135.0);
}

#[test]
fn exemplars_of_checkpoint_and_wal_are_read() {
    assert_exemplars_of_prometheus("blocks-killed-after-compaction", 52.0);
}

#[test]
fn exemplars_of_chunk_snapshot_are_read() {
    assert_exemplars_of_prometheus("snapshot-on-shutdown", 159.0);
}

#[test]
fn query_api_responds_as_prometheus() {
    let temp_dir = dir::temp();
    let data = golden::unpack("all-types-killed", temp_dir.path());
    let server = Launch::narthex(&data).start();
    let get = |query: &str| server.http.get(&format!("/api/v1/query_exemplars?{query}"));
    let count = |response: Value| -> usize {
        let series = response["data"].as_array().expect("a list of series");
        series
            .iter()
            .map(|series| series["exemplars"].as_array().expect("a list of exemplars").len())
            .sum()
    };
    let all = count(server.http.get(ALL).json());
    let between = "start=1762301300&end=2025-11-05T00:15:00Z";
    let some = count(get(&format!("query=%7B__name__%3D~%22.%2B%22%7D&{between}")).json());
    assert!(0 < some && some < all, "{some} of {all}");
    // An expression returns the exemplars of all its selectors. A form works like a query string.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("query=sum(rate(nothing%5B5m%5D))+%2B+%7B__name__!=%22%22%7D&{between}");
    let posted = server.http.post("/api/v1/query_exemplars", &form, body.as_bytes());
    assert_eq!((posted.status, count(posted.json())), (200, some));
    assert_eq!(get("query=nothing").json(), json!({"status": "success", "data": []}));
    let without_selector = get("query=1");
    assert_eq!((without_selector.status, without_selector.text()), (204, String::new()));
    for invalid in ["", "query=", "query=up{", "query=up&start=x", "query=up&start=2&end=1"] {
        let response = get(invalid);
        assert_eq!(
            (response.status, response.json()["errorType"].as_str()),
            (400, Some("bad_data")),
            "{invalid}"
        );
    }
    server.stop();
}

/// 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;
const MINUTE: i64 = 60_000;
const SERIES: [&str; 2] = ["golden_requests_total", "golden_seconds_bucket"];

/// Returns a request of two series, each with a sample and an exemplar for every minute.
fn request(minutes: impl IntoIterator<Item = i64> + Clone) -> WriteRequest {
    let series = SERIES.map(|name| {
        let times = || minutes.clone().into_iter().map(|minute| BEGIN + minute * MINUTE);
        let samples: Vec<(i64, f64)> = times().map(|t| (t, t as f64)).collect();
        let label = |trace: String| vec![Label { name: "trace_id".to_owned(), value: trace }];
        let exemplar = |t: i64| Exemplar {
            labels: label(format!("{t:x}")),
            bits: Some(0.5_f64.to_bits()),
            timestamp: t,
        };
        TimeSeries {
            exemplars: times().map(exemplar).collect(),
            ..TimeSeries::new(&[("__name__", name)], &samples)
        }
    });
    WriteRequest { timeseries: series.to_vec(), ..WriteRequest::default() }
}

fn assert_exemplars(server: &Server, minutes: impl IntoIterator<Item = i64> + Clone, when: &str) {
    let exemplar = |minute: i64| {
        let t = BEGIN + minute * MINUTE;
        json!({"labels": {"trace_id": format!("{t:x}")}, "value": "0.5", "timestamp": t / 1000})
    };
    let expected = SERIES.map(|name| {
        let exemplars: Vec<Value> = minutes.clone().into_iter().map(exemplar).collect();
        json!({"seriesLabels": {"__name__": name}, "exemplars": exemplars})
    });
    assert_eq!(server.http.get(ALL).json()["data"], json!(expected), "{when}");
}

#[test]
fn remote_write_exemplars_survive_retry_kill_and_stop() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let server = Launch::narthex(&data).start();
    server.remote().write_ok(&request(0..10));
    server.remote().write_ok(&request(10..20));
    server.remote().write_ok(&request(5..15));
    assert_exemplars(&server, 0..20, "before a restart");
    let stored = Metrics::of(&server.http).sum("prometheus_tsdb_exemplar_exemplars_appended_total");
    assert_eq!(stored, Some(40.0));
    server.kill();
    let server = Launch::narthex(&data).start();
    assert_exemplars(&server, 0..20, "after a kill");
    server.remote().write_ok(&request(15..25));
    server.stop();
    let server = Launch::narthex(&data).start();
    assert_exemplars(&server, 0..25, "after a shutdown");
    server.stop();
}

#[test]
fn out_of_order_exemplar_is_rejected_and_ring_size_reloaded() {
    let temp_dir = dir::temp();
    let (data, file) = (temp_dir.path().join("data"), temp_dir.path().join("narthex.yml"));
    let configure = |max: usize| {
        let text = format!(
            "storage:\n  tsdb: {{out_of_order_time_window: 0s}}\n  exemplars: {{max_exemplars: {max}}}\n"
        );
        std::fs::write(&file, text).expect("a writable file");
    };
    configure(100);
    let server = Launch::narthex(&data).flag(format!("--config.file={}", file.display())).start();
    server.remote().write_ok(&request(0..10));
    let mut ooo = request(10..12);
    ooo.timeseries[1].exemplars[1].timestamp = BEGIN - 1;
    let response = server.remote().write(&ooo);
    assert_eq!(response.status, 400);
    assert!(
        response.text().contains(SERIES[1]) && response.text().contains("out of order"),
        "{}",
        response.text()
    );
    let value =
        |name: &str| Metrics::of(&server.http).sum(&format!("prometheus_tsdb_exemplar_{name}"));
    assert_eq!(
        (value("exemplars_in_storage"), value("out_of_order_exemplars_total")),
        (Some(23.0), Some(1.0))
    );
    server.remote().write_ok(&request(11..13));
    assert_exemplars(&server, 0..13, "after an in-order exemplar");
    server.remote().write_ok(&request(13..15));
    configure(4);
    server.program.signal("HUP");
    wait_until("a smaller ring", || value("max_exemplars") == Some(4.0));
    assert_exemplars(&server, 13..15, "in a smaller ring");
    configure(0);
    server.program.signal("HUP");
    wait_until("a ring of size 0", || value("max_exemplars") == Some(0.0));
    server.remote().write_ok(&request(15..16));
    assert_eq!(server.http.get(ALL).json(), json!({"status": "success", "data": []}));
    server.stop();
}
