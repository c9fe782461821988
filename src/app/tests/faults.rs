//! Responses if the disk fails or is full, or the series limit is reached.

use crate::app::tests::edge::{
    TestServer, now_ms, read_all_request, request, series, snappy_block, valid_request,
};
use crate::testing::crash_disk::{CrashDisk, DiskCall};
use axum::http::StatusCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Protocol of the first request after the error.
#[derive(Clone, Copy)]
enum FirstRequest {
    Http,
    Grpc,
}

/// Returns a request with a newer sample than [`valid_request`] has. An equal sample would be a
/// duplicate, which is not written.
fn later() -> Vec<u8> {
    request(vec![series("good", &[(now_ms() + 1000, 2.0)])])
}

async fn assert_wal_failure_is_reported(call: DiskCall, first: FirstRequest) {
    let disk = CrashDisk::new();
    let edge =
        TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.wal-sync=always"]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    assert_eq!(edge.get("/-/healthy").await.status, StatusCode::OK);
    disk.fail_with_eio(call, 1);
    match first {
        FirstRequest::Http => {
            let got = edge.write(snappy_block(&later())).await;
            assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", got.text());
        }
        FirstRequest::Grpc => assert_eq!(edge.write_v1(&later()).await.grpc_status(), "13"),
    }
    let healthy = edge.get("/-/healthy").await;
    assert_eq!(healthy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(healthy.text().contains("restart"), "{}", healthy.text());
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::OK);
    assert_eq!(edge.read(&read_all_request()).await.status, StatusCode::OK);
    assert!(edge.get("/api/v1/export?match[]=good").await.text().contains("\"good\""));
    edge.write(snappy_block(&valid_request())).await.assert_retry_later();
    edge.write_v1(&valid_request()).await.assert_grpc_retry_later();
}

#[tokio::test]
async fn failed_append_is_500_then_503_and_reads_continue() {
    assert_wal_failure_is_reported(DiskCall::Append, FirstRequest::Http).await;
}

#[tokio::test]
async fn failed_sync_is_internal_then_unavailable() {
    assert_wal_failure_is_reported(DiskCall::Sync, FirstRequest::Grpc).await;
}

#[tokio::test]
async fn failed_wbl_sync_rejects_writes_and_is_counted() {
    let disk = CrashDisk::new();
    let edge =
        TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.wal-sync=always"]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    disk.fail_with_eio(DiskCall::Sync, 1);
    // An out-of-order sample of a known series is in the WBL only.
    let older = request(vec![series("good", &[(now_ms() - 60_000, 2.0)])]);
    let got = edge.write(snappy_block(&older)).await;
    assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", got.text());
    let healthy = edge.get("/-/healthy").await;
    assert_eq!(healthy.status, StatusCode::SERVICE_UNAVAILABLE, "{}", healthy.text());
    edge.write(snappy_block(&later())).await.assert_retry_later();
    let metrics = edge.get("/metrics").await.text().to_owned();
    for line in [
        "narthex_tsdb_out_of_order_wbl_failures_total 1.0",
        "prometheus_tsdb_out_of_order_wbl_writes_failed_total 0.0",
        "narthex_tsdb_wal_failures_total 0.0",
        "narthex_tsdb_writable 0.0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn full_disk_is_503_until_space_is_free() {
    let disk = CrashDisk::new();
    let edge = TestServer::ready_on(Arc::new(disk.clone()), &[]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    disk.set_free_bytes(Some(0));
    let retried = later();
    edge.write_v1(&retried).await.assert_grpc_retry_later();
    edge.write(snappy_block(&retried)).await.assert_retry_later();
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::OK);
    let healthy = edge.get("/-/healthy").await;
    assert_eq!(healthy.status, StatusCode::OK);
    assert!(
        healthy.text().contains("read-only") && healthy.text().contains("space"),
        "{}",
        healthy.text()
    );
    assert_eq!(edge.read(&read_all_request()).await.status, StatusCode::OK);
    let (started, appends) = (Instant::now(), disk.calls(DiskCall::Append));
    for _ in 0..20 {
        edge.write(snappy_block(&retried)).await.assert_retry_later();
    }
    assert!(
        disk.calls(DiskCall::Append) - appends <= 1 + started.elapsed().as_secs(),
        "the WAL must be retried at most once per second"
    );

    disk.set_free_bytes(None);
    let mut got = edge.write(snappy_block(&retried)).await;
    for _ in 0..50 {
        if got.status == StatusCode::NO_CONTENT {
            break;
        }
        got.assert_retry_later();
        tokio::time::sleep(Duration::from_millis(100)).await;
        got = edge.write(snappy_block(&retried)).await;
    }
    assert_eq!(got.status, StatusCode::NO_CONTENT);
    assert_eq!(edge.write_v1(&retried).await.grpc_status(), "0");
    assert_eq!(edge.get("/-/healthy").await.text(), "narthex is healthy.\n");
}

#[tokio::test]
async fn writes_below_disk_reserve_are_503_and_recover() {
    let disk = CrashDisk::new();
    let edge =
        TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.disk-reserve=1MB"]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    let is_rejected =
        async || edge.write(snappy_block(&later())).await.status == StatusCode::SERVICE_UNAVAILABLE;
    // Enough for the WAL, but less than the reserve.
    disk.set_free_bytes(Some(900_000));
    within_seconds(&is_rejected).await;
    let got = edge.write(snappy_block(&later())).await;
    got.assert_retry_later();
    assert!(got.text().contains("are free, the reserve is 1048576"), "{}", got.text());
    edge.write_v1(&later()).await.assert_grpc_retry_later();
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::OK);
    let healthy = edge.get("/-/healthy").await;
    assert_eq!(healthy.status, StatusCode::OK);
    assert!(
        healthy.text().contains("read-only") && healthy.text().contains("reserve"),
        "{}",
        healthy.text()
    );
    assert_eq!(edge.read(&read_all_request()).await.status, StatusCode::OK);
    assert!(edge.get("/metrics").await.text().contains("\nnarthex_tsdb_writable 0"));

    // Above the reserve, but below 1.25 times the reserve.
    disk.set_free_bytes(Some(1_200_000));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    edge.write(snappy_block(&later())).await.assert_retry_later();
    disk.set_free_bytes(Some(2_000_000));
    within_seconds(&async || {
        edge.write(snappy_block(&later())).await.status == StatusCode::NO_CONTENT
    })
    .await;
    assert_eq!(edge.get("/-/healthy").await.text(), "narthex is healthy.\n");
}

async fn within_seconds(holds: &impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the condition did not become true within 10 s");
}

#[tokio::test]
async fn series_over_limit_is_400_or_invalid_argument() {
    let edge = TestServer::ready(&["--storage.tsdb.max-active-series=1"]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    let other = request(vec![series("other", &[(now_ms(), 1.0)])]);
    assert_eq!(edge.write(snappy_block(&other)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(edge.write_v1(&other).await.grpc_status(), "3");
    assert_eq!(edge.write_v1(&valid_request()).await.grpc_status(), "0");
}
