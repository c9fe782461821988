//! Remote read over gRPC: the data of HTTP in one or many messages, and the status of failed reads.

use crate::app::tests::edge::{
    TestResponse, TestServer, grpc_request, now_ms, read_all_request, request, series, snappy_block,
};
use crate::remote::pb::prometheus as pb;
use crate::remote::pb::thanos;
use crate::server::management::lifecycle::Phase;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use prost::Message;
use std::time::Duration;

const READ: &str = "/narthex.v1.Read/Read";
const CHUNKS: &str = "/narthex.v1.Read/ReadChunks";

fn messages<T: Message + Default>(got: &TestResponse) -> Vec<T> {
    let mut body = &got.body[..];
    let mut messages = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        messages.push(T::decode(&rest[..len]).unwrap());
        body = &rest[len..];
    }
    messages
}

async fn edge_with(samples: usize, flags: &[&str]) -> (TestServer, Vec<pb::TimeSeries>) {
    let edge = TestServer::ready(flags).await;
    let now = now_ms() - 1000 * samples as i64;
    let samples_of = |seed: usize| {
        (0..samples).map(|i| (now + 1000 * i as i64, (i * seed) as f64)).collect::<Vec<_>>()
    };
    let written = vec![series("a", &samples_of(3)), series("b", &samples_of(7))];
    assert_eq!(
        edge.write(snappy_block(&request(written.clone()))).await.status,
        StatusCode::NO_CONTENT
    );
    (edge, written)
}

#[tokio::test]
async fn read_returns_samples_in_one_message() {
    let (edge, written) = edge_with(300, &[]).await;
    let got = edge.grpc(READ, &read_all_request().encode_to_vec()).await;
    assert_eq!((got.grpc_status(), got.header("content-type")), ("0", "application/grpc"));
    let responses: Vec<pb::ReadResponse> = messages(&got);
    assert_eq!(responses.len(), 1);
    assert_eq!(responses[0].results[0].timeseries, written);
    let empty = edge.grpc(READ, b"").await;
    assert_eq!((empty.grpc_status(), messages::<pb::ReadResponse>(&empty).len()), ("0", 1));
    assert!(edge.get("/metrics").await.text().contains("narthex_response_bytes_in_flight 0.0"));
}

#[tokio::test]
async fn chunk_read_has_messages_of_streamed_read() {
    let (edge, _) = edge_with(1000, &["--storage.remote.read-max-bytes-in-frame=1KB"]).await;
    let mut streamed = read_all_request();
    streamed.accepted_response_types = vec![1];
    let over_http = edge.read(&streamed).await;
    assert_eq!(over_http.status, StatusCode::OK);
    for request in [streamed, read_all_request()] {
        let got = edge.grpc(CHUNKS, &request.encode_to_vec()).await;
        assert_eq!(got.grpc_status(), "0");
        let frames: Vec<pb::ChunkedReadResponse> = messages(&got);
        assert!(frames.len() > 2, "{}", frames.len());
        assert_eq!(frames, http_frames(&over_http.body));
    }
    assert_eq!(edge.grpc(CHUNKS, b"").await.grpc_status(), "0");
}

/// Parses the frames of a streamed read over HTTP: length, checksum, message.
fn http_frames(mut body: &[u8]) -> Vec<pb::ChunkedReadResponse> {
    let mut frames = Vec::new();
    while !body.is_empty() {
        let len = prost::encoding::decode_varint(&mut body).unwrap() as usize;
        frames.push(pb::ChunkedReadResponse::decode(&body[4..4 + len]).unwrap());
        body = &body[4 + len..];
    }
    frames
}

#[tokio::test]
async fn invalid_reads_are_rejected() {
    let (edge, _) = edge_with(
        1000,
        &["--storage.remote.read-sample-limit=900", "--storage.remote.read-max-response-size=1KB"],
    )
    .await;
    let mut regex = read_all_request();
    regex.queries[0].matchers[0] =
        pb::LabelMatcher { r#type: 2, name: "a".into(), value: "(".into() };
    for (case, path, message, status) in [
        ("a bad regex", READ, regex.encode_to_vec(), "3"),
        ("a bad regex", CHUNKS, regex.encode_to_vec(), "3"),
        ("no request", READ, b"\xff".to_vec(), "3"),
        ("no request", CHUNKS, b"\xff".to_vec(), "3"),
        ("too many samples", READ, read_all_request().encode_to_vec(), "3"),
        ("a large request", READ, vec![0; (1 << 20) + 1], "8"),
    ] {
        let got = edge.grpc(path, &message).await;
        assert_eq!((got.grpc_status(), got.body.len()), (status, 0), "{case}: {:?}", got.headers);
    }
    let (edge, _) = edge_with(1000, &["--storage.remote.read-max-response-size=1KB"]).await;
    assert_eq!(edge.grpc(READ, &read_all_request().encode_to_vec()).await.grpc_status(), "8");
    let missing = grpc_request(READ, b"").map(|_| axum::body::Body::empty());
    assert_eq!(edge.send(missing).await.grpc_status(), "3");
}

#[tokio::test]
async fn rejected_read_has_retry_info() {
    let edge = TestServer::starting(&[]).await;
    edge.grpc(READ, b"").await.assert_grpc_retry_later();
    edge.grpc(CHUNKS, b"").await.assert_grpc_retry_later();
    edge.recover();
    edge.context.process.lifecycle.advance(Phase::Ready);
    let mut held = edge.context.reads.responses.budget.reserve();
    held.extend(1 << 27).unwrap();
    edge.grpc(CHUNKS, &read_all_request().encode_to_vec()).await.assert_grpc_retry_later();
}

#[tokio::test]
async fn disconnected_client_releases_permit_and_memory() {
    let (edge, _) = edge_with(20_000, &["--storage.remote.read-max-bytes-in-frame=1KB"]).await;
    let message = read_all_request().encode_to_vec();
    let response = edge.respond(grpc_request(CHUNKS, &message)).await;
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    let freed = async {
        while edge.context.reads.gate.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed)
        .await
        .expect("the permit must be released");
    assert!(edge.get("/metrics").await.text().contains("narthex_response_bytes_in_flight 0.0"));
}

#[tokio::test]
async fn slow_reads_do_not_block_lists() {
    let edge = TestServer::ready(&["--storage.remote.read-concurrent-limit=10"]).await;
    assert_eq!(
        edge.write(snappy_block(&request(vec![series("a", &[(now_ms(), 1.0)])]))).await.status,
        StatusCode::NO_CONTENT
    );
    // Ten permits, as if held by streamed reads whose clients do not read.
    let mut permits = Vec::new();
    for _ in 0..10 {
        permits.push(edge.context.reads.gate.acquire().await.unwrap());
    }
    for path in [
        "/api/v1/labels",
        "/api/v1/label/__name__/values",
        "/api/v1/series?match[]=a",
        "/api/v1/metadata",
        "/api/v1/query_exemplars?query=a",
    ] {
        let got = edge.get(path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.text());
    }
    let values = thanos::LabelValuesRequest {
        label: "__name__".into(),
        end: i64::MAX,
        ..Default::default()
    };
    let got = edge.grpc("/thanos.Store/LabelValues", &values.encode_to_vec()).await;
    assert_eq!(
        (got.grpc_status(), &messages::<thanos::LabelValuesResponse>(&got)[0].values),
        ("0", &vec!["a".into()])
    );
    assert_eq!(edge.grpc("/thanos.Store/LabelNames", b"").await.grpc_status(), "0");
}
