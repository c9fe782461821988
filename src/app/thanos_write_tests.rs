//! The answer contract of `thanos.WriteableStore`: what a Receive router is told, row by row. It repeats on every code but OK and ALREADY_EXISTS.

use crate::app::edge::{TestResponse, TestServer, now_ms, request, series};
use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus_copy::TimeSeries;
use crate::remote::pb::thanos::{TimeSeriesTenantTuple, WriteRequest};
use crate::server::lifecycle::Phase;
use crate::tsdb::fs::crash_disk::{CrashDisk, DiskCall};
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use prost::Message;
use std::io::Write;
use std::sync::Arc;

/// The series of a request of remote write 1.0 as those of a tenant.
fn of_tenant(tenant: &str, series: Vec<pb::TimeSeries>) -> Vec<u8> {
    let timeseries =
        series.iter().map(|series| TimeSeries::decode(&*series.encode_to_vec()).unwrap()).collect();
    let tuple = TimeSeriesTenantTuple { timeseries, tenant: tenant.to_owned() };
    WriteRequest { timeseries_tenant_data: vec![tuple], replica: 1, ..Default::default() }
        .encode_to_vec()
}

fn good() -> Vec<u8> {
    of_tenant("a", vec![series("good", &[(now_ms(), 1.0)])])
}

impl TestServer {
    async fn forward(&self, message: &[u8]) -> TestResponse {
        self.grpc("/thanos.WriteableStore/RemoteWrite", message).await
    }
}

#[track_caller]
fn assert_final(got: &TestResponse, text: &str) {
    assert_eq!(got.grpc_status(), "6", "{:?}", got.headers);
    assert!(got.header("grpc-message").contains(text), "{:?}", got.headers);
    assert!(!got.headers.contains_key("grpc-status-details-bin"), "{:?}", got.headers);
}

#[tokio::test]
async fn all_stored_is_ok_and_so_is_a_repeat() {
    let edge = TestServer::ready(&[]).await;
    let message = good();
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
async fn data_that_is_refused_is_final_and_the_rest_is_stored() {
    let edge = TestServer::ready(&["--thanos.tenant-label-name=org"]).await;
    let now = now_ms();
    let message = of_tenant(
        "a",
        vec![
            series("mixed", &[(now, 1.0), (now, 2.0), (now + 3_600_000, 1.0)]),
            series("", &[(now, 1.0)]),
            series("sound", &[(now, 1.0)]),
        ],
    );
    let got = edge.forward(&message).await;
    assert_final(&got, "stored%202%20samples");
    for part in
        ["1%20duplicate%20timestamp", "1%20too%20far%20in%20the%20future", "1%20invalid%20labels"]
    {
        assert_final(&got, part);
    }
    let stored = edge.get("/api/v1/export?match[]={org=%22a%22}").await;
    assert_eq!(stored.text().lines().count(), 2, "{}", stored.text());
}

#[tokio::test]
async fn a_message_that_is_too_large_or_none_is_final() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=2KB"]).await;
    let large = of_tenant("a", vec![series(&"x".repeat(2048), &[(now_ms(), 1.0)])]);
    assert_final(&edge.forward(&large).await, "");
    assert_final(&edge.forward(b"\x22\xff").await, "thanos.WriteRequest");
    let many = vec![series("", &[(1, 1.0)]); 60];
    assert_final(&edge.forward(&of_tenant(&"t".repeat(100), many)).await, "tenants");
    let edge = TestServer::ready(&["--storage.remote.write-max-series=1"]).await;
    let two = vec![series("a", &[(1, 1.0)]), series("b", &[(1, 1.0)])];
    assert_final(&edge.forward(&of_tenant("a", two)).await, "more%20than%201%20series");
    assert_eq!(edge.forward(&good()).await.grpc_status(), "0");
}

/// A message as a router sends it: in snappy's framing format, which is what gRPC means by that name.
fn in_snappy(message: &[u8]) -> Request<Body> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(message).unwrap();
    let packed = encoder.into_inner().unwrap();
    let frame = [&[1][..], &(packed.len() as u32).to_be_bytes(), &packed].concat();
    let request = Request::post("/thanos.WriteableStore/RemoteWrite")
        .header("content-type", "application/grpc");
    request.header("te", "trailers").header("grpc-encoding", "snappy").body(frame.into()).unwrap()
}

#[tokio::test]
async fn messages_are_taken_in_snappy_and_judged_as_if_they_were_plain() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=64KB"]).await;
    assert_eq!(edge.send(in_snappy(&good())).await.grpc_status(), "0");
    assert!(edge.get("/api/v1/export?match[]=good").await.text().contains("[1.0]"));
    let bad = of_tenant("a", vec![series("", &[(now_ms(), 1.0)])]);
    assert_final(&edge.send(in_snappy(&bad)).await, "1%20invalid%20labels");
    // A bomb: small as it comes, over the limit when it is unpacked.
    let bomb = of_tenant("a", vec![series(&"x".repeat(1 << 20), &[(now_ms(), 1.0)])]);
    assert_final(&edge.send(in_snappy(&bomb)).await, "");
    // An encoding that is not known is a setting to be changed; nothing is lost until then.
    let mut other = in_snappy(&good());
    other.headers_mut().insert("grpc-encoding", HeaderValue::from_static("lz4"));
    assert_eq!(edge.send(other).await.grpc_status(), "12");
    assert_eq!(edge.send(in_snappy(&good())).await.grpc_status(), "0");
}

#[tokio::test]
async fn starting_draining_and_overload_are_unavailable() {
    let edge = TestServer::starting(&[]).await;
    edge.forward(&good()).await.assert_grpc_retry_later();
    edge.context.lifecycle.advance(Phase::Draining);
    edge.forward(&good()).await.assert_grpc_retry_later();
    let edge = TestServer::ready(&["--web.max-bytes-in-flight=10"]).await;
    edge.forward(&good()).await.assert_grpc_retry_later();
}

#[tokio::test]
async fn a_fault_is_internal_and_a_full_disk_unavailable() {
    let disk = CrashDisk::new();
    let edge =
        TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.wal-sync=always"]).await;
    disk.fail_with_eio(DiskCall::Sync, 1);
    assert_eq!(edge.forward(&good()).await.grpc_status(), "13");
    let disk = CrashDisk::new();
    let edge = TestServer::ready_on(Arc::new(disk.clone()), &[]).await;
    disk.set_free_bytes(Some(0));
    edge.forward(&good()).await.assert_grpc_retry_later();
}

#[tokio::test]
async fn a_request_without_a_tenant_is_stored_as_it_is() {
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
    assert_eq!(edge.grpc("/thanos.WriteableStore/Other", &good()).await.grpc_status(), "12");
}
