//! `status/rejections`: entries of each protocol, and data that never appears in them.

use crate::app::tests::access::{basic, users};
use crate::app::tests::edge::{
    TestServer, grpc_request, now_ms, partially_invalid_request, series, snappy_block,
};
use crate::app::tests::thanos_write::{forward_series, tenant_request};
use crate::app::tests::write_path::WritePath;
use crate::config::web::contents::WebConfig;
use crate::remote::pb::narthex::v1::{WriteStreamRequest, write_stream_request};
use crate::remote::pb::prometheus as pb;
use crate::server::transport::client_cert::VerifiedClientCert;
use crate::server::transport::client_limit::PeerAddress;
use crate::testing::channel_body::ChannelBody;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use tokio::sync::mpsc;

const GRPC_WRITES: [(&str, &str); 4] = [
    ("/narthex.v1.Write/WriteV1", "grpc_1.0"),
    ("/narthex.v1.Write/WriteV2", "grpc_2.0"),
    ("/narthex.v1.Write/WriteStream", "grpc_stream"),
    ("/thanos.WriteableStore/RemoteWrite", "thanos"),
];

async fn rejections(server: &TestServer, query: &str) -> Value {
    let response = server.get(&format!("/api/v1/status/rejections{query}")).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let parsed: Value = serde_json::from_str(response.text()).unwrap();
    assert_eq!(parsed["status"], "success");
    parsed["data"].clone()
}

/// Returns some fields of the entries, newest first.
async fn entries(server: &TestServer) -> Vec<Value> {
    let data = rejections(server, "").await;
    let fields = |entry: &Value| {
        json!([entry["protocol"], entry["reason"], entry["count"], entry["requests"]])
    };
    data["rejections"].as_array().unwrap().iter().map(fields).collect()
}

#[tokio::test]
async fn every_path_records_one_entry_per_reason() {
    for (path, protocol) in [
        (Some(WritePath::Http1), "remote_write_1.0"),
        (Some(WritePath::Http2), "remote_write_2.0"),
        (Some(WritePath::GrpcV1), "grpc_1.0"),
        (Some(WritePath::GrpcV2), "grpc_2.0"),
        (Some(WritePath::StreamV1), "grpc_stream"),
        (None, "thanos"),
    ] {
        let server = TestServer::ready(&[]).await;
        let now = now_ms();
        let sent = [
            series("mixed", &[(now, 1.0), (now, 2.0), (now, 3.0), (now + 3_600_000, 1.0)]),
            series("", &[(now, 1.0)]),
        ];
        for _ in 0..2 {
            match path {
                Some(path) => assert_eq!(path.write(&server, &sent).await.status, 400),
                None => drop(forward_series(&server, sent.to_vec()).await),
            }
        }
        let expected = [
            json!([protocol, "invalid_labels", 2, 2]),
            json!([protocol, "too_far_in_future", 2, 2]),
            json!([protocol, "duplicate_timestamp", 4, 2]),
        ];
        assert_eq!(entries(&server).await, expected, "{protocol}");
        // A malformed request.
        if let Some(path) = path {
            assert_eq!(path.write_bytes(&server, b"\x2a\xff").await.status, 400);
            let newest = rejections(&server, "?limit=1").await;
            assert_eq!(newest["rejections"].as_array().unwrap().len(), 1);
            assert_eq!(newest["rejections"][0]["reason"], "malformed", "{protocol}");
            assert_eq!(newest["rejections"][0]["series"], "");
        }
    }
}

#[tokio::test]
async fn success_and_temporary_failure_record_nothing() {
    let server = TestServer::starting(&[]).await;
    let good = [series("up", &[(now_ms(), 1.0)])];
    assert_eq!(WritePath::Http1.write(&server, &good).await.status, 503);
    let server = TestServer::ready(&[]).await;
    for path in WritePath::ALL {
        assert_eq!(path.write(&server, &good).await.status, 204);
    }
    let expected = json!({"rejections": [], "droppedEntries": 0, "droppedCount": 0});
    assert_eq!(rejections(&server, "").await, expected);
    assert_eq!(server.get("/api/v1/status/rejections?limit=x").await.status, 400);
}

#[tokio::test]
async fn body_that_does_not_arrive_is_not_a_rejection() {
    let server = TestServer::ready(&[]).await;
    for path in ["/api/v1/write", "/narthex.v1.Write/WriteV1", "/narthex.v1.Write/WriteStream"] {
        let (sender, body) = mpsc::channel(2);
        sender.send(Ok(Bytes::from_static(b"\0\0\0\0\x09abc"))).await.unwrap();
        sender.send(Err(io::Error::from(io::ErrorKind::ConnectionReset))).await.unwrap();
        let mut request = if path == "/api/v1/write" {
            Request::post(path).body(Body::empty()).unwrap()
        } else {
            grpc_request(path, b"")
        };
        *request.body_mut() = Body::new(ChannelBody::from(body));
        let response = server.send(request).await;
        assert!(response.status == 400 || response.grpc_status() != "0", "{path}");
    }
    assert_eq!(entries(&server).await, Vec::<Value>::new());
}

#[tokio::test]
async fn entry_has_the_detail_of_its_own_reason_only() {
    let server = TestServer::ready(&[]).await;
    let now = now_ms();
    let sent = series("mixed", &[(now, 1.0), (now, 2.0), (now + 3_600_000, 1.0)]);
    assert_eq!(WritePath::Http1.write(&server, &[sent]).await.status, 400);
    let data = rejections(&server, "").await;
    let found = data["rejections"].as_array().unwrap().iter();
    let found: Vec<_> =
        found.map(|entry| (entry["reason"].clone(), entry["detail"].clone())).collect();
    let first = format!("duplicate timestamp with another value, timestamp {now}");
    let expected =
        [(json!("too_far_in_future"), json!("")), (json!("duplicate_timestamp"), json!(first))];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn entry_has_sender_series_detail_and_times() {
    let server = TestServer::ready(&[
        "--storage.remote.write-max-labels=1",
        "--storage.remote.write-max-labels-dry-run",
    ])
    .await;
    let before = now_ms();
    let labels = [("__name__", "up"), ("job", "a")];
    let labels = labels.map(|(name, value)| pb::Label { name: name.into(), value: value.into() });
    let sent = pb::TimeSeries { labels: labels.into(), ..series("", &[(before, 1.0)]) };
    let message = snappy_block(&WritePath::Http1.message(&[sent]));
    let mut request = Request::post("/api/v1/write").body(Body::from(message)).unwrap();
    request.extensions_mut().insert(PeerAddress("192.0.2.7".parse().unwrap()));
    assert_eq!(server.send(request).await.status, 204);
    let mut data = rejections(&server, "").await;
    let entry = data["rejections"][0].as_object_mut().unwrap();
    let (first, last) = (entry.remove("firstTime").unwrap(), entry.remove("time").unwrap());
    assert_eq!(first, last);
    let now = crate::model::time::format_rfc3339(now_ms());
    let before = crate::model::time::format_rfc3339(before);
    assert!((before.as_str()..=now.as_str()).contains(&last.as_str().unwrap()), "{last}");
    let expected = json!({
        "protocol": "remote_write_1.0",
        "sender": "192.0.2.7",
        "reason": "invalid_labels",
        "series": "{__name__=\"up\", job=\"a\"}",
        "detail": "2 labels, the limit is 1",
        "count": 1,
        "requests": 1,
        "dryRun": true,
        "limit": "storage.remote.write-max-labels",
    });
    assert_eq!(Value::Object(entry.clone()), expected);
}

#[tokio::test]
async fn whole_requests_are_recorded_without_their_headers() {
    const SECRET: &str = "c2VjcmV0";
    let server = TestServer::ready(&["--storage.remote.write-max-body-size=2KB"]).await;
    let send = async |content_type: &str, encoding: &str, body: Vec<u8>| {
        let request = Request::post("/api/v1/write")
            .header("authorization", format!("Basic {SECRET}"))
            .header("cookie", SECRET)
            .header("user-agent", SECRET)
            .header("content-type", content_type)
            .header("content-encoding", encoding)
            .body(Body::from(body));
        server.send(request.unwrap()).await.status.as_u16()
    };
    let protobuf = "application/x-protobuf";
    assert_eq!(send(SECRET, "snappy", Vec::new()).await, 415);
    assert_eq!(send(protobuf, SECRET, Vec::new()).await, 415);
    assert_eq!(send(protobuf, "snappy", vec![0; 3000]).await, 413);
    assert_eq!(send(protobuf, "snappy", vec![0xff; 100]).await, 400);
    let invalid = snappy_block(&partially_invalid_request());
    assert_eq!(send(protobuf, "snappy", invalid).await, 400);
    let mut unary = grpc_request("/narthex.v1.Write/WriteV1", b"\xff");
    unary.headers_mut().insert("authorization", SECRET.parse().unwrap());
    assert_eq!(server.send(unary).await.grpc_status(), "3");
    let found = entries(&server).await;
    let whole: Vec<_> = found.iter().filter(|entry| entry[1] != "invalid_labels").collect();
    assert_eq!(whole[0], &json!(["grpc_1.0", "malformed", 1, 1]));
    let last = &whole[whole.len() - 4..];
    assert_eq!(
        last,
        [
            &json!(["remote_write_1.0", "malformed", 1, 1]),
            &json!(["remote_write_1.0", "too_large", 1, 1]),
            &json!(["remote_write_1.0", "unsupported", 1, 1]),
            &json!(["remote_write", "unsupported", 1, 1]),
        ]
    );
    for path in ["rejections", "config", "flags", "runtimeinfo"] {
        let text = server.get(&format!("/api/v1/status/{path}")).await.text().to_owned();
        assert!(!text.contains(SECRET), "{path}: {text}");
    }
}

/// Returns a request of each protocol that stores nothing, with the name of the protocol.
fn rejected_requests() -> Vec<(&'static str, Request<Body>)> {
    let sent = || vec![series("", &[(now_ms(), 1.0)])];
    let http = |path: WritePath, content_type: &str| {
        let request = Request::post("/api/v1/write")
            .header("content-type", content_type)
            .header("content-encoding", "snappy");
        request.body(snappy_block(&path.message(&sent())).into()).unwrap()
    };
    let v1 = pb::WriteRequest { timeseries: sent(), metadata: Vec::new() };
    let streamed = write_stream_request::Request::V1(v1);
    let streamed = WriteStreamRequest { sequence: 1, request: Some(streamed) }.encode_to_vec();
    let messages = [
        WritePath::GrpcV1.message(&sent()),
        WritePath::GrpcV2.message(&sent()),
        streamed,
        tenant_request("", sent()),
    ];
    let mut requests = vec![
        ("remote_write_1.0", http(WritePath::Http1, "application/x-protobuf")),
        (
            "remote_write_2.0",
            http(WritePath::Http2, "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ),
    ];
    for ((path, protocol), message) in GRPC_WRITES.iter().zip(messages) {
        requests.push((*protocol, grpc_request(path, &message)));
    }
    requests
}

#[tokio::test]
async fn every_path_records_the_user_of_the_password() {
    let given = users(&[("alice", "one"), ("bob", "two")]);
    let server =
        TestServer::with_web(WebConfig { users: given, ..WebConfig::default() }, &[]).await;
    for (user, password) in [("alice", "one"), ("bob", "two"), ("alice", "one"), ("alice", "two")] {
        for (_, mut request) in rejected_requests() {
            request.headers_mut().insert("authorization", basic(user, password));
            server.send(request).await;
        }
    }
    server.context.access.authenticator.replace_users(&BTreeMap::new());
    for (_, mut request) in rejected_requests() {
        request.headers_mut().insert("authorization", basic("alice", "one"));
        server.send(request).await;
    }
    let data = rejections(&server, "").await;
    let found = data["rejections"].as_array().unwrap().iter();
    let found: Vec<_> = found
        .map(|entry| json!([entry["protocol"], entry.get("user"), entry["requests"]]))
        .collect();
    let protocols: Vec<_> =
        rejected_requests().into_iter().rev().map(|(protocol, _)| protocol).collect();
    let expected: Vec<_> = [(None, 1), (Some("alice"), 2), (Some("bob"), 1)]
        .into_iter()
        .flat_map(|(user, requests)| {
            protocols.iter().map(move |protocol| json!([protocol, user, requests]))
        })
        .collect();
    assert_eq!(found, expected);
    assert!(data["rejections"][0].get("user").is_none(), "{data}");
}

#[tokio::test]
async fn password_next_to_a_certificate_names_no_user() {
    let given = users(&[("alice", "one")]);
    let web = WebConfig { users: given, ..WebConfig::default() };
    let server = TestServer::with_web(web, &["--grpc.auth=cert"]).await;
    let mut request = grpc_request("/narthex.v1.Write/WriteV1", b"\xff");
    request.headers_mut().insert("authorization", basic("alice", "one"));
    request.extensions_mut().insert(VerifiedClientCert);
    assert_eq!(server.send(request).await.grpc_status(), "3");
    server.context.access.authenticator.replace_users(&BTreeMap::new());
    let data = rejections(&server, "").await;
    assert_eq!(data["rejections"].as_array().unwrap().len(), 1, "{data}");
    assert!(data["rejections"][0].get("user").is_none(), "{data}");
}

#[tokio::test]
async fn unknown_grpc_encoding_of_a_write_is_recorded() {
    let server = TestServer::ready(&[]).await;
    let paths = GRPC_WRITES.map(|(path, _)| path);
    for path in paths.into_iter().chain(["/narthex.v1.Read/Read", "/nothing"]) {
        let mut request = grpc_request(path, b"");
        request.headers_mut().insert("grpc-encoding", "c2VjcmV0".parse().unwrap());
        assert_eq!(server.send(request).await.grpc_status(), "12", "{path}");
    }
    let data = rejections(&server, "").await;
    assert!(!data.to_string().contains("c2VjcmV0"), "{data}");
    let expected: Vec<_> = GRPC_WRITES
        .iter()
        .rev()
        .map(|(_, protocol)| json!([protocol, "unsupported", 1, 1]))
        .collect();
    assert_eq!(entries(&server).await, expected);
}

#[tokio::test]
async fn broken_protocol_of_a_stream_is_recorded() {
    let server = TestServer::ready(&[]).await;
    for message in [&b"\xff"[..], b"\x08\x01"] {
        let request = grpc_request("/narthex.v1.Write/WriteStream", message);
        assert_eq!(server.send(request).await.grpc_status(), "3");
    }
    assert_eq!(entries(&server).await, [json!(["grpc_stream", "malformed", 2, 2])]);
}
