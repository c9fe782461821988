//! CORS and `OPTIONS`, compared with recordings of Prometheus.

use crate::app::tests::api::golden::{recorded, send};
use crate::app::tests::edge::{TestResponse, TestServer};
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::Value;
use std::collections::BTreeSet;

/// Returns the lines of the response headers that have one of these prefixes, in lower case.
pub(super) fn headers_with(got: &TestResponse, prefixes: &[&str]) -> BTreeSet<String> {
    let lines = got
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap().to_lowercase()));
    lines.filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix))).collect()
}

/// Returns the same lines of a recorded response.
pub(super) fn recorded_headers_with(answer: &Value, prefixes: &[&str]) -> BTreeSet<String> {
    let headers = answer["headers"].as_array().unwrap().iter();
    let lines = headers.map(|header| {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        format!("{}: {}", name.to_lowercase(), value.to_lowercase())
    });
    lines.filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix))).collect()
}

/// Asserts the CORS headers, `Vary` and the status of responses to GET and OPTIONS.
async fn assert_cors_as_recorded(group: &str, flags: &[&str]) -> usize {
    let edge = TestServer::ready(flags).await;
    let mut compared = 0;
    for expected in recorded(group) {
        let case = expected["case"].as_str().unwrap();
        let is_about_origins =
            group != "http" || case.starts_with("options") || case.contains("origin");
        // narthex has a landing page, and compresses more.
        let differs = ["get-origin-root", "get-origin-metrics", "get-origin-walreplay"];
        if !is_about_origins || differs.contains(&case) {
            continue;
        }
        let got = send(&edge, &expected).await;
        assert_eq!(u64::from(got.status.as_u16()), expected["status"], "{group} {case}");
        let names = ["access-control-", "vary"];
        assert_eq!(
            headers_with(&got, &names),
            recorded_headers_with(&expected, &names),
            "{group} {case}"
        );
        compared += 1;
    }
    compared
}

#[tokio::test]
async fn cors_headers_equal_recording() {
    assert!(assert_cors_as_recorded("http", &["--web.cors.origin=.*"]).await > 25);
    for regex in ["", "https://a", r"https?://[^.]*\.example\.test"] {
        let group = format!("cors={regex}");
        let flag = format!("--web.cors.origin={regex}");
        assert_eq!(assert_cors_as_recorded(&group, &[&flag]).await, 10, "{group}");
    }
}

#[tokio::test]
async fn cors_is_off_by_default() {
    let edge = TestServer::ready(&[]).await;
    for method in [Method::GET, Method::OPTIONS] {
        for path in ["/api/v1/labels", "/api/v1/nothing", "/api/v1/write"] {
            let request = Request::builder().method(&method).uri(path);
            let request = request.header("origin", "https://a.test").body(Body::empty()).unwrap();
            let got = edge.send(request).await;
            assert_eq!(headers_with(&got, &["access-control-", "vary: origin"]).len(), 0, "{path}");
            if method == Method::OPTIONS {
                assert_eq!((got.status.as_u16(), got.text()), (204, ""), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn options_name_the_methods_of_pages() {
    let edge = TestServer::ready(&[]).await;
    for expected in recorded("http") {
        let case = expected["case"].as_str().unwrap();
        if !["options-healthy", "options-ready", "options-metrics", "options-root"].contains(&case)
        {
            continue;
        }
        let got = send(&edge, &expected).await;
        assert_eq!(u64::from(got.status.as_u16()), expected["status"], "{case}");
        // Prometheus has HEAD on probes alone.
        let allowed = "GET, HEAD, OPTIONS";
        assert_eq!(got.header("allow"), allowed, "{case}");
    }
}
