//! Status of the database: not ready, without memory, empty.

use crate::app::tests::edge::{TestServer, snappy_block, valid_request};
use axum::http::StatusCode;
use serde_json::{Value, json};

const PATHS: [&str; 2] = ["/api/v1/status/tsdb", "/api/v1/status/tsdb/blocks"];

async fn assert_unavailable(edge: &TestServer, path: &str, reason: &str) {
    let got = edge.get(path).await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {}", got.text());
    let expected = json!({"status": "error", "errorType": "unavailable", "error": reason});
    assert_eq!(serde_json::from_slice::<Value>(&got.body).unwrap(), expected, "{path}");
}

#[tokio::test]
async fn database_status_needs_a_ready_database() {
    let edge = TestServer::starting(&[]).await;
    for path in PATHS {
        assert_unavailable(&edge, path, "Service Unavailable").await;
    }
}

#[tokio::test]
async fn database_status_needs_memory_for_its_lists() {
    let edge = TestServer::ready(&["--web.max-bytes-in-flight=2MB"]).await;
    edge.write(snappy_block(&valid_request())).await;
    let mut all = edge.context.lists.responses.budget.reserve();
    all.extend(1 << 20).unwrap();
    assert_unavailable(&edge, PATHS[0], "too many bytes in flight").await;
    drop(all);
    assert_eq!(edge.get(PATHS[0]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn empty_database_has_an_empty_time_range() {
    let edge = TestServer::ready(&[]).await;
    let got: Value = serde_json::from_slice(&edge.get(PATHS[0]).await.body).unwrap();
    let head = json!({
        "numSeries": 0, "numLabelPairs": 0, "chunkCount": 0,
        "minTime": i64::MAX, "maxTime": i64::MIN,
    });
    assert_eq!(got["data"]["headStats"], head);
    for (name, list) in got["data"].as_object().unwrap() {
        assert!(name == "headStats" || *list == json!([]), "{got}");
    }
}
