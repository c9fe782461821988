//! The answer contract of a storage that fails, is full or holds as many series as it may.

use crate::app::edge::{
    TestServer, now_ms, read_all_request, request, series, snappy_block, valid_request,
};
use crate::tsdb::fs::crash_disk::{CrashDisk, DiskCall};
use axum::http::StatusCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a fault shows in the first request that meets it.
#[derive(Clone, Copy)]
enum First {
    Http,
    Grpc,
}

/// A sample after that of `valid_request`, also within the same millisecond; one that is stored already would not be written again.
fn later() -> Vec<u8> {
    request(vec![series("good", &[(now_ms() + 1000, 2.0)])])
}

async fn a_fault_is_told(call: DiskCall, first: First) {
    let disk = CrashDisk::new();
    let edge =
        TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.wal-sync=always"]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    assert_eq!(edge.get("/-/healthy").await.status, StatusCode::OK);
    disk.fail_with_eio(call, 1);
    match first {
        First::Http => {
            let got = edge.write(snappy_block(&later())).await;
            assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", got.text());
        }
        First::Grpc => assert_eq!(edge.write_v1(&later()).await.grpc_status(), "13"),
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
async fn a_failed_append_is_500_then_503_and_unhealthy_while_reads_go_on() {
    a_fault_is_told(DiskCall::Append, First::Http).await;
}

#[tokio::test]
async fn a_failed_sync_is_internal_then_unavailable_and_unhealthy_while_reads_go_on() {
    a_fault_is_told(DiskCall::Sync, First::Grpc).await;
}

#[tokio::test]
async fn a_full_disk_is_503_until_there_is_space_again_and_a_repeat_is_204() {
    let disk = CrashDisk::new();
    let edge = TestServer::ready_on(Arc::new(disk.clone()), &[]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    disk.set_free_bytes(Some(0));
    let repeated = later();
    edge.write_v1(&repeated).await.assert_grpc_retry_later();
    edge.write(snappy_block(&repeated)).await.assert_retry_later();
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::OK);
    let healthy = edge.get("/-/healthy").await;
    assert_eq!(healthy.status, StatusCode::OK);
    assert!(
        healthy.text().contains("read-only") && healthy.text().contains("space"),
        "{}",
        healthy.text()
    );
    assert_eq!(edge.read(&read_all_request()).await.status, StatusCode::OK);
    let (started, tries) = (Instant::now(), disk.calls(DiskCall::Append));
    for _ in 0..20 {
        edge.write(snappy_block(&repeated)).await.assert_retry_later();
    }
    assert!(
        disk.calls(DiskCall::Append) - tries <= 1 + started.elapsed().as_secs(),
        "a try is made once a second at most"
    );

    disk.set_free_bytes(None);
    let mut got = edge.write(snappy_block(&repeated)).await;
    for _ in 0..50 {
        if got.status == StatusCode::NO_CONTENT {
            break;
        }
        got.assert_retry_later();
        tokio::time::sleep(Duration::from_millis(100)).await;
        got = edge.write(snappy_block(&repeated)).await;
    }
    assert_eq!(got.status, StatusCode::NO_CONTENT);
    assert_eq!(edge.write_v1(&repeated).await.grpc_status(), "0");
    assert_eq!(edge.get("/-/healthy").await.text(), "narthex is healthy.\n");
}

#[tokio::test]
async fn below_the_reserve_writes_are_503_with_the_figures_and_come_back_by_themselves() {
    let disk = CrashDisk::new();
    let edge =
        TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.disk-reserve=1MB"]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    let refused =
        async || edge.write(snappy_block(&later())).await.status == StatusCode::SERVICE_UNAVAILABLE;
    // Plenty for the log, but less than the reserve.
    disk.set_free_bytes(Some(900_000));
    within_seconds(&refused).await;
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

    // Above the reserve, but not by a quarter of it.
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
    panic!("it does not come to hold");
}

#[tokio::test]
async fn a_series_beyond_the_limit_is_400_or_invalid_argument_and_known_ones_go_on() {
    let edge = TestServer::ready(&["--storage.tsdb.max-active-series=1"]).await;
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    let other = request(vec![series("other", &[(now_ms(), 1.0)])]);
    assert_eq!(edge.write(snappy_block(&other)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(edge.write_v1(&other).await.grpc_status(), "3");
    assert_eq!(edge.write_v1(&valid_request()).await.grpc_status(), "0");
}
