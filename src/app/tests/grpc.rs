//! Behavior of all gRPC services: content type, deadlines, error details, health, reflection.

use crate::app::tests::edge::{
    TestServer, grpc_request, partially_invalid_request, read_all_request, valid_request,
};
use crate::app::tests::error_details::ErrorDetails;
use crate::server::management::lifecycle::Phase;
use crate::testing::channel_body::ChannelBody;
use crate::tsdb::db::settings::Settings;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use prost::Message;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

const METHODS: [&str; 8] = [
    "/narthex.v1.Read/Read",
    "/narthex.v1.Read/ReadChunks",
    "/narthex.v1.Write/WriteV1",
    "/narthex.v1.Write/WriteV2",
    "/narthex.v1.Write/WriteStream",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
const SERVICES: [&str; 2] = ["narthex.v1.Write", "narthex.v1.Read"];

#[tokio::test]
async fn non_grpc_request_is_415_and_unknown_method_unimplemented() {
    let edge = TestServer::ready(&[]).await;
    for path in METHODS {
        for content_type in
            ["application/x-protobuf", "application/grpc-web", "application/grpcx", ""]
        {
            let request = Request::post(path)
                .header("content-type", content_type)
                .body(Body::from(valid_request()))
                .unwrap();
            assert_eq!(
                edge.send(request).await.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path} {content_type}"
            );
        }
    }
    for path in [
        "/narthex.v1.Write/WriteV9",
        "/narthex.v1.Nothing/At",
        "/grpc.health.v1.Health/Nothing",
        "/api/v1/write",
    ] {
        let got = edge.send(grpc_request(path, b"")).await;
        let is_http = path == "/api/v1/write";
        assert_eq!(got.grpc_status(), if is_http { "" } else { "12" }, "{path}");
    }
}

#[tokio::test]
async fn request_ends_at_client_deadline() {
    let edge = TestServer::ready(&["--storage.remote.write-concurrent-limit=1"]).await;
    let at_work = edge.context.writes.gate.acquire().await.unwrap();
    let with_timeout = |timeout: &str| {
        let mut request = grpc_request("/narthex.v1.Write/WriteV1", &valid_request());
        request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        request
    };
    assert_eq!(edge.send(with_timeout("20m")).await.grpc_status(), "4");
    assert_eq!(edge.send(with_timeout("soon")).await.grpc_status(), "3");
    drop(at_work);
    assert_eq!(edge.send(with_timeout("20S")).await.grpc_status(), "0");
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}

#[tokio::test]
async fn rejection_details_have_reasons_and_counts() {
    let edge = TestServer::ready(&[]).await;
    let strict =
        Settings { out_of_order_window_ms: 0, ..edge.context.process.db.shared().settings() };
    edge.context.process.db.apply_settings(strict).unwrap();
    let details = ErrorDetails::of(&edge.write_v1(&partially_invalid_request()).await);
    let counted: Vec<_> = details.violations.iter().filter(|v| !v.reason.is_empty()).collect();
    let reasons: Vec<_> = counted.iter().map(|v| v.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["OUT_OF_ORDER", "DUPLICATE_TIMESTAMP", "TOO_FAR_IN_FUTURE", "INVALID_LABELS"]
    );
    assert!(
        counted.iter().all(|v| v.field == "timeseries.samples" && v.description.starts_with("1 ")),
        "{counted:?}"
    );
    let named: Vec<_> = details.violations.iter().filter(|v| v.reason.is_empty()).collect();
    assert!(named.iter().all(|v| v.field == "timeseries"), "{named:?}");
    assert!(named.iter().any(|v| v.description.contains("mixed")), "{named:?}");
    let info = details.info.unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("DATA_REJECTED", "narthex"));
    let stored = [("exemplars_stored", "0"), ("histograms_stored", "0"), ("samples_stored", "1")];
    assert!(
        info.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(stored),
        "{info:?}"
    );
}

async fn health(edge: &TestServer, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    let got = edge.grpc("/grpc.health.v1.Health/Check", &request.encode_to_vec()).await;
    HealthCheckResponse::decode(&got.body[5..]).unwrap().status()
}

async fn wait_for_health(edge: &TestServer, service: &str, status: ServingStatus) {
    let reached = async {
        while health(edge, service).await != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached)
        .await
        .unwrap_or_else(|_| panic!("{service} is not {status:?}"));
}

#[tokio::test]
async fn every_service_has_its_own_health() {
    let edge = TestServer::starting(&[]).await;
    for service in SERVICES {
        assert_eq!(health(&edge, service).await, ServingStatus::NotServing, "{service}");
    }
    edge.recover();
    edge.context.process.lifecycle.advance(Phase::Ready);
    for service in SERVICES {
        wait_for_health(&edge, service, ServingStatus::Serving).await;
    }
    edge.context.process.lifecycle.advance(Phase::Draining);
    for service in SERVICES {
        wait_for_health(&edge, service, ServingStatus::NotServing).await;
    }
}

fn ask(request: MessageRequest) -> Vec<u8> {
    ServerReflectionRequest { host: String::new(), message_request: Some(request) }.encode_to_vec()
}

/// Sends a reflection request. Both versions of the service have the same messages.
async fn reflected(edge: &TestServer, path: &str, request: MessageRequest) -> MessageResponse {
    let got = edge.grpc(path, &ask(request)).await;
    assert_eq!(got.grpc_status(), "0", "{:?}", got.trailers);
    ServerReflectionResponse::decode(&got.body[5..]).unwrap().message_response.unwrap()
}

#[tokio::test]
async fn reflection_lists_and_describes_services() {
    let edge = TestServer::ready(&[]).await;
    for path in &METHODS[6..] {
        let MessageResponse::ListServicesResponse(list) =
            reflected(&edge, path, MessageRequest::ListServices(String::new())).await
        else {
            panic!("no list");
        };
        let listed: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
        for service in SERVICES {
            assert!(listed.contains(&service), "{service} is not in {listed:?}");
        }
        for service in listed {
            let request = MessageRequest::FileContainingSymbol(service.to_owned());
            let MessageResponse::FileDescriptorResponse(files) =
                reflected(&edge, path, request).await
            else {
                panic!("no file for {service}");
            };
            let bytes = &files.file_descriptor_proto[0][..];
            let file = prost_types::FileDescriptorProto::decode(bytes).unwrap();
            let names: Vec<_> =
                file.service.iter().map(|s| format!("{}.{}", file.package(), s.name())).collect();
            assert!(names.iter().any(|name| name == service), "{service} is not in {names:?}");
        }
    }
}

#[tokio::test]
async fn open_reflection_ends_during_drain() {
    let edge = TestServer::ready(&[]).await;
    let (_open, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let mut request = grpc_request(METHODS[6], b"");
    *request.body_mut() = Body::new(ChannelBody::from(receiver));
    let response = edge.respond(request).await;
    edge.context.process.lifecycle.advance(Phase::Draining);
    let ended = tokio::time::timeout(Duration::from_secs(10), response.into_body().collect()).await;
    assert!(ended.expect("the stream must end").is_ok());
}

#[tokio::test]
async fn second_message_of_a_unary_call_is_an_error() {
    let edge = TestServer::ready(&[]).await;
    let (write, read) = (valid_request(), read_all_request().encode_to_vec());
    let cases: [(&str, &[u8], &str); 11] = [
        ("/narthex.v1.Write/WriteV1", &write, "3"),
        ("/narthex.v1.Write/WriteV2", b"", "3"),
        ("/narthex.v1.Read/Read", &read, "3"),
        ("/narthex.v1.Read/ReadChunks", &read, "3"),
        // ALREADY_EXISTS, which a Thanos router does not retry.
        ("/thanos.WriteableStore/RemoteWrite", b"", "6"),
        ("/thanos.Store/Series", b"", "3"),
        ("/thanos.Store/LabelNames", b"", "3"),
        ("/thanos.Store/LabelValues", b"", "3"),
        ("/thanos.info.Info/Info", b"", "3"),
        ("/thanos.Exemplars/Exemplars", b"", "3"),
        ("/thanos.Metadata/MetricMetadata", b"", "3"),
    ];
    for (path, message, status) in cases {
        let (head, body) = grpc_request(path, message).into_parts();
        let frame = body.collect().await.unwrap().to_bytes();
        let got =
            edge.send(Request::from_parts(head, Body::from([&frame[..], &frame].concat()))).await;
        assert_eq!(got.grpc_status(), status, "{path}: {:?}", got.headers);
        let message =
            got.headers.get("grpc-message").or_else(|| got.trailers.get("grpc-message")).unwrap();
        assert!(
            message.to_str().unwrap().contains("more%20than%20one%20message"),
            "{path}: {message:?}"
        );
    }
    let exported = edge.get("/api/v1/export?match[]=good").await;
    assert_eq!((exported.status, exported.text()), (StatusCode::OK, ""), "nothing must be stored");
}
