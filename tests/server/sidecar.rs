//! What Thanos's sidecar asks of a Prometheus: the same requests, and the parts of the answers that
//! it reads. (`tests/thanos/sidecar` runs a real one.)

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::wire::WriteRequest;
use serde_json::{Value, json};

fn data(server: &Server, path: &str) -> Value {
    let answer = server.http.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    let answer = answer.json();
    assert_eq!(answer["status"], json!("success"), "{path}");
    answer["data"].clone()
}

#[test]
fn the_flags_say_where_blocks_are_and_how_long_they_become() {
    let place = dir::temp();
    let folder = place.path().join("data");
    let uploads = folder.join("thanos.shipper.json");
    let server = Launch::narthex(&folder)
        .flag("--storage.tsdb.min-block-duration=120m")
        .flag("--storage.tsdb.max-block-duration=2h")
        .flag(format!("--storage.tsdb.delay-compact-file.path={}", uploads.display()))
        .flag("--web.enable-lifecycle")
        .start();
    let flags = data(&server, "/api/v1/status/flags");
    assert_eq!(flags["storage.tsdb.path"], json!(folder.display().to_string()));
    assert_eq!(flags["storage.tsdb.min-block-duration"], json!("2h"));
    assert_eq!(flags["storage.tsdb.max-block-duration"], json!("2h"));
    assert_eq!(flags["storage.tsdb.delay-compact-file.path"], json!(uploads.display().to_string()));
    // Its parser takes switches as texts.
    assert_eq!(
        (&flags["web.enable-admin-api"], &flags["web.enable-lifecycle"]),
        (&json!("false"), &json!("true"))
    );
    assert!(flags.as_object().is_some_and(|flags| flags.values().all(Value::is_string)), "{flags}");
    server.stop();
}

#[test]
fn default_max_block_duration_follows_from_retention() {
    let place = dir::temp();
    let folder = place.path().join("data");
    let server = Launch::narthex(&folder).flag("--storage.tsdb.retention.time=15d").start();
    let flags = data(&server, "/api/v1/status/flags");
    assert_eq!(flags["storage.tsdb.max-block-duration"], json!("1d12h"));
    assert_eq!(flags["storage.tsdb.retention.time"], json!("15d"));
    assert_eq!(data(&server, "/api/v1/status/runtimeinfo")["storageRetention"], json!("15d"));
    server.stop();
}

#[test]
fn status_config_has_external_labels_and_follows_reload() {
    let place = dir::temp();
    let folder = place.path().join("data");
    let server = Launch::narthex(&folder)
        .config(
            &folder,
            "global: {external_labels: {replica: $NARTHEX_TEST_REPLICA, cluster: '1'}}\n",
        )
        .env("NARTHEX_TEST_REPLICA", "a: b")
        .flag("--web.enable-lifecycle")
        .start();
    let yaml =
        || data(&server, "/api/v1/status/config")["yaml"].as_str().expect("a text").to_owned();
    let global = "global:\n  external_labels:\n    cluster: '1'\n    replica: 'a: b'\n";
    assert!(yaml().starts_with(global), "{}", yaml());
    let info = data(&server, "/api/v1/status/runtimeinfo");
    assert_eq!(info["reloadConfigSuccess"], json!(true));
    assert!(info["serverTime"].as_str() >= info["startTime"].as_str(), "{info}");

    std::fs::write(folder.with_extension("narthex.yml"), "global: {external_labels: {'': x}}\n")
        .expect("written");
    assert_eq!(server.http.post("/-/reload", &[], b"").status, 500);
    assert!(yaml().starts_with(global), "{}", yaml());
    assert_eq!(data(&server, "/api/v1/status/runtimeinfo")["reloadConfigSuccess"], json!(false));
    std::fs::write(folder.with_extension("narthex.yml"), "").expect("written");
    assert_eq!(server.http.post("/-/reload", &[], b"").status, 200);
    assert!(yaml().starts_with("storage:\n"), "{}", yaml());
    server.stop();
}

#[test]
fn everything_else_that_it_asks_for_is_answered() {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data")).start();
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
        "the sidecar reads its first time there"
    );
    server.stop();
}
