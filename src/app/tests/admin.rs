//! Admin and management API as a client sees them: reload, quit, deletion, snapshot.

use crate::app::tests::edge::{TestResponse, TestServer};
use crate::tsdb::db::FloatEncoding;
use crate::tsdb::db::settings::RetentionOrigin;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

const ADMIN: [&str; 3] = ["delete_series?match[]=up", "clean_tombstones", "snapshot"];

fn json(response: &TestResponse) -> Value {
    assert_eq!(response.header("content-type"), "application/json");
    serde_json::from_slice(&response.body).unwrap()
}

async fn gauge(edge: &TestServer, name: &str) -> f64 {
    let response = edge.get("/metrics").await;
    let line = response
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()));
    line.unwrap_or_else(|| panic!("{name} in {}", response.text())).parse().unwrap()
}

#[tokio::test]
async fn admin_and_lifecycle_apis_are_disabled_by_default() {
    let edge = TestServer::ready(&[]).await;
    for path in ["/-/reload", "/-/quit"] {
        let response = edge.post(path).await;
        assert_eq!(
            (response.status, response.text()),
            (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.")
        );
        let response = edge.get(path).await;
        assert_eq!(
            (response.status, response.text()),
            (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed")
        );
    }
    for operation in ADMIN {
        let path = format!("/api/v1/admin/tsdb/{operation}");
        let response = edge.post(&path).await;
        // Prometheus responds 500, too.
        assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
        let body = json(&response);
        assert_eq!(
            (&body["status"], &body["errorType"]),
            (&"error".into(), &"unavailable".into()),
            "{body}"
        );
        assert!(body["error"].as_str().unwrap().contains("--web.enable-admin-api"), "{body}");
        assert_eq!(edge.get(&path).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn invalid_admin_parameter_is_400_with_its_name() {
    let edge = TestServer::ready(&["--web.enable-admin-api"]).await;
    for (operation, part) in [
        ("delete_series", "match[]"),
        ("delete_series?match[]={", "match[]"),
        ("delete_series?match[]=up&start=soon", "start"),
        ("snapshot?skip_head=perhaps", "skip_head"),
    ] {
        for method in ["POST", "PUT"] {
            let request =
                Request::builder().method(method).uri(format!("/api/v1/admin/tsdb/{operation}"));
            let response = edge.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(response.status, StatusCode::BAD_REQUEST);
            let body = json(&response);
            assert_eq!(body["errorType"], "bad_data");
            assert!(body["error"].as_str().unwrap().contains(part), "{operation}: {body}");
        }
    }
    let form = Request::post("/api/v1/admin/tsdb/delete_series?match[]=up")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("match%5B%5D=up%7B"))
        .unwrap();
    assert_eq!(
        edge.send(form).await.status,
        StatusCode::BAD_REQUEST,
        "form parameters must be parsed, too"
    );
}

#[tokio::test]
async fn admin_operations_during_replay_are_503() {
    let edge = TestServer::starting(&["--web.enable-admin-api"]).await;
    for operation in ADMIN {
        let response = edge.post(&format!("/api/v1/admin/tsdb/{operation}")).await;
        assert_eq!(
            (response.status, &json(&response)["errorType"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into())
        );
    }
}

#[tokio::test]
async fn reload_of_invalid_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("narthex.yml");
    let flags = [format!("--config.file={}", file.display()), "--web.enable-lifecycle".to_owned()];
    let edge = TestServer::ready(&flags.each_ref().map(String::as_str)).await;
    assert_eq!(
        edge.context.process.db.shared().settings().retention.origin,
        RetentionOrigin::Default
    );
    let write = |section: &str| {
        std::fs::write(&file, format!("storage:\n  tsdb:\n    {section}\n")).unwrap()
    };

    write("retention: {time: 2d, percentage: 50}");
    let response = edge.post("/-/reload").await;
    assert_eq!((response.status, response.text()), (StatusCode::OK, ""));
    let settings = edge.context.process.db.shared().settings();
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
        let response = edge.post("/-/reload").await;
        assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR, "{bad}");
        assert!(
            response.text().starts_with("failed to reload config: ")
                && response.text().contains("narthex.yml"),
            "{}",
            response.text()
        );
        assert_eq!(edge.context.process.db.shared().settings(), settings);
        assert_eq!(gauge(&edge, "prometheus_config_last_reload_successful ").await, 0.0);
    }

    write("chunk_encoding: {floats: xor2}");
    let put = Request::put("/-/reload").body(Body::empty()).unwrap();
    assert_eq!(edge.send(put).await.status, StatusCode::OK);
    assert_eq!(edge.context.process.db.shared().settings().float_encoding, FloatEncoding::Xor2);
    assert_eq!(
        edge.context.process.db.shared().settings().retention.origin,
        RetentionOrigin::Default,
        "the flags must apply again"
    );
    assert_eq!(gauge(&edge, "prometheus_config_last_reload_successful ").await, 1.0);
}

#[tokio::test]
async fn second_quit_is_reported() {
    let edge = TestServer::ready(&["--web.enable-lifecycle"]).await;
    let response = edge.post("/-/quit").await;
    assert_eq!(
        (response.status, response.text()),
        (StatusCode::OK, "Requesting termination... Goodbye!")
    );
    assert_eq!(edge.post("/-/quit").await.text(), "Termination already in progress.");
}

#[tokio::test]
async fn duration_metrics_have_prometheus_types() {
    let edge = TestServer::ready(&[]).await;
    let response = edge.get("/metrics").await;
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
        assert!(
            response.text().lines().any(|found| found == line),
            "{line} in {}",
            response.text()
        );
    }
    assert!(
        gauge(&edge, "prometheus_tsdb_wal_fsync_duration_seconds{quantile=\"0.99\"} ")
            .await
            .is_nan()
    );
}

#[tokio::test]
async fn maintenance_metrics_have_prometheus_names() {
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
