//! Reads, exports, health, readiness, status and metrics as a client sees them.

use crate::app::tests::edge::{
    TestServer, grpc_request, now_ms, read_all_request, request, series, snappy_block,
    valid_request,
};
use crate::metrics::registry::Registry;
use crate::remote::pb::prometheus as pb;
use crate::server::management::lifecycle::Phase;
use crate::server::router::overload_router;
use crate::server::transport::listener::{
    ConnectionLimits, ConnectionMetrics, DrainOutcome, HttpVersions, Listener,
};
use crate::server::transport::response_headers::ResponseHeaders;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Endpoint;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

#[tokio::test]
async fn unknown_method_is_405_and_unknown_path_404() {
    let edge = TestServer::ready(&[]).await;
    let got = edge.get("/api/v1/write").await;
    assert_eq!((got.status, got.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST,OPTIONS"));
    let got = edge.send(Request::post("/metrics").body(Body::empty()).unwrap()).await;
    let allowed = "GET,HEAD,OPTIONS";
    assert_eq!((got.status, got.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, allowed));
    assert_eq!(edge.get("/api/v1/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(edge.grpc("/nothing.Here/At", b"").await.grpc_status(), "12");
}

#[tokio::test]
async fn read_returns_written_samples() {
    let edge = TestServer::ready(&[]).await;
    let now = now_ms();
    let written =
        vec![series("a", &[(now, 1.0), (now + 1, f64::INFINITY)]), series("b", &[(now, -2.5)])];
    assert_eq!(
        edge.write(snappy_block(&request(written.clone()))).await.status,
        StatusCode::NO_CONTENT
    );
    let got = edge.read(&read_all_request()).await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(
        (got.header("content-type"), got.header("content-encoding")),
        ("application/x-protobuf", "snappy")
    );
    let decompressed = snap::raw::Decoder::new().decompress_vec(&got.body).unwrap();
    let response = pb::ReadResponse::decode(&decompressed[..]).unwrap();
    assert_eq!(response.results[0].timeseries, written);
}

#[tokio::test]
async fn invalid_reads_are_400_and_overload_is_503() {
    let edge = TestServer::ready(&[
        "--storage.remote.read-sample-limit=1",
        "--storage.remote.read-concurrent-limit=1",
    ])
    .await;
    let now = now_ms();
    edge.write(snappy_block(&request(vec![series("a", &[(now, 1.0), (now + 1, 1.0)])]))).await;
    let mut regex = read_all_request();
    regex.queries[0].matchers[0] =
        pb::LabelMatcher { r#type: 2, name: "a".into(), value: "(".into() };
    let mut unknown = read_all_request();
    unknown.accepted_response_types = vec![9];
    let streamed = pb::ReadRequest { accepted_response_types: vec![1, 0], ..read_all_request() };
    let bad_streamed = pb::ReadRequest { accepted_response_types: vec![1], ..regex.clone() };
    let got = edge.read(&streamed).await;
    assert_eq!(got.status, StatusCode::OK, "the sample limit must not apply to chunks");
    assert_eq!(
        got.header("content-type"),
        "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    );
    for bad in [read_all_request(), regex, unknown, bad_streamed] {
        let got = edge.read(&bad).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST);
        assert!(!got.text().is_empty());
    }
    let _at_work = edge.context.reads.gate.acquire().await.unwrap();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let context = edge.context.clone();
            tokio::spawn(async move { context.reads.gate.acquire().await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    edge.read(&read_all_request()).await.assert_retry_later();
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn streamed_read_without_memory_is_503() {
    let edge = TestServer::ready(&["--web.max-bytes-in-flight=2MB"]).await;
    edge.read(&pb::ReadRequest { accepted_response_types: vec![1], ..read_all_request() })
        .await
        .assert_retry_later();
    let edge = TestServer::ready(&[
        "--web.max-bytes-in-flight=2MB",
        "--storage.remote.read-max-bytes-in-frame=4KB",
    ])
    .await;
    let got = edge
        .read(&pb::ReadRequest { accepted_response_types: vec![1], ..read_all_request() })
        .await;
    assert_eq!((got.status, got.body.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn metadata_response_has_prometheus_format() {
    let edge = TestServer::ready(&[]).await;
    let family = |name: &str, kind: i32, help: &str| pb::MetricMetadata {
        r#type: kind,
        metric_family_name: name.to_owned(),
        help: help.to_owned(),
        unit: String::new(),
    };
    let mut written =
        request(vec![series("a", &[(now_ms(), 1.0)]), series("b_bucket", &[(now_ms(), 1.0)])]);
    let entries = pb::WriteRequest {
        timeseries: Vec::new(),
        metadata: vec![
            family("a", 2, "\"quoted\""),
            family("b", 3, ""),
            family("no_series", 2, ""),
        ],
    };
    written.extend(entries.encode_to_vec());
    assert_eq!(edge.write(snappy_block(&written)).await.status, StatusCode::NO_CONTENT);
    let a = r#""a":[{"type":"gauge","unit":"","help":"\"quoted\""}]"#;
    let b = r#""b":[{"type":"histogram","unit":"","help":""}]"#;
    for (query, data) in [
        ("", format!("{a},{b}")),
        ("?metric=b", b.to_owned()),
        ("?metric=b_bucket", String::new()),
        ("?limit=1", a.to_owned()),
        ("?limit=0", String::new()),
        ("?limit=-1&limit_per_metric=1", format!("{a},{b}")),
    ] {
        let got = edge.get(&format!("/api/v1/metadata{query}")).await;
        assert_eq!((got.status, got.header("content-type")), (StatusCode::OK, "application/json"));
        assert_eq!(
            got.text(),
            format!("{{\"status\":\"success\",\"data\":{{{data}}}}}"),
            "{query}"
        );
    }
    let got = edge.get("/api/v1/metadata?limit=many").await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        got.text(),
        r#"{"status":"error","errorType":"bad_data","error":"limit must be a number"}"#
    );
    assert_eq!(edge.post("/api/v1/metadata").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let got = TestServer::starting(&[]).await.get("/api/v1/metadata").await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(got.text().contains("\"errorType\":\"unavailable\""), "{}", got.text());
}

#[tokio::test]
async fn export_is_json_lines() {
    let edge = TestServer::ready(&[]).await;
    let now = now_ms();
    edge.write(snappy_block(&request(vec![
        series("a", &[(now, 1.5), (now + 1, f64::NAN)]),
        series("b", &[(now, 1e300)]),
    ])))
    .await;
    let got = edge.get("/api/v1/export?match[]=a&match[]={__name__=~%22a|b%22}").await;
    assert_eq!((got.status, got.header("content-type")), (StatusCode::OK, "application/x-ndjson"));
    let lines: Vec<serde_json::Value> =
        got.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["metric"]["__name__"], "a");
    assert_eq!(lines[0]["values"], serde_json::json!([1.5, "NaN"]));
    assert_eq!(lines[1]["timestamps"], serde_json::json!([now]));
    let got =
        edge.get(&format!("/api/v1/export?match[]=a&values=bits&end={}", now / 1000 + 1)).await;
    assert!(got.text().contains("\"3ff8000000000000\""), "{}", got.text());
    for bad in ["", "?match[]={", "?match[]=a&start=x", "?match[]=a&nothing=1"] {
        assert_eq!(
            edge.get(&format!("/api/v1/export{bad}")).await.status,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn starting_server_is_healthy_and_not_ready() {
    let edge = TestServer::starting(&[]).await;
    assert_eq!(edge.get("/-/healthy").await.status, StatusCode::OK);
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let got = edge.get("/api/v1/status/walreplay").await;
    assert_eq!(got.text(), r#"{"status":"success","data":{"min":0,"max":0,"current":0}}"#);
    edge.recover();
    edge.context.process.lifecycle.advance(Phase::Ready);
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::OK);
    edge.context.process.lifecycle.advance(Phase::Draining);
    assert_eq!(edge.get("/-/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(edge.get("/-/healthy").await.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_count_requests_and_support_gzip() {
    let edge = TestServer::ready(&[]).await;
    edge.write(snappy_block(&valid_request())).await;
    let got = edge.get("/metrics").await;
    let line = "prometheus_http_requests_total{handler=\"/api/v1/write\",code=\"204\"} 1\n";
    assert!(got.text().contains(line), "{}", got.text());
    assert!(got.text().contains("narthex_request_bytes_in_flight 0"), "{}", got.text());
    let compressed = edge
        .send(
            Request::get("/metrics").header("accept-encoding", "gzip").body(Body::empty()).unwrap(),
        )
        .await;
    assert_eq!(compressed.header("content-encoding"), "gzip");
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::GzDecoder::new(&compressed.body[..]),
        &mut text,
    )
    .unwrap();
    assert!(text.contains(line));
}

#[tokio::test]
async fn grpc_health_follows_lifecycle() {
    let edge = TestServer::starting(&[]).await;
    let asked = async |service: &str| {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        let got = edge.grpc("/grpc.health.v1.Health/Check", &request.encode_to_vec()).await;
        tonic_health::pb::HealthCheckResponse::decode(&got.body[5..]).unwrap().status()
    };
    for service in ["", "narthex.v1.Write"] {
        assert_eq!(asked(service).await, ServingStatus::NotServing);
    }
    edge.recover();
    edge.context.process.lifecycle.advance(Phase::Ready);
    let changes = async |status: ServingStatus| {
        for _ in 0..100 {
            if asked("narthex.v1.Write").await == status && asked("").await == status {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    };
    assert!(changes(ServingStatus::Serving).await);
    edge.context.process.lifecycle.advance(Phase::Draining);
    assert!(changes(ServingStatus::NotServing).await);
}

#[tokio::test]
async fn health_watch_ends_after_drain() {
    let edge = TestServer::ready(&[]).await;
    let message = tonic_health::pb::HealthCheckRequest { service: "narthex.v1.Write".to_owned() }
        .encode_to_vec();
    let mut body =
        edge.respond(grpc_request("/grpc.health.v1.Health/Watch", &message)).await.into_body();
    edge.context.process.lifecycle.advance(Phase::Draining);
    let watching = async {
        let mut last = None;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.unwrap().into_data() {
                last = Some(
                    tonic_health::pb::HealthCheckResponse::decode(&data[5..]).unwrap().status(),
                );
            }
        }
        last
    };
    let last = tokio::time::timeout(Duration::from_secs(5), watching).await.unwrap();
    assert_eq!(last, Some(ServingStatus::NotServing));
}

#[tokio::test]
async fn disconnected_read_is_not_counted() {
    let edge = TestServer::ready(&["--storage.remote.read-concurrent-limit=1"]).await;
    let _at_work = edge.context.reads.gate.acquire().await.unwrap();
    let text = async || edge.get("/metrics").await.text().to_owned();
    {
        let wanted = read_all_request();
        let waiting = edge.read(&wanted);
        assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    }
    assert!(
        text().await.contains("prometheus_remote_read_handler_queries 0\n"),
        "{}",
        text().await
    );
}

#[tokio::test]
async fn slow_export_releases_permit_and_is_aborted() {
    let edge = TestServer::ready(&["--web.read-timeout=200ms"]).await;
    let now = now_ms();
    let many: Vec<_> = (0..50_000).map(|i| (now + i, i as f64)).collect();
    edge.write(snappy_block(&request(vec![series("many", &many)]))).await;
    let asked = Request::get("/api/v1/export?match[]=many").body(Body::empty()).unwrap();
    let unread_body = edge.respond(asked).await.into_body();
    assert_eq!(edge.context.exports.gate.in_flight(), 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        edge.context.exports.gate.in_flight(),
        1,
        "the permit must be held while the response is not read"
    );
    let freed = async {
        while edge.context.exports.gate.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), freed).await.unwrap();
    assert!(unread_body.collect().await.is_err());
}

#[tokio::test]
async fn open_health_watch_does_not_delay_drain() {
    let edge = TestServer::ready(&[]).await;
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let limits = ConnectionLimits {
        max_connections: 10,
        idle_timeout: Duration::from_secs(300),
        head_timeout: Duration::from_secs(30),
        lingering_timeout: Duration::from_secs(5),
        max_concurrent_streams: 10,
        drain_timeout: Duration::from_secs(60),
    };
    let metrics = ConnectionMetrics::register(&mut Registry::new());
    let (stop, stopped) = watch::channel(false);
    let (router, overload_router) = (edge.router.clone(), overload_router());
    let versions = HttpVersions::All;
    let headers = ResponseHeaders::default();
    let sockets = vec![socket];
    let listener =
        Listener { sockets, router, overload_router, versions, headers, limits, metrics };
    let listening = tokio::spawn(listener.run(stopped));
    let mut client = HealthClient::new(
        Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap(),
    );
    let watched = client.watch(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    edge.context.process.lifecycle.advance(Phase::Draining);
    stop.send(true).unwrap();
    let drained = tokio::time::timeout(Duration::from_secs(5), listening).await.unwrap().unwrap();
    assert_eq!(drained, DrainOutcome::Complete);
    drop(watched);
}
