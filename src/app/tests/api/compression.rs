//! Compressed responses and form bodies.

use crate::app::tests::edge::{
    TestResponse, TestServer, now_ms, read_all_request, request, series, snappy_block,
};
use crate::remote::pb::prometheus as pb;
use axum::body::Body;
use axum::http::Request;
use flate2::read::GzDecoder;
use prost::Message;
use std::collections::BTreeSet;
use std::io::Read;

/// Number of series whose list is compressed slice by slice.
const MANY: usize = 2_000;

async fn write_series(edge: &TestServer, count: usize) {
    let now = now_ms();
    let names = (0..count).map(|i| series(&format!("a_series_with_number_{i}"), &[(now, 1.0)]));
    assert_eq!(edge.write(snappy_block(&request(names.collect()))).await.status, 204);
}

async fn get_with(edge: &TestServer, path: &str, accept_encoding: &str) -> TestResponse {
    let request = Request::get(path).header("accept-encoding", accept_encoding);
    edge.send(request.body(Body::empty()).unwrap()).await
}

/// Asserts that the response is compressed and returns its text.
fn decompressed(got: &TestResponse) -> String {
    assert_eq!(got.header("content-encoding"), "gzip");
    let mut text = String::new();
    GzDecoder::new(&got.body[..]).read_to_string(&mut text).unwrap();
    assert!(got.body.len() < text.len());
    text
}

fn sorted_lines(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

#[tokio::test]
async fn responses_from_1_kib_are_compressed() {
    let edge = TestServer::ready(&[]).await;
    write_series(&edge, MANY).await;
    let all = "match[]=%7B__name__%3D~%22a_.%2B%22%7D";
    for path in [
        // Compressed slice by slice, at once, and while it is produced.
        &format!("/api/v1/series?{all}"),
        "/api/v1/label/__name__/values?limit=100",
        &format!("/api/v1/export?{all}"),
        "/api/v1/status/flags",
    ] {
        let plain = edge.get(path).await;
        assert!(plain.body.len() >= 1024, "{path}: {}", plain.body.len());
        assert_eq!(
            (plain.header("content-encoding"), plain.header("vary")),
            ("", "Accept-Encoding")
        );
        let got = get_with(&edge, path, "br, gzip;q=0.8").await;
        assert_eq!((got.status, got.header("vary")), (plain.status, "Accept-Encoding"), "{path}");
        assert_eq!(sorted_lines(&decompressed(&got)), sorted_lines(plain.text()), "{path}");
        for rejected in ["gzip;q=0", "identity, gzip;q=0.5", "br", "gzip2"] {
            let got = get_with(&edge, path, rejected).await;
            assert_eq!(got.header("content-encoding"), "", "{path} {rejected}");
        }
        let head = Request::head(path).header("accept-encoding", "gzip").body(Body::empty());
        let head = edge.send(head.unwrap()).await;
        assert_eq!((head.header("content-encoding"), head.body.len()), ("gzip", 0), "{path}");
    }
    assert!(
        decompressed(&get_with(&edge, "/metrics", "gzip").await)
            .contains("prometheus_http_requests_total{")
    );
    let values = "/api/v1/label/__name__/values?limit=";
    let lengths = [30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40].map(async |limit| {
        let path = format!("{values}{limit}");
        let got = get_with(&edge, &path, "gzip").await;
        let is_long = edge.get(&path).await.body.len() >= 1024;
        assert_eq!(got.header("content-encoding") == "gzip", is_long, "{limit}");
        is_long
    });
    let mut kinds = BTreeSet::new();
    for is_long in lengths {
        kinds.insert(is_long.await);
    }
    assert_eq!(kinds.len(), 2, "both sides of 1 KiB are compared");
}

#[tokio::test]
async fn protocol_responses_and_small_ones_are_not_compressed() {
    let edge = TestServer::ready(&[]).await;
    write_series(&edge, MANY).await;
    for recorded in ["/api/v1/series", "/api/v1/status/walreplay", "/-/healthy", "/nothing"] {
        let got = get_with(&edge, recorded, "gzip").await;
        assert_eq!(got.header("content-encoding"), "", "{recorded}");
    }
    for types in [vec![], vec![1]] {
        let read = pb::ReadRequest { accepted_response_types: types, ..read_all_request() };
        let request = Request::post("/api/v1/read")
            .header("accept-encoding", "gzip")
            .body(snappy_block(&read.encode_to_vec()).into());
        let got = edge.send(request.unwrap()).await;
        assert_ne!(got.header("content-encoding"), "gzip");
        assert_eq!((got.status.as_u16(), got.header("vary")), (200, ""));
        assert!(got.body.len() > 1024);
    }
    let live = Request::get("/api/v1/notifications/live").header("accept-encoding", "gzip");
    let got = edge.respond(live.body(Body::empty()).unwrap()).await;
    assert!(!got.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn errors_of_protocols_depend_on_the_accepted_encoding() {
    let edge = TestServer::ready(&[]).await;
    for path in ["/api/v1/read", "/api/v1/write"] {
        let request = Request::post(path).header("accept-encoding", "gzip");
        let got = edge.send(request.body(Body::from("no snappy")).unwrap()).await;
        assert_eq!((got.status.as_u16(), got.header("vary")), (400, "Accept-Encoding"), "{path}");
    }
}

#[tokio::test]
async fn forms_select_like_query_strings() {
    let edge = TestServer::ready(&[]).await;
    write_series(&edge, 20).await;
    for (path, parameters) in [
        ("/api/v1/labels", "match[]=a_series_with_number_1&limit=5"),
        ("/api/v1/series", "match[]=a_series_with_number_7&match[]=a_series_with_number_8"),
        ("/api/v1/query_exemplars", "query=a_series_with_number_1&start=1&end=2"),
        ("/api/v1/export", "match[]=a_series_with_number_3"),
        ("/api/v1/series", "match[]=%7B"),
    ] {
        let expected = edge.get(&format!("{path}?{parameters}")).await;
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(Body::from(parameters));
        let got = edge.send(request.unwrap()).await;
        assert_eq!((got.status, got.text()), (expected.status, expected.text()), "{path}");
        assert!(!got.text().is_empty(), "{path}");
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(vec![b'x'; (10 << 20) + 1]));
        let got = edge.send(request.unwrap()).await;
        assert!(got.status.is_client_error() && got.text().contains("exceeds 10485760"), "{path}");
    }
}
