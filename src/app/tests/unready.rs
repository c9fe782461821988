//! Requests before the database is recovered: no path returns an empty response.

use crate::app::tests::edge::{TestServer, read_all_request, snappy_block, valid_request};
use crate::server::management::lifecycle::Phase;
use axum::http::StatusCode;
use prost::Message;

const READS: [&str; 10] = [
    "/api/v1/export?match[]=up",
    "/api/v1/query_exemplars?query=up",
    "/api/v1/format_query?query=up",
    "/api/v1/parse_query?query=up",
    "/api/v1/labels",
    "/api/v1/label/job/values",
    "/api/v1/series?match[]=up",
    "/api/v1/metadata",
    "/api/v1/targets",
    "/api/v1/targets/metadata",
];

const GRPC_READS: [&str; 8] = [
    "/narthex.v1.Read/Read",
    "/narthex.v1.Read/ReadChunks",
    "/thanos.info.Info/Info",
    "/thanos.Store/Series",
    "/thanos.Store/LabelNames",
    "/thanos.Store/LabelValues",
    "/thanos.Exemplars/Exemplars",
    "/thanos.Metadata/MetricMetadata",
];

/// gRPC status UNAVAILABLE.
const UNAVAILABLE: &str = "14";

async fn assert_nothing_is_served(edge: &TestServer, phase: Phase) {
    for path in READS {
        let got = edge.get(path).await;
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{path}, {phase:?}");
    }
    let got = edge.read(&read_all_request()).await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{phase:?}");
    let request = read_all_request().encode_to_vec();
    for path in GRPC_READS {
        // The Thanos services expect another message, and must not read it.
        let message = if path.starts_with("/narthex") { &request[..] } else { b"" };
        let got = edge.grpc(path, message).await;
        assert_eq!(got.grpc_status(), UNAVAILABLE, "{path}, {phase:?}");
    }
    edge.write(snappy_block(&valid_request())).await.assert_retry_later();
}

#[tokio::test]
async fn unrecovered_database_serves_no_request_in_any_phase() {
    let edge = TestServer::starting(&["--web.enable-admin-api"]).await;
    assert_nothing_is_served(&edge, Phase::Starting).await;
    // The phase alone does not open the database.
    edge.context.process.lifecycle.advance(Phase::Ready);
    assert_nothing_is_served(&edge, Phase::Ready).await;
    for operation in ["delete_series?match[]=up", "clean_tombstones", "snapshot"] {
        let got = edge.post(&format!("/api/v1/admin/tsdb/{operation}")).await;
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{operation}");
    }
    edge.recover();
    for path in READS {
        assert_eq!(edge.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/thanos.info.Info/Info", "/narthex.v1.Read/Read"] {
        assert_eq!(edge.grpc(path, b"").await.grpc_status(), "0", "{path}");
    }
}
