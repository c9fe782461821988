//! Every path of Prometheus's API has a response: its own, or 404 with the reason.

use crate::app::tests::edge::TestServer;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::Value;

/// Methods and paths of Prometheus 3.14, with the status of narthex for a request without
/// parameters to an empty database. Source: `Register` in `web/api/v1/api.go`.
const PATHS: &[(&str, &str, u16)] = &[
    ("GET POST", "/query", 404),
    ("GET POST", "/query_range", 404),
    ("GET POST", "/query_exemplars", 400),
    ("GET POST", "/format_query", 400),
    ("GET POST", "/parse_query", 400),
    ("GET POST", "/labels", 200),
    ("GET", "/label/job/values", 200),
    ("GET POST", "/series", 400),
    ("GET", "/scrape_pools", 200),
    ("GET", "/scrape_pools/config", 400),
    ("GET", "/targets", 200),
    ("GET", "/targets/metadata", 200),
    ("GET", "/targets/relabel_steps", 400),
    ("GET", "/alertmanagers", 200),
    ("GET", "/metadata", 200),
    ("GET", "/status/config", 200),
    ("GET", "/status/runtimeinfo", 200),
    ("GET", "/status/buildinfo", 200),
    ("GET", "/status/flags", 200),
    ("GET", "/status/self_metrics", 404),
    ("GET", "/features", 200),
    ("GET", "/status/walreplay", 200),
    ("GET", "/notifications", 200),
    ("POST", "/otlp/v1/metrics", 404),
    ("GET POST", "/search/metric_names", 404),
    ("GET POST", "/search/label_names", 404),
    ("GET POST", "/search/label_values", 404),
    ("GET", "/alerts", 200),
    ("GET", "/rules", 200),
    ("POST PUT", "/admin/tsdb/delete_series", 500),
    ("POST PUT", "/admin/tsdb/clean_tombstones", 500),
    ("POST PUT", "/admin/tsdb/snapshot", 500),
    ("GET", "/openapi.yaml", 404),
];

#[tokio::test]
async fn every_path_of_prometheus_responds_in_its_envelope() {
    let edge = TestServer::ready(&[]).await;
    for (methods, path, status) in PATHS {
        for method in methods.split(' ') {
            let method: Method = method.parse().unwrap();
            let uri = format!("/api/v1{path}");
            let request = Request::builder().method(&method).uri(&uri).body(Body::empty());
            let got = edge.send(request.unwrap()).await;
            assert_eq!(got.status.as_u16(), *status, "{method} {path}: {}", got.text());
            assert_eq!(got.header("content-type"), "application/json", "{method} {path}");
            let json: Value = serde_json::from_slice(&got.body).unwrap();
            let error_type = match status {
                200 => Value::Null,
                400 => "bad_data".into(),
                404 => "not_found".into(),
                _ => "unavailable".into(),
            };
            assert_eq!(json["errorType"], error_type, "{method} {path}: {json}");
            let envelope = if *status == 200 { "success" } else { "error" };
            assert_eq!(json["status"], envelope, "{method} {path}: {json}");
            let has_reason = json["error"].as_str().is_some_and(|reason| !reason.is_empty());
            assert_eq!(has_reason, *status != 200, "{method} {path}: {json}");
        }
    }
}
