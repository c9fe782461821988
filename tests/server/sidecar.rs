//! Requests of a Thanos Sidecar, and the parts of the responses that it reads.
//! `tests/thanos/test_sidecar.py` runs a real one.

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::wire::WriteRequest;
use serde_json::{Value, json};

fn data(server: &Server, path: &str) -> Value {
    let response = server.http.get(path);
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"), "{path}");
    let response = response.json();
    assert_eq!(response["status"], json!("success"), "{path}");
    response["data"].clone()
}

#[test]
fn flags_have_data_directory_and_block_durations() {
    let temp_dir = dir::temp();
    let data_dir = temp_dir.path().join("data");
    let uploads = data_dir.join("thanos.shipper.json");
    let server = Launch::narthex(&data_dir)
        .flag("--storage.tsdb.min-block-duration=120m")
        .flag("--storage.tsdb.max-block-duration=2h")
        .flag(format!("--storage.tsdb.delay-compact-file.path={}", uploads.display()))
        .flag("--web.enable-lifecycle")
        .start();
    let flags = data(&server, "/api/v1/status/flags");
    assert_eq!(flags["storage.tsdb.path"], json!(data_dir.display().to_string()));
    assert_eq!(flags["storage.tsdb.min-block-duration"], json!("2h"));
    assert_eq!(flags["storage.tsdb.max-block-duration"], json!("2h"));
    assert_eq!(flags["storage.tsdb.delay-compact-file.path"], json!(uploads.display().to_string()));
    // The parser of the sidecar expects switches as strings.
    assert_eq!(
        (&flags["web.enable-admin-api"], &flags["web.enable-lifecycle"]),
        (&json!("false"), &json!("true"))
    );
    assert!(flags.as_object().is_some_and(|flags| flags.values().all(Value::is_string)), "{flags}");
    server.stop();
}

#[test]
fn default_max_block_duration_follows_from_retention() {
    let temp_dir = dir::temp();
    let data_dir = temp_dir.path().join("data");
    let server = Launch::narthex(&data_dir).flag("--storage.tsdb.retention.time=15d").start();
    let flags = data(&server, "/api/v1/status/flags");
    assert_eq!(flags["storage.tsdb.max-block-duration"], json!("1d12h"));
    assert_eq!(flags["storage.tsdb.retention.time"], json!("15d"));
    assert_eq!(data(&server, "/api/v1/status/runtimeinfo")["storageRetention"], json!("15d"));
    server.stop();
}

#[test]
fn status_config_has_external_labels_and_follows_reload() {
    let temp_dir = dir::temp();
    let data_dir = temp_dir.path().join("data");
    let server = Launch::narthex(&data_dir)
        .config(
            &data_dir,
            "global: {external_labels: {replica: $NARTHEX_TEST_REPLICA, cluster: '1'}}\n",
        )
        .env("NARTHEX_TEST_REPLICA", "a: b")
        .flag("--web.enable-lifecycle")
        .start();
    let yaml =
        || data(&server, "/api/v1/status/config")["yaml"].as_str().expect("a string").to_owned();
    let labels = "\n  external_labels:\n    cluster: '1'\n    replica: 'a: b'\n";
    assert!(yaml().starts_with("global:\n") && yaml().contains(labels), "{}", yaml());
    let info = data(&server, "/api/v1/status/runtimeinfo");
    assert_eq!(info["reloadConfigSuccess"], json!(true));
    assert!(info["serverTime"].as_str() >= info["startTime"].as_str(), "{info}");

    std::fs::write(data_dir.with_extension("narthex.yml"), "global: {external_labels: {'': x}}\n")
        .expect("a writable file");
    assert_eq!(server.http.post("/-/reload", &[], b"").status, 500);
    assert!(yaml().contains(labels), "{}", yaml());
    assert_eq!(data(&server, "/api/v1/status/runtimeinfo")["reloadConfigSuccess"], json!(false));
    std::fs::write(data_dir.with_extension("narthex.yml"), "").expect("a writable file");
    assert_eq!(server.http.post("/-/reload", &[], b"").status, 200);
    assert!(!yaml().contains("external_labels"), "{}", yaml());
    server.stop();
}

#[test]
fn other_requests_of_sidecar_succeed() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    server
        .remote()
        .write_ok(&WriteRequest::one(&[("__name__", "up"), ("job", "j")], &[(BEGIN, 1.0)]));
    let seconds = BEGIN / 1000;
    let range = format!("start={seconds}.000&end={seconds}.000");
    // As the sidecar writes a selector.
    let selector = "match%5B%5D=%7B__name__%3D%22up%22%2C+job%3D~%22j.%2A%22%7D";
    assert_eq!(server.http.get("/-/ready").status, 200);
    let version = data(&server, "/api/v1/status/buildinfo")["version"].as_str().map(str::to_owned);
    assert_eq!(
        version.map(|version| version.split('.').count()),
        Some(3),
        "a version of three numbers"
    );
    let get = |path: &str, query: &str| data(&server, &format!("{path}?{query}"));
    assert_eq!(
        get("/api/v1/series", &format!("{selector}&{range}")),
        json!([{"__name__": "up", "job": "j"}])
    );
    assert_eq!(get("/api/v1/labels", &range), json!(["__name__", "job"]));
    assert_eq!(
        get("/api/v1/label/job/values", &format!("{selector}&{range}&limit=5")),
        json!(["j"])
    );
    assert_eq!(get("/api/v1/metadata", "metric=up&limit=1"), json!({}));
    assert_eq!(get("/api/v1/query_exemplars", &format!("query=up&{range}")), json!([]));
    assert_eq!(get("/api/v1/rules", "type=alert"), json!({"groups": []}));
    assert_eq!(get("/api/v1/alerts", ""), json!({"alerts": []}));
    let none = json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}});
    assert_eq!(get("/api/v1/targets", "state=any"), none);
    let metrics = server.http.get("/metrics").text();
    assert!(
        metrics.contains("prometheus_tsdb_lowest_timestamp_seconds"),
        "the sidecar reads the minimum time from this metric"
    );
    server.stop();
}
