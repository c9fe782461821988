//! Time limits of requests that wait for a permit or for the disk: each gets 503, and the response
//! is true about its outcome.

use crate::app::tests::edge::{TestServer, grpc_request, now_ms, read_all_request, series};
use crate::app::tests::guardrails::data_limits::{counter, stored_samples};
use crate::app::tests::thanos_write::forward_series;
use crate::app::tests::write_path::WritePath;
use crate::remote::pb::thanos;
use crate::testing::crash_disk::CrashDisk;
use axum::body::Body;
use axum::http::Request;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;

const FLAGS: [&str; 7] = [
    "--storage.remote.write-timeout=20ms",
    "--query.timeout=20ms",
    "--web.admin-timeout=20ms",
    "--web.enable-admin-api",
    "--storage.remote.write-concurrent-limit=1",
    "--storage.remote.read-concurrent-limit=1",
    "--web.list-concurrent-limit=1",
];

#[tokio::test]
async fn write_over_its_time_limit_is_503_over_every_path() {
    let server = TestServer::ready(&FLAGS).await;
    let sent = [series("up", &[(now_ms(), 1.0)])];
    let held = server.context.writes.gate.acquire().await.unwrap();
    for path in WritePath::ALL {
        let result = path.write(&server, &sent).await;
        assert_eq!(result.status, 503, "{path:?}");
        assert!(result.text.contains("20ms (--storage.remote.write-timeout)"), "{}", result.text);
    }
    let request = thanos::WriteRequest::default().encode_to_vec();
    let forwarded = server.grpc("/thanos.WriteableStore/RemoteWrite", &request).await;
    assert_eq!(forwarded.grpc_status(), "14");
    drop(held);
    for path in WritePath::ALL {
        assert_eq!(path.write(&server, &sent).await.status, 204, "{path:?}");
    }
}

#[tokio::test]
async fn read_over_its_time_limit_is_503() {
    let server = TestServer::ready(&FLAGS).await;
    let _held = server.context.reads.gate.acquire().await.unwrap();
    let response = server.read(&read_all_request()).await;
    assert_eq!(response.status, 503);
    assert!(response.text().contains("20ms (--query.timeout)"), "{}", response.text());
    let message = read_all_request().encode_to_vec();
    for path in [
        "/narthex.v1.Read/Read",
        "/narthex.v1.Read/ReadChunks",
        "/thanos.Store/Series",
        "/thanos.Exemplars/Exemplars",
    ] {
        let message = if path.starts_with("/narthex") { &message[..] } else { &[] };
        let response = server.send(grpc_request(path, message)).await;
        assert_eq!(response.grpc_status(), "14", "{path}: {:?}", response.headers);
    }
}

#[tokio::test]
async fn lookup_over_its_limit_is_503() {
    let server = TestServer::ready(&FLAGS).await;
    let _lists = server.context.lists.gate.acquire().await.unwrap();
    for path in ["/api/v1/labels", "/api/v1/metadata", "/api/v1/series?match[]=up"] {
        let response = server.get(path).await;
        assert_eq!(response.status, 503, "{path}");
        assert!(response.text().contains("20ms (--query.timeout)\""), "{}", response.text());
    }
}

const DELETE: &str = "/api/v1/admin/tsdb/delete_series?match[]=up";

/// Returns a server with one sample, on a disk that can pause.
async fn server_with_sample() -> (TestServer, CrashDisk) {
    let disk = CrashDisk::new();
    let flags = ["--web.admin-timeout=20ms", "--web.enable-admin-api"];
    let server = TestServer::ready_on(Arc::new(disk.clone()), &flags).await;
    let written = WritePath::Http1.write(&server, &[series("up", &[(now_ms(), 1.0)])]).await;
    assert_eq!(written.status, 204);
    (server, disk)
}

async fn exported(server: &TestServer, selector: &str) -> String {
    server.get(&format!("/api/v1/export?match[]={selector}")).await.text().to_owned()
}

#[tokio::test]
async fn waiting_admin_operation_over_its_limit_never_starts() {
    let (server, _disk) = server_with_sample().await;
    let held = server.context.admin.gate.acquire().await.unwrap();
    let response = server.post(DELETE).await;
    assert_eq!(response.status, 503);
    let text = response.text();
    assert!(text.contains("20ms (--web.admin-timeout); the operation was not started"), "{text}");
    drop(held);
    // Permits are granted in order, so an operation that still waits would have ended before this.
    drop(server.context.admin.gate.acquire().await.unwrap());
    assert!(exported(&server, "up").await.contains("\"up\""));
}

#[tokio::test]
async fn started_admin_operation_over_its_limit_continues() {
    let (server, disk) = server_with_sample().await;
    let paused = disk.pause();
    let response = server.post(DELETE).await;
    assert_eq!(response.status, 503);
    let text = response.text();
    assert!(text.contains("20ms (--web.admin-timeout); the operation continues"), "{text}");
    drop(paused);
    drop(server.context.admin.gate.acquire().await.unwrap());
    assert_eq!(exported(&server, "up").await, "");
}

#[tokio::test]
async fn write_over_its_limit_in_the_commit_is_stored_once() {
    let disk = CrashDisk::new();
    let flags = ["--storage.remote.write-timeout=100ms"];
    let server = TestServer::ready_on(Arc::new(disk.clone()), &flags).await;
    let now = now_ms();
    // The second sample is rejected, which is recorded although nobody gets the response.
    let sent = |name: &str| [series(name, &[(now, 1.0), (now, 2.0)])];
    let names = WritePath::ALL.map(|path| format!("{path:?}"));
    let paused = disk.pause();
    for (path, name) in WritePath::ALL.iter().zip(&names) {
        let result = path.write(&server, &sent(name)).await;
        assert_eq!(result.status, 503, "{path:?}");
        assert!(result.text.contains("it may still be stored"), "{}", result.text);
    }
    assert_eq!(forward_series(&server, sent("thanos").to_vec()).await.grpc_status(), "14");
    drop(paused);
    while rejected_requests(&server).await < WritePath::ALL.len() as u64 + 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (path, name) in WritePath::ALL.iter().zip(&names) {
        let retried = [series(name, &[(now, 1.0)])];
        let mut result = path.write(&server, &retried).await;
        while result.status == 503 {
            result = path.write(&server, &retried).await;
        }
        assert_eq!(result.status, 204, "{path:?}");
    }
    assert_eq!(stored_samples(&server).await, WritePath::ALL.len() + 1);
    let appended = counter(&server, "prometheus_tsdb_head_samples_appended_total", "").await;
    assert_eq!(appended, WritePath::ALL.len() as f64 + 1.0);
}

/// Returns the number of requests in the entries of `status/rejections`.
async fn rejected_requests(server: &TestServer) -> u64 {
    let response = server.get("/api/v1/status/rejections").await;
    let parsed: serde_json::Value = serde_json::from_str(response.text()).unwrap();
    let entries = parsed["data"]["rejections"].as_array().unwrap().iter();
    entries.map(|entry| entry["requests"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn timed_out_response_has_the_headers_of_its_route() {
    let flags = [&FLAGS[..], &["--web.cors.origin=.*"]].concat();
    let server = TestServer::ready(&flags).await;
    let _lists = server.context.lists.gate.acquire().await.unwrap();
    let request = Request::get("/api/v1/labels").header("origin", "https://a.test");
    let response = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("access-control-allow-origin"), "https://a.test");
    let vary = response.headers.get_all("vary").iter();
    let vary: Vec<_> = vary.map(|value| value.to_str().unwrap()).collect();
    assert_eq!(vary, ["Accept-Encoding", "Origin"]);
}
