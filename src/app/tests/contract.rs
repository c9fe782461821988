//! Responses to writes over HTTP and gRPC, one test per row of the contract.

use crate::app::tests::edge::{
    TestServer, now_ms, partially_invalid_request, read_all_request, request, series, snappy_block,
    valid_request,
};
use crate::app::tests::error_details::ErrorDetails;
use crate::remote::pb::narthex::v1::WriteResponse;
use crate::server::management::lifecycle::Phase;
use crate::testing::channel_body::ChannelBody;
use crate::tsdb::db::settings::Settings;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use prost::Message;
use std::time::Duration;

#[tokio::test]
async fn stored_request_is_204_or_ok() {
    let edge = TestServer::ready(&[]).await;
    let got = edge.write(snappy_block(&valid_request())).await;
    assert_eq!((got.status, got.text()), (StatusCode::NO_CONTENT, ""));
    assert!(
        !got.headers.keys().any(|name| name.as_str().ends_with("-written")),
        "{:?}",
        got.headers
    );
    let got = edge.write_v1(&valid_request()).await;
    assert_eq!(got.grpc_status(), "0");
    assert_eq!(WriteResponse::decode(&got.body[5..]).unwrap().samples, 1);
}

#[tokio::test]
async fn partially_invalid_request_is_400_or_invalid_argument() {
    let edge = TestServer::ready(&[]).await;
    let strict =
        Settings { out_of_order_window_ms: 0, ..edge.context.process.db.shared().settings() };
    edge.context.process.db.apply_settings(strict).unwrap();
    let body = partially_invalid_request();
    let http = edge.write(snappy_block(&body)).await;
    assert_eq!(http.status, StatusCode::BAD_REQUEST);
    let grpc = edge.write_v1(&body).await;
    assert_eq!(grpc.grpc_status(), "3");
    for part in [
        "1 out of order",
        "1 duplicate timestamp",
        "1 too far in the future",
        "1 invalid labels",
        "mixed",
    ] {
        assert!(http.text().contains(part), "{part} in {}", http.text());
    }
    assert_eq!(
        grpc.grpc_error().message(),
        http.text().trim_end(),
        "both protocols must have the same message"
    );
    let details = ErrorDetails::of(&grpc);
    assert_eq!(details.retry_delay, None, "a permanent rejection must have no RetryInfo");
    let (counts, names): (Vec<_>, Vec<_>) =
        details.violations.iter().partition(|v| !v.reason.is_empty());
    assert_eq!(counts.len(), 4, "{counts:?}");
    assert!(!names.is_empty());
    for violation in counts.iter().chain(&names) {
        assert!(http.text().contains(&violation.description), "{violation:?} in {}", http.text());
    }
    assert_eq!(details.info.unwrap().metadata["samples_stored"], "1");
    let got = edge.get("/api/v1/export?match[]=mixed").await;
    assert!(got.text().contains("\"values\":[1.0]"), "{}", got.text());
}

#[tokio::test]
async fn first_sample_at_lowest_timestamp_is_400() {
    let edge = TestServer::ready(&[]).await;
    let lowest = request(vec![series("lowest", &[(i64::MIN + 3_600_000, 1.0)])]);
    let got = edge.write(snappy_block(&lowest)).await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(got.text().contains("1 timestamp out of range"), "{}", got.text());
    assert_eq!(edge.write_v1(&lowest).await.grpc_status(), "3");
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn invalid_request_is_400_and_stores_nothing() {
    let edge = TestServer::ready(&[]).await;
    let body = request(vec![series("", &[(1, 1.0)])]);
    assert_eq!(edge.write(snappy_block(&body)).await.status, StatusCode::BAD_REQUEST);
    let grpc = edge.write_v1(&body).await;
    assert_eq!(grpc.grpc_status(), "3");
    let details = ErrorDetails::of(&grpc);
    let reasons: Vec<_> =
        details.violations.iter().map(|v| v.reason.as_str()).filter(|r| !r.is_empty()).collect();
    assert_eq!(reasons, ["INVALID_LABELS"]);
    assert_eq!(details.info.unwrap().metadata["samples_stored"], "0");
    assert_eq!(edge.get("/api/v1/export?match[]={__name__!=%22%22}").await.text(), "");
}

#[tokio::test]
async fn unknown_type_or_encoding_is_415_or_unimplemented() {
    let edge = TestServer::ready(&[]).await;
    for (content_type, encoding) in [
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy"),
        ("application/json", "snappy"),
        ("application/x-protobuf", "gzip"),
    ] {
        let got = edge.write_as(content_type, encoding, snappy_block(&valid_request())).await;
        assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type} {encoding}");
    }
    let got = edge.write(&b"\x1f\x8b\x08\x00\x00\x00\x00\x00"[..]).await;
    assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(edge.grpc("/narthex.v1.Write/WriteV9", &valid_request()).await.grpc_status(), "12");
    let got =
        edge.send(Request::post("/narthex.v1.Write/WriteV1").body(Body::empty()).unwrap()).await;
    assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn malformed_body_is_400_or_invalid_argument() {
    let edge = TestServer::ready(&[]).await;
    for body in [
        vec![],
        b"\x05".to_vec(),
        snappy_block(b"\x0a\xff"),
        snappy_block(&valid_request()[..valid_request().len() - 1]),
    ] {
        assert_eq!(edge.write(body).await.status, StatusCode::BAD_REQUEST);
    }
    let grpc = edge.write_v1(b"\x0a\xff").await;
    assert_eq!(grpc.grpc_status(), "3");
    let violations = ErrorDetails::of(&grpc).violations;
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].description, grpc.grpc_error().message());
}

#[tokio::test]
async fn size_limits_give_413_or_resource_exhausted() {
    let flags =
        ["--storage.remote.write-max-body-size=1KB", "--storage.remote.write-max-decoded-size=2KB"];
    let edge = TestServer::ready(&flags).await;
    let sized = edge.write(vec![0; 1025]).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(3);
    for _ in 0..3 {
        sender.send(Ok(Bytes::from_static(&[0; 512]))).await.unwrap();
    }
    drop(sender);
    let streamed = edge.write(Body::new(ChannelBody::from(receiver))).await;
    let declared_4_gib = edge.write(&b"\xff\xff\xff\xff\x0f"[..]).await;
    let bomb = edge.write(snappy_block(&vec![0; 4096])).await;
    for got in [sized, streamed, declared_4_gib, bomb] {
        assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", got.text());
    }
    edge.write_v1(&[0; 2049]).await.assert_grpc_too_large();
    let edge = TestServer::ready(&["--storage.remote.write-max-series=1"]).await;
    let two = request(vec![series("a", &[(1, 1.0)]), series("b", &[(1, 1.0)])]);
    assert_eq!(edge.write(snappy_block(&two)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    edge.write_v1(&two).await.assert_grpc_too_large();
}

#[tokio::test]
async fn starting_draining_and_overload_are_503_or_unavailable() {
    let edge = TestServer::starting(&[]).await;
    edge.write(snappy_block(&valid_request())).await.assert_retry_later();
    edge.read(&read_all_request()).await.assert_retry_later();
    edge.get("/api/v1/export?match[]=up").await.assert_retry_later();
    edge.write_v1(&valid_request()).await.assert_grpc_retry_later();
    edge.context.process.lifecycle.advance(Phase::Draining);
    edge.write(snappy_block(&valid_request())).await.assert_retry_later();
    edge.write_v1(&valid_request()).await.assert_grpc_retry_later();

    let edge = TestServer::ready(&["--web.max-bytes-in-flight=10"]).await;
    edge.write(snappy_block(&valid_request())).await.assert_retry_later();
    edge.write_v1(&valid_request()).await.assert_grpc_retry_later();

    let edge = TestServer::ready(&[
        "--storage.remote.write-concurrent-limit=1",
        "--storage.remote.write-queue-limit=1",
    ])
    .await;
    let _at_work = edge.context.writes.gate.acquire().await.unwrap();
    let waiting = tokio::spawn({
        let context = edge.context.clone();
        async move { context.writes.gate.acquire().await.map(drop) }
    });
    tokio::task::yield_now().await;
    edge.write(snappy_block(&valid_request())).await.assert_retry_later();
    edge.write_v1(&valid_request()).await.assert_grpc_retry_later();
    waiting.abort();
}

#[tokio::test]
async fn closed_database_is_503() {
    let edge = TestServer::ready(&[]).await;
    edge.context.process.db.close().unwrap();
    edge.write(snappy_block(&valid_request())).await.assert_retry_later();
    edge.write_v1(&valid_request()).await.assert_grpc_retry_later();
}

#[tokio::test]
async fn valid_write_after_rejection_is_stored() {
    let edge = TestServer::ready(&[]).await;
    for bad in [snappy_block(&partially_invalid_request()), vec![1, 2, 3], snappy_block(b"\xff")] {
        assert_eq!(edge.write(bad).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn waiting_grpc_messages_count_against_budget() {
    let message = request(vec![series(&"x".repeat(1000), &[(now_ms(), 1.0)])]);
    // Half of the budget is for requests: three waiting messages and a part of another.
    let budget =
        format!("--web.max-bytes-in-flight={}", 2 * (3 * message.len() + message.len() / 2));
    let edge = std::sync::Arc::new(
        TestServer::ready(&[&budget, "--storage.remote.write-concurrent-limit=1"]).await,
    );
    let at_work = edge.context.writes.gate.acquire().await.unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (edge, message) = (edge.clone(), message.clone());
            tokio::spawn(async move { edge.write_v1(&message).await })
        })
        .collect();
    let held = format!("narthex_request_bytes_in_flight {}", 3 * message.len());
    let all_wait = async {
        while !edge.get("/metrics").await.text().contains(&held) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), all_wait)
        .await
        .expect("the bytes of waiting messages must be counted");
    let got = edge.write_v1(&message).await;
    got.assert_grpc_retry_later();
    assert!(got.header("grpc-message").contains("bytes"), "{:?}", got.headers);
    drop(at_work);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().grpc_status(), "0");
    }
    assert_eq!(edge.write_v1(&message).await.grpc_status(), "0");
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}

#[tokio::test]
async fn pending_responses_do_not_block_writes() {
    let edge = TestServer::ready(&["--web.max-bytes-in-flight=2MB"]).await;
    let now = now_ms();
    let many: Vec<_> = (0..10_000).map(|i| (now + i, i as f64)).collect();
    assert_eq!(
        edge.write(snappy_block(&request(vec![series("many", &many)]))).await.status,
        StatusCode::NO_CONTENT
    );
    let mut held = edge.context.reads.responses.budget.reserve();
    held.extend(1 << 20).unwrap();
    edge.read(&read_all_request()).await.assert_retry_later();
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
    assert_eq!(edge.write_v1(&valid_request()).await.grpc_status(), "0");
    drop(held);
    assert_eq!(edge.read(&read_all_request()).await.status, StatusCode::OK);
}
