//! Responses of `thanos.WriteableStore` to a Receive router, which retries on every code but OK and
//! ALREADY_EXISTS.

use crate::app::tests::edge::{TestResponse, TestServer, now_ms, request, series};
use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus_copy::TimeSeries;
use crate::remote::pb::thanos::{TimeSeriesTenantTuple, WriteRequest};
use crate::server::management::lifecycle::Phase;
use crate::testing::crash_disk::{CrashDisk, DiskCall};
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use prost::Message;
use std::io::Write;
use std::sync::Arc;

/// Converts series of remote write 1.0 to a request of a tenant.
pub(crate) fn tenant_request(tenant: &str, series: Vec<pb::TimeSeries>) -> Vec<u8> {
    let timeseries =
        series.iter().map(|series| TimeSeries::decode(&*series.encode_to_vec()).unwrap()).collect();
    let tuple = TimeSeriesTenantTuple { timeseries, tenant: tenant.to_owned() };
    WriteRequest { timeseries_tenant_data: vec![tuple], replica: 1, ..Default::default() }
        .encode_to_vec()
}

fn valid_tenant_request() -> Vec<u8> {
    tenant_request("a", vec![series("good", &[(now_ms(), 1.0)])])
}

/// Sends series as a router, without a tenant.
pub(crate) async fn forward_series(
    server: &TestServer,
    series: Vec<pb::TimeSeries>,
) -> TestResponse {
    server.forward(&tenant_request("", series)).await
}

impl TestServer {
    async fn forward(&self, message: &[u8]) -> TestResponse {
        self.grpc("/thanos.WriteableStore/RemoteWrite", message).await
    }
}

#[track_caller]
fn assert_permanent(got: &TestResponse, text: &str) {
    assert_eq!(got.grpc_status(), "6", "{:?}", got.headers);
    assert!(got.header("grpc-message").contains(text), "{:?}", got.headers);
    assert!(!got.headers.contains_key("grpc-status-details-bin"), "{:?}", got.headers);
}

#[tokio::test]
async fn stored_request_and_its_retry_are_ok() {
    let edge = TestServer::ready(&[]).await;
    let message = valid_tenant_request();
    for _ in 0..2 {
        let got = edge.forward(&message).await;
        assert_eq!((got.grpc_status(), &got.body[..]), ("0", &[0, 0, 0, 0, 0][..]));
    }
    assert_eq!(edge.forward(&[]).await.grpc_status(), "0");
    let got = edge.get("/api/v1/export?match[]=good").await;
    assert!(
        got.text().contains("\"tenant_id\":\"a\"") && got.text().contains("[1.0]"),
        "{}",
        got.text()
    );
}

#[tokio::test]
async fn rejection_is_permanent_and_rest_is_stored() {
    let edge = TestServer::ready(&["--thanos.tenant-label-name=org"]).await;
    let now = now_ms();
    let message = tenant_request(
        "a",
        vec![
            series("mixed", &[(now, 1.0), (now, 2.0), (now + 3_600_000, 1.0)]),
            series("", &[(now, 1.0)]),
            series("sound", &[(now, 1.0)]),
        ],
    );
    let got = edge.forward(&message).await;
    assert_permanent(&got, "stored%202%20samples");
    for part in
        ["1%20duplicate%20timestamp", "1%20too%20far%20in%20the%20future", "1%20invalid%20labels"]
    {
        assert_permanent(&got, part);
    }
    let stored = edge.get("/api/v1/export?match[]={org=%22a%22}").await;
    assert_eq!(stored.text().lines().count(), 2, "{}", stored.text());
}

#[tokio::test]
async fn too_large_or_malformed_message_is_permanent() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=2KB"]).await;
    let large = tenant_request("a", vec![series(&"x".repeat(2048), &[(now_ms(), 1.0)])]);
    assert_permanent(&edge.forward(&large).await, "");
    assert_permanent(&edge.forward(b"\x22\xff").await, "thanos.WriteRequest");
    let many = vec![series("", &[(1, 1.0)]); 60];
    assert_permanent(
        &edge.forward(&tenant_request(&"t".repeat(100), many)).await,
        "tenant%20names",
    );
    let edge = TestServer::ready(&["--storage.remote.write-max-series=1"]).await;
    let two = vec![series("a", &[(1, 1.0)]), series("b", &[(1, 1.0)])];
    assert_permanent(&edge.forward(&tenant_request("a", two)).await, "more%20than%201%20series");
    assert_eq!(edge.forward(&valid_tenant_request()).await.grpc_status(), "0");
}

/// Returns a message as a router sends it: in snappy's framing format, which gRPC calls `snappy`.
fn in_snappy(message: &[u8]) -> Request<Body> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(message).unwrap();
    let compressed = encoder.into_inner().unwrap();
    let frame = [&[1][..], &(compressed.len() as u32).to_be_bytes(), &compressed].concat();
    let request = Request::post("/thanos.WriteableStore/RemoteWrite")
        .header("content-type", "application/grpc");
    request.header("te", "trailers").header("grpc-encoding", "snappy").body(frame.into()).unwrap()
}

#[tokio::test]
async fn snappy_message_is_handled_like_plain() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=64KB"]).await;
    assert_eq!(edge.send(in_snappy(&valid_tenant_request())).await.grpc_status(), "0");
    assert!(edge.get("/api/v1/export?match[]=good").await.text().contains("[1.0]"));
    let bad = tenant_request("a", vec![series("", &[(now_ms(), 1.0)])]);
    assert_permanent(&edge.send(in_snappy(&bad)).await, "1%20invalid%20labels");
    // Decompression bomb: small before, over the limit after decompression.
    let bomb = tenant_request("a", vec![series(&"x".repeat(1 << 20), &[(now_ms(), 1.0)])]);
    assert_permanent(&edge.send(in_snappy(&bomb)).await, "");
    // An unknown encoding is a configuration error. It is retried, so that no data is lost.
    let mut other = in_snappy(&valid_tenant_request());
    other.headers_mut().insert("grpc-encoding", HeaderValue::from_static("lz4"));
    assert_eq!(edge.send(other).await.grpc_status(), "12");
    assert_eq!(edge.send(in_snappy(&valid_tenant_request())).await.grpc_status(), "0");
}

#[tokio::test]
async fn starting_draining_and_overload_are_unavailable() {
    let edge = TestServer::starting(&[]).await;
    edge.forward(&valid_tenant_request()).await.assert_grpc_retry_later();
    edge.context.process.lifecycle.advance(Phase::Draining);
    edge.forward(&valid_tenant_request()).await.assert_grpc_retry_later();
    let edge = TestServer::ready(&["--web.max-bytes-in-flight=10"]).await;
    edge.forward(&valid_tenant_request()).await.assert_grpc_retry_later();
}

#[tokio::test]
async fn failed_disk_is_internal_and_full_disk_unavailable() {
    let disk = CrashDisk::new();
    let edge =
        TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.wal-sync=always"]).await;
    disk.fail_with_eio(DiskCall::Sync, 1);
    assert_eq!(edge.forward(&valid_tenant_request()).await.grpc_status(), "13");
    let disk = CrashDisk::new();
    let edge = TestServer::ready_on(Arc::new(disk.clone()), &[]).await;
    disk.set_free_bytes(Some(0));
    edge.forward(&valid_tenant_request()).await.assert_grpc_retry_later();
}

#[tokio::test]
async fn request_without_tenant_is_stored_unchanged() {
    let edge = TestServer::ready(&[]).await;
    assert_eq!(
        edge.forward(&request(vec![series("plain", &[(now_ms(), 1.0)])])).await.grpc_status(),
        "0"
    );
    let got = edge.get("/api/v1/export?match[]=plain").await;
    assert!(
        got.text().contains("\"plain\"") && !got.text().contains("tenant_id"),
        "{}",
        got.text()
    );
    assert_eq!(
        edge.grpc("/thanos.WriteableStore/Other", &valid_tenant_request()).await.grpc_status(),
        "12"
    );
}
