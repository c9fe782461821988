//! Responses of the HTTP API compared with recordings of Prometheus 3.14.0 (`tests/golden/api`),
//! for requests that need no data.

use crate::app::tests::edge::{TestResponse, TestServer, grpc_request};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// The recorded responses of a server without special flags.
fn recorded() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/api/answers.json.gz");
    let mut file: Value =
        serde_json::from_reader(GzDecoder::new(File::open(path).unwrap())).unwrap();
    let Value::Array(mut answers) = file["answers"].take() else {
        panic!("answers.json.gz has no list `answers`")
    };
    answers.retain(|answer| answer["group"] == "data");
    answers
}

/// Sends the recorded requests of these cases and compares status and JSON.
async fn assert_as_recorded(cases: &[&str]) {
    let edge = TestServer::ready(&[]).await;
    let recorded = recorded();
    for case in cases {
        let expected = recorded.iter().find(|answer| answer["case"] == *case).expect(case);
        let got = send(&edge, expected).await;
        assert_eq!(u64::from(got.status.as_u16()), expected["status"], "{case}: {}", got.text());
        let json: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(json, expected["json"], "{case}");
    }
}

async fn send(edge: &TestServer, recorded: &Value) -> TestResponse {
    let (method, path) = (recorded["method"].as_str().unwrap(), recorded["path"].as_str().unwrap());
    edge.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn empty_match_response_equals_recording() {
    assert_as_recorded(&[
        "labels-match-empty",
        "labels-match-all-empty",
        "labels-match-star",
        "labels-match-blank",
        "series-no-match",
        "series-empty-match",
    ])
    .await;
}

#[tokio::test]
async fn invalid_match_response_equals_recording() {
    assert_as_recorded(&[
        "labels-match-bad",
        "labels-match-range",
        "values-bad-match",
        "series-bad",
        "series-one-bad",
        "series-offset",
        "series-at",
        "series-or",
    ])
    .await;
}

#[tokio::test]
async fn exemplar_query_responses_equal_recording() {
    assert_as_recorded(&[
        "exemplars",
        "exemplars-no-query",
        "exemplars-reversed",
        "exemplars-no-time",
        "exemplars-bad",
    ])
    .await;
}

#[tokio::test]
async fn exemplar_query_without_selector_is_204() {
    let edge = TestServer::ready(&[]).await;
    for query in ["1", "time()", "%22text%22"] {
        let got = edge.get(&format!("/api/v1/query_exemplars?query={query}")).await;
        assert_eq!((got.status, got.text()), (StatusCode::NO_CONTENT, ""), "{query}");
    }
}

#[tokio::test]
async fn notifications_of_a_ready_server_equal_recording() {
    assert_as_recorded(&["notifications"]).await;
}

#[tokio::test]
async fn unclean_paths_are_redirected_like_recording() {
    let edge = TestServer::ready(&[]).await;
    let recorded = recorded();
    for case in ["values-no-name", "v1", "labels-slash", "double-slash"] {
        let expected = recorded.iter().find(|answer| answer["case"] == case).expect(case);
        let got = send(&edge, expected).await;
        assert_eq!(u64::from(got.status.as_u16()), expected["status"], "{case}");
        for header in expected["headers"].as_array().unwrap() {
            let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
            assert_eq!(got.header(&name.to_lowercase()), value, "{case}: {name}");
        }
        assert_eq!(got.text(), expected["body"], "{case}");
    }
    for (method, path, status, location) in [
        (Method::GET, "/metrics/", 301, "/metrics"),
        (Method::GET, "/-/ready/", 301, "/-/ready"),
        (Method::POST, "/api/v1/write/", 308, "/write"),
        (Method::POST, "//api/v1/write?x=1", 307, "/api/v1/write?x=1"),
        (Method::GET, "/api/v1/label/../values", 307, "/api/v1/values"),
        (Method::GET, "/nothing//at/all", 307, "/nothing/at/all"),
        (Method::GET, "/api/v1/", 404, ""),
        (Method::GET, "/nothing/", 404, ""),
        (Method::GET, "/api/v1/write/", 404, ""),
    ] {
        let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
        let got = edge.send(request).await;
        assert_eq!(
            (got.status.as_u16(), got.header("location")),
            (status, location),
            "{method} {path}"
        );
    }
    let got = edge.send(grpc_request("/narthex.v1.Write//WriteV1", b"")).await;
    assert_eq!((got.status, got.grpc_status()), (StatusCode::OK, "12"));
}
