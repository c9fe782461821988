//! The interfaces for operators: reload, quit, deletion, snapshot, as a client sees them.

use crate::app::edge::{TestResponse, TestServer};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::db::settings::RetentionOrigin;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

const ADMIN: [&str; 3] = ["delete_series?match[]=up", "clean_tombstones", "snapshot"];

fn json(got: &TestResponse) -> Value {
    assert_eq!(got.header("content-type"), "application/json");
    serde_json::from_slice(&got.body).unwrap()
}

async fn gauge(edge: &TestServer, name: &str) -> f64 {
    let got = edge.get("/metrics").await;
    let line = got
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()));
    line.unwrap_or_else(|| panic!("{name} in {}", got.text())).parse().unwrap()
}

#[tokio::test]
async fn orders_are_refused_unless_they_are_switched_on() {
    let edge = TestServer::ready(&[]).await;
    for path in ["/-/reload", "/-/quit"] {
        let got = edge.post(path).await;
        assert_eq!(
            (got.status, got.text()),
            (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.")
        );
        let got = edge.get(path).await;
        assert_eq!(
            (got.status, got.text()),
            (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed")
        );
    }
    for order in ADMIN {
        let path = format!("/api/v1/admin/tsdb/{order}");
        let got = edge.post(&path).await;
        // Prometheus's status for it.
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
        let found = json(&got);
        assert_eq!(
            (&found["status"], &found["errorType"]),
            (&"error".into(), &"unavailable".into()),
            "{found}"
        );
        assert!(found["error"].as_str().unwrap().contains("--web.enable-admin-api"), "{found}");
        assert_eq!(edge.get(&path).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn bad_orders_are_400_with_the_parameter_named() {
    let edge = TestServer::ready(&["--web.enable-admin-api"]).await;
    for (order, part) in [
        ("delete_series", "match[]"),
        ("delete_series?match[]={", "match[]"),
        ("delete_series?match[]=up&start=soon", "start"),
        ("snapshot?skip_head=perhaps", "skip_head"),
    ] {
        for method in ["POST", "PUT"] {
            let request =
                Request::builder().method(method).uri(format!("/api/v1/admin/tsdb/{order}"));
            let got = edge.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(got.status, StatusCode::BAD_REQUEST);
            let found = json(&got);
            assert_eq!(found["errorType"], "bad_data");
            assert!(found["error"].as_str().unwrap().contains(part), "{order}: {found}");
        }
    }
    let form = Request::post("/api/v1/admin/tsdb/delete_series?match[]=up")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("match%5B%5D=up%7B"))
        .unwrap();
    assert_eq!(edge.send(form).await.status, StatusCode::BAD_REQUEST, "a form counts too");
}

#[tokio::test]
async fn orders_before_the_replay_has_ended_are_503() {
    let edge = TestServer::starting(&["--web.enable-admin-api"]).await;
    for order in ADMIN {
        let got = edge.post(&format!("/api/v1/admin/tsdb/{order}")).await;
        assert_eq!(
            (got.status, &json(&got)["errorType"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into())
        );
    }
}

#[tokio::test]
async fn a_reload_takes_a_good_file_and_a_bad_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("narthex.yml");
    let flags = [format!("--config.file={}", file.display()), "--web.enable-lifecycle".to_owned()];
    let edge = TestServer::ready(&flags.each_ref().map(String::as_str)).await;
    assert_eq!(edge.context.db.settings().retention.origin, RetentionOrigin::Default);
    let write = |section: &str| {
        std::fs::write(&file, format!("storage:\n  tsdb:\n    {section}\n")).unwrap()
    };

    write("retention: {time: 2d, percentage: 50}");
    let got = edge.post("/-/reload").await;
    assert_eq!((got.status, got.text()), (StatusCode::OK, ""));
    let settings = edge.context.db.settings();
    assert_eq!((settings.retention.time_ms, settings.retention.percentage), (172_800_000, 50.0));
    assert_eq!(settings.retention.origin, RetentionOrigin::Configured);
    assert_eq!(gauge(&edge, "prometheus_tsdb_retention_limit_seconds").await, 172_800.0);

    for bad in [
        "retention: {time: 2}",
        "out_of_order_time_window: x",
        "chunk_encoding: {floats: x}",
        "retnetion: {}",
    ] {
        write(bad);
        let got = edge.post("/-/reload").await;
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR, "{bad}");
        assert!(
            got.text().starts_with("failed to reload config: ")
                && got.text().contains("narthex.yml"),
            "{}",
            got.text()
        );
        assert_eq!(edge.context.db.settings(), settings);
        assert_eq!(gauge(&edge, "prometheus_config_last_reload_successful ").await, 0.0);
    }

    write("chunk_encoding: {floats: xor2}");
    let put = Request::put("/-/reload").body(Body::empty()).unwrap();
    assert_eq!(edge.send(put).await.status, StatusCode::OK);
    assert_eq!(edge.context.db.settings().float_encoding, FloatEncoding::Xor2);
    assert_eq!(
        edge.context.db.settings().retention.origin,
        RetentionOrigin::Default,
        "the flags hold again"
    );
    assert_eq!(gauge(&edge, "prometheus_config_last_reload_successful ").await, 1.0);
}

#[tokio::test]
async fn quit_is_taken_once() {
    let edge = TestServer::ready(&["--web.enable-lifecycle"]).await;
    let got = edge.post("/-/quit").await;
    assert_eq!((got.status, got.text()), (StatusCode::OK, "Requesting termination... Goodbye!"));
    assert_eq!(edge.post("/-/quit").await.text(), "Termination already in progress.");
}

#[tokio::test]
async fn duration_metrics_have_prometheus_types() {
    let edge = TestServer::ready(&[]).await;
    let got = edge.get("/metrics").await;
    for (name, kind) in [
        ("prometheus_tsdb_wal_fsync_duration_seconds", "summary"),
        ("prometheus_tsdb_out_of_order_wbl_fsync_duration_seconds", "summary"),
        ("prometheus_tsdb_head_gc_duration_seconds", "summary"),
        ("prometheus_tsdb_wal_truncate_duration_seconds", "summary"),
        ("prometheus_tsdb_compaction_duration_seconds", "histogram"),
        ("prometheus_tsdb_tombstone_cleanup_seconds", "histogram"),
        ("prometheus_tsdb_stale_series_compaction_duration_seconds", "histogram"),
    ] {
        let line = format!("# TYPE {name} {kind}");
        assert!(got.text().lines().any(|found| found == line), "{line} in {}", got.text());
    }
    assert!(
        gauge(&edge, "prometheus_tsdb_wal_fsync_duration_seconds{quantile=\"0.99\"} ")
            .await
            .is_nan()
    );
}

#[tokio::test]
async fn the_metrics_of_upkeep_are_there_under_prometheus_s_names() {
    let edge = TestServer::ready(&[]).await;
    for name in [
        "prometheus_tsdb_compactions_total ",
        "prometheus_tsdb_compactions_failed_total ",
        "prometheus_tsdb_compaction_duration_seconds_bucket{le=\"8192.0\"} ",
        "prometheus_tsdb_compaction_chunk_samples_count ",
        "prometheus_tsdb_blocks_loaded ",
        "prometheus_tsdb_storage_blocks_bytes ",
        "prometheus_tsdb_retention_limit_bytes ",
        "prometheus_tsdb_time_retentions_total ",
        "prometheus_tsdb_head_gc_duration_seconds_sum ",
        "prometheus_tsdb_stale_series_compaction_duration_seconds_bucket{le=\"1.0\"} ",
        "prometheus_tsdb_wal_truncate_duration_seconds_count ",
        "prometheus_tsdb_checkpoint_creations_failed_total ",
        "prometheus_tsdb_tombstone_cleanup_seconds_count ",
        "narthex_tsdb_retention_held ",
    ] {
        assert_eq!(gauge(&edge, name).await, 0.0, "{name}");
    }
    assert!(gauge(&edge, "narthex_tsdb_disk_free_bytes ").await > 0.0);
    assert!(gauge(&edge, "narthex_tsdb_disk_reserve_bytes ").await > 0.0);
}
