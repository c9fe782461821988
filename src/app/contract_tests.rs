//! The answer contract, row by row, over HTTP and over gRPC; and the other surfaces as a client sees them.

use crate::app::setup;
use crate::config::flags::{Cli, Command};
use crate::remote::pb::narthex_v1::WriteResponse;
use crate::remote::pb::prometheus as pb;
use crate::server::body::Received;
use crate::server::context::SharedContext;
use crate::server::grpc::health;
use crate::server::lifecycle::Phase;
use crate::server::router;
use crate::tsdb::db::Db;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use clap::Parser;
use http_body_util::BodyExt;
use prost::Message;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tower::ServiceExt;

struct Edge {
    router: Router,
    context: SharedContext,
    _dir: TempDir,
}

/// What a client got.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

impl Got {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status of gRPC, from the trailers or, where there is no body, the headers.
    fn grpc_status(&self) -> &str {
        let found = self.trailers.get("grpc-status").or_else(|| self.headers.get("grpc-status"));
        found.map_or("", |value| value.to_str().unwrap())
    }

    fn assert_retry_later(&self) {
        assert_eq!(self.status, StatusCode::SERVICE_UNAVAILABLE, "{}", self.text());
        let seconds: u64 = self.header("retry-after").parse().unwrap();
        assert!((1..=5).contains(&seconds), "{seconds}");
    }
}

impl Edge {
    /// An edge that is still starting.
    async fn starting(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = format!("--storage.tsdb.path={}", dir.path().display());
        let line = ["narthex", "serve", path.as_str()].into_iter().chain(flags.iter().copied());
        let Command::Serve(flags) = Cli::parse_from(line).command;
        let db = Arc::new(Db::open(setup::db_options(&flags.storage)).unwrap());
        let context = setup::parts(&flags, db).context;
        let (keeper, service) = health::service().await;
        tokio::spawn(keeper.follow(context.clone()));
        Self { router: router::routes(context.clone(), service), context, _dir: dir }
    }

    async fn ready(flags: &[&str]) -> Self {
        let edge = Self::starting(flags).await;
        edge.context.db.replay().unwrap();
        edge.context.lifecycle.advance(Phase::Ready);
        edge
    }

    async fn send(&self, request: Request<Body>) -> Got {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Got { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers }
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn write(&self, body: impl Into<Body>) -> Got {
        self.write_as("application/x-protobuf", "snappy", body).await
    }

    async fn write_as(&self, content_type: &str, encoding: &str, body: impl Into<Body>) -> Got {
        let request = Request::post("/api/v1/write")
            .header("content-type", content_type)
            .header("content-encoding", encoding)
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    async fn read(&self, request: &pb::ReadRequest) -> Got {
        self.send(Request::post("/api/v1/read").body(pack(&request.encode_to_vec()).into()).unwrap()).await
    }

    async fn grpc(&self, path: &str, message: &[u8]) -> Got {
        let mut frame = vec![0];
        frame.extend((message.len() as u32).to_be_bytes());
        frame.extend(message);
        let request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
        let got = self.send(request.body(frame.into()).unwrap()).await;
        assert_eq!(got.status, StatusCode::OK);
        got
    }

    async fn write_v1(&self, message: &[u8]) -> Got {
        self.grpc("/narthex.v1.Write/WriteV1", message).await
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn series(name: &str, samples: &[(i64, f64)]) -> pb::TimeSeries {
    pb::TimeSeries {
        labels: vec![pb::Label { name: "__name__".into(), value: name.into() }],
        samples: samples.iter().map(|&(timestamp, value)| pb::Sample { value, timestamp }).collect(),
        ..Default::default()
    }
}

fn request(timeseries: Vec<pb::TimeSeries>) -> Vec<u8> {
    pb::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

fn good() -> Vec<u8> {
    request(vec![series("good", &[(now_ms(), 1.0)])])
}

/// One good sample and, for each of these reasons, a bad one: out of order, duplicate, far ahead, bad labels.
fn partly_bad() -> Vec<u8> {
    let now = now_ms();
    request(vec![
        series("mixed", &[(now, 1.0), (now - 1, 1.0), (now, 2.0), (now + 3_600_000, 1.0)]),
        series("", &[(now, 1.0)]),
    ])
}

fn everything() -> pb::ReadRequest {
    let matcher = pb::LabelMatcher { r#type: 1, name: "__name__".into(), value: String::new() };
    let query = pb::Query { start_timestamp_ms: 0, end_timestamp_ms: i64::MAX, matchers: vec![matcher], hints: None };
    pb::ReadRequest { queries: vec![query], accepted_response_types: Vec::new() }
}

#[tokio::test]
async fn all_stored_is_204_without_written_headers_and_ok_with_counts() {
    let edge = Edge::ready(&[]).await;
    let got = edge.write(pack(&good())).await;
    assert_eq!((got.status, got.text()), (StatusCode::NO_CONTENT, ""));
    assert!(!got.headers.keys().any(|name| name.as_str().ends_with("-written")), "{:?}", got.headers);
    let got = edge.write_v1(&good()).await;
    assert_eq!(got.grpc_status(), "0");
    assert_eq!(WriteResponse::decode(&got.body[5..]).unwrap().samples, 1);
}

#[tokio::test]
async fn what_is_good_is_stored_and_what_is_bad_is_400_or_invalid_argument_with_counts_and_names() {
    let edge = Edge::ready(&[]).await;
    let body = partly_bad();
    let http = edge.write(pack(&body)).await;
    assert_eq!(http.status, StatusCode::BAD_REQUEST);
    let grpc = edge.write_v1(&body).await;
    assert_eq!(grpc.grpc_status(), "3");
    let details = grpc.headers.get("grpc-status-details-bin").or_else(|| grpc.trailers.get("grpc-status-details-bin"));
    assert!(details.is_some());
    for part in ["1 out of order", "1 duplicate timestamp", "1 too far in the future", "1 invalid labels", "mixed"] {
        assert!(http.text().contains(part), "{part} in {}", http.text());
    }
    let got = edge.get("/api/v1/export?match[]=mixed").await;
    assert!(got.text().contains("\"values\":[1.0]"), "{}", got.text());
}

#[tokio::test]
async fn all_bad_is_400_and_nothing_is_stored() {
    let edge = Edge::ready(&[]).await;
    let body = request(vec![series("", &[(1, 1.0)])]);
    assert_eq!(edge.write(pack(&body)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(edge.write_v1(&body).await.grpc_status(), "3");
    assert_eq!(edge.get("/api/v1/export?match[]={__name__!=%22%22}").await.text(), "");
}

#[tokio::test]
async fn an_unknown_type_or_encoding_is_415_or_unimplemented() {
    let edge = Edge::ready(&[]).await;
    for (content_type, encoding) in [
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy"),
        ("application/json", "snappy"),
        ("application/x-protobuf", "gzip"),
    ] {
        let got = edge.write_as(content_type, encoding, pack(&good())).await;
        assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type} {encoding}");
    }
    let got = edge.write(&b"\x1f\x8b\x08\x00\x00\x00\x00\x00"[..]).await;
    assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(edge.grpc("/narthex.v1.Write/WriteV9", &good()).await.grpc_status(), "12");
    let got = edge.send(Request::post("/narthex.v1.Write/WriteV1").body(Body::empty()).unwrap()).await;
    assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_body_that_is_no_request_is_400_or_invalid_argument() {
    let edge = Edge::ready(&[]).await;
    for body in [vec![], b"\x05".to_vec(), pack(b"\x0a\xff"), pack(&good()[..good().len() - 1])] {
        assert_eq!(edge.write(body).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(edge.write_v1(b"\x0a\xff").await.grpc_status(), "3");
}

#[tokio::test]
async fn over_a_limit_of_size_is_413_or_resource_exhausted() {
    let flags = ["--storage.remote.write-max-body-size=1KB", "--storage.remote.write-max-decoded-size=2KB"];
    let edge = Edge::ready(&flags).await;
    let sized = edge.write(vec![0; 1025]).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(3);
    for _ in 0..3 {
        sender.send(Ok(Bytes::from_static(&[0; 512]))).await.unwrap();
    }
    drop(sender);
    let streamed = edge.write(Body::new(Received::from(receiver))).await;
    let declared_4_gib = edge.write(&b"\xff\xff\xff\xff\x0f"[..]).await;
    let bomb = edge.write(pack(&vec![0; 4096])).await;
    for got in [sized, streamed, declared_4_gib, bomb] {
        assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", got.text());
    }
    assert_eq!(edge.write_v1(&[0; 2049]).await.grpc_status(), "8");
    let edge = Edge::ready(&["--storage.remote.write-max-series=1"]).await;
    let two = request(vec![series("a", &[(1, 1.0)]), series("b", &[(1, 1.0)])]);
    assert_eq!(edge.write(pack(&two)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(edge.write_v1(&two).await.grpc_status(), "8");
}

#[tokio::test]
async fn starting_draining_and_overload_are_503_or_unavailable() {
    let edge = Edge::starting(&[]).await;
    edge.write(pack(&good())).await.assert_retry_later();
    edge.read(&everything()).await.assert_retry_later();
    edge.get("/api/v1/export?match[]=up").await.assert_retry_later();
    assert_eq!(edge.write_v1(&good()).await.grpc_status(), "14");
    edge.context.lifecycle.advance(Phase::Draining);
    edge.write(pack(&good())).await.assert_retry_later();
    assert_eq!(edge.write_v1(&good()).await.grpc_status(), "14");

    let edge = Edge::ready(&["--web.max-bytes-in-flight=10"]).await;
    edge.write(pack(&good())).await.assert_retry_later();
    let got = edge.write_v1(&good()).await;
    assert_eq!(got.grpc_status(), "14");

    let edge =
        Edge::ready(&["--storage.remote.write-concurrent-limit=1", "--storage.remote.write-queue-limit=1"]).await;
    let _at_work = edge.context.write_gate.enter().await.unwrap();
    let waiting = tokio::spawn({
        let context = edge.context.clone();
        async move { context.write_gate.enter().await.map(drop) }
    });
    tokio::task::yield_now().await;
    edge.write(pack(&good())).await.assert_retry_later();
    waiting.abort();
}

#[tokio::test]
async fn a_closed_database_is_503() {
    let edge = Edge::ready(&[]).await;
    edge.context.db.close().unwrap();
    edge.write(pack(&good())).await.assert_retry_later();
    assert_eq!(edge.write_v1(&good()).await.grpc_status(), "14");
}

#[tokio::test]
async fn a_refused_write_is_followed_by_a_good_one() {
    let edge = Edge::ready(&[]).await;
    for bad in [pack(&partly_bad()), vec![1, 2, 3], pack(b"\xff")] {
        assert_eq!(edge.write(bad).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(edge.write(pack(&good())).await.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_a_wrong_path_404() {
    let edge = Edge::ready(&[]).await;
    let got = edge.get("/api/v1/write").await;
    assert_eq!((got.status, got.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    let got = edge.send(Request::post("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!((got.status, got.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"));
    assert_eq!(edge.get("/api/v1/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(edge.grpc("/nothing.Here/At", b"").await.grpc_status(), "12");
}

#[tokio::test]
async fn a_read_answers_what_was_written() {
    let edge = Edge::ready(&[]).await;
    let now = now_ms();
    let written = vec![series("a", &[(now, 1.0), (now + 1, f64::INFINITY)]), series("b", &[(now, -2.5)])];
    assert_eq!(edge.write(pack(&request(written.clone()))).await.status, StatusCode::NO_CONTENT);
    let got = edge.read(&everything()).await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!((got.header("content-type"), got.header("content-encoding")), ("application/x-protobuf", "snappy"));
    let unpacked = snap::raw::Decoder::new().decompress_vec(&got.body).unwrap();
    let response = pb::ReadResponse::decode(&unpacked[..]).unwrap();
    assert_eq!(response.results[0].timeseries, written);
}

#[tokio::test]
async fn bad_reads_are_400_and_too_many_at_once_503() {
    let edge = Edge::ready(&["--storage.remote.read-sample-limit=1", "--storage.remote.read-concurrent-limit=1"]).await;
    let now = now_ms();
    edge.write(pack(&request(vec![series("a", &[(now, 1.0), (now + 1, 1.0)])]))).await;
    let mut regex = everything();
    regex.queries[0].matchers[0] = pb::LabelMatcher { r#type: 2, name: "a".into(), value: "(".into() };
    let mut streamed = everything();
    streamed.accepted_response_types = vec![1];
    for bad in [everything(), regex, streamed] {
        let got = edge.read(&bad).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST);
        assert!(!got.text().is_empty());
    }
    let _at_work = edge.context.read_gate.enter().await.unwrap();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let context = edge.context.clone();
            tokio::spawn(async move { context.read_gate.enter().await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    edge.read(&everything()).await.assert_retry_later();
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn an_export_is_json_lines() {
    let edge = Edge::ready(&[]).await;
    let now = now_ms();
    edge.write(pack(&request(vec![series("a", &[(now, 1.5), (now + 1, f64::NAN)]), series("b", &[(now, 1e300)])])))
        .await;
    let got = edge.get("/api/v1/export?match[]=a&match[]={__name__=~%22a|b%22}").await;
    assert_eq!((got.status, got.header("content-type")), (StatusCode::OK, "application/x-ndjson"));
    let lines: Vec<serde_json::Value> = got.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["metric"]["__name__"], "a");
    assert_eq!(lines[0]["values"], serde_json::json!([1.5, "NaN"]));
    assert_eq!(lines[1]["timestamps"], serde_json::json!([now]));
    let got = edge.get(&format!("/api/v1/export?match[]=a&values=bits&end={}", now / 1000 + 1)).await;
    assert!(got.text().contains("\"3ff8000000000000\""), "{}", got.text());
    for bad in ["", "?match[]={", "?match[]=a&start=x", "?match[]=a&nothing=1"] {
        assert_eq!(edge.get(&format!("/api/v1/export{bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_starting_server_is_healthy_and_not_ready() {
    let edge = Edge::starting(&[]).await;
    assert_eq!(edge.get("/-/healthy").await.status, StatusCode::OK);
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let got = edge.get("/api/v1/status/walreplay").await;
    assert_eq!(got.text(), r#"{"status":"success","data":{"min":0,"max":0,"current":0}}"#);
    edge.context.db.replay().unwrap();
    edge.context.lifecycle.advance(Phase::Ready);
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::OK);
    edge.context.lifecycle.advance(Phase::Draining);
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(edge.get("/-/healthy").await.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_count_requests_and_are_compressed_for_who_takes_it() {
    let edge = Edge::ready(&[]).await;
    edge.write(pack(&good())).await;
    let got = edge.get("/metrics").await;
    let line = "prometheus_http_requests_total{handler=\"/api/v1/write\",code=\"204\"} 1\n";
    assert!(got.text().contains(line), "{}", got.text());
    assert!(got.text().contains("narthex_bytes_in_flight 0"), "{}", got.text());
    let packed =
        edge.send(Request::get("/metrics").header("accept-encoding", "gzip").body(Body::empty()).unwrap()).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut text).unwrap();
    assert!(text.contains(line));
}

#[tokio::test]
async fn grpc_health_is_that_of_each_service() {
    use tonic_health::pb::health_check_response::ServingStatus;
    let edge = Edge::starting(&[]).await;
    let asked = async |service: &str| {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        let got = edge.grpc("/grpc.health.v1.Health/Check", &request.encode_to_vec()).await;
        tonic_health::pb::HealthCheckResponse::decode(&got.body[5..]).unwrap().status()
    };
    for service in ["", "narthex.v1.Write"] {
        assert_eq!(asked(service).await, ServingStatus::NotServing);
    }
    edge.context.db.replay().unwrap();
    edge.context.lifecycle.advance(Phase::Ready);
    let changes = async |status: ServingStatus| {
        for _ in 0..100 {
            if asked("narthex.v1.Write").await == status && asked("").await == status {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        false
    };
    assert!(changes(ServingStatus::Serving).await);
    edge.context.lifecycle.advance(Phase::Draining);
    assert!(changes(ServingStatus::NotServing).await);
}
