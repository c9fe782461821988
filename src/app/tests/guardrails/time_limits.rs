//! Time limits of requests: each waits for something that never comes, and gets 503.

use crate::app::tests::edge::{TestServer, grpc_request, now_ms, read_all_request, series};
use crate::app::tests::write_path::WritePath;
use crate::remote::pb::thanos;
use prost::Message;

const FLAGS: [&str; 7] = [
    "--storage.remote.write-timeout=20ms",
    "--query.timeout=20ms",
    "--web.admin-timeout=20ms",
    "--web.enable-admin-api",
    "--storage.remote.write-concurrent-limit=1",
    "--storage.remote.read-concurrent-limit=1",
    "--web.list-concurrent-limit=1",
];

#[tokio::test]
async fn write_over_its_time_limit_is_503_over_every_path() {
    let server = TestServer::ready(&FLAGS).await;
    let sent = [series("up", &[(now_ms(), 1.0)])];
    let held = server.context.writes.gate.acquire().await.unwrap();
    for path in WritePath::ALL {
        let result = path.write(&server, &sent).await;
        assert_eq!(result.status, 503, "{path:?}");
        assert!(result.text.contains("20ms (--storage.remote.write-timeout)"), "{}", result.text);
    }
    let request = thanos::WriteRequest::default().encode_to_vec();
    let forwarded = server.grpc("/thanos.WriteableStore/RemoteWrite", &request).await;
    assert_eq!(forwarded.grpc_status(), "14");
    drop(held);
    for path in WritePath::ALL {
        assert_eq!(path.write(&server, &sent).await.status, 204, "{path:?}");
    }
}

#[tokio::test]
async fn read_over_its_time_limit_is_503() {
    let server = TestServer::ready(&FLAGS).await;
    let _held = server.context.reads.gate.acquire().await.unwrap();
    let response = server.read(&read_all_request()).await;
    assert_eq!(response.status, 503);
    assert!(response.text().contains("20ms (--query.timeout)"), "{}", response.text());
    let message = read_all_request().encode_to_vec();
    for path in [
        "/narthex.v1.Read/Read",
        "/narthex.v1.Read/ReadChunks",
        "/thanos.Store/Series",
        "/thanos.Exemplars/Exemplars",
    ] {
        let message = if path.starts_with("/narthex") { &message[..] } else { &[] };
        let response = server.send(grpc_request(path, message)).await;
        assert_eq!(response.grpc_status(), "14", "{path}: {:?}", response.headers);
    }
}

#[tokio::test]
async fn lookup_and_admin_operation_over_their_limits_are_503() {
    let server = TestServer::ready(&FLAGS).await;
    let _lists = server.context.lists.gate.acquire().await.unwrap();
    let _admin = server.context.admin.gate.acquire().await.unwrap();
    for path in ["/api/v1/labels", "/api/v1/metadata", "/api/v1/series?match[]=up"] {
        let response = server.get(path).await;
        assert_eq!(response.status, 503, "{path}");
        assert!(response.text().contains("20ms (--query.timeout)\""), "{}", response.text());
    }
    let response = server.post("/api/v1/admin/tsdb/clean_tombstones").await;
    assert_eq!(response.status, 503);
    let text = response.text();
    assert!(text.contains("20ms (--web.admin-timeout); the operation continues"), "{text}");
}
