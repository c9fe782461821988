//! gRPC compression: round trips in every encoding, and rejection of truncated, corrupted, too
//! large and unknown messages.

use crate::app::tests::edge::{TestResponse, TestServer, now_ms, request, series, valid_request};
use crate::remote::decompress::BodyDecompressor;
use crate::remote::decompress::output::DecompressBudget;
use crate::remote::pb::narthex::v1::WriteResponse;
use crate::server::grpc::layers::limits;
use crate::server::transport::framing::compress_body::compress_body;
use crate::server::transport::framing::decompress_body::decompress_body;
use crate::server::transport::framing::encoding::GrpcEncoding;
use crate::testing::channel_body::ChannelBody;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use http_body_util::BodyExt;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest,
};
use prost::Message;
use std::time::Duration;
use tokio::sync::mpsc;

const ALL: [GrpcEncoding; 3] = [GrpcEncoding::Zstd, GrpcEncoding::Snappy, GrpcEncoding::Gzip];
const WRITE_V1: &str = "/narthex.v1.Write/WriteV1";

fn frame(flag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[flag][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

fn call(encoding: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(WRITE_V1)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", encoding)
        .body(body.into())
        .unwrap()
}

async fn write(edge: &TestServer, encoding: GrpcEncoding, compressed: &[u8]) -> TestResponse {
    edge.send(call(encoding.name(), frame(1, compressed))).await
}

#[tokio::test]
async fn message_in_each_encoding_is_stored() {
    let edge = TestServer::ready(&[]).await;
    // Small messages are decompressed at once, large ones on another thread.
    for padding in [0, 300_000] {
        let labels = "x".repeat(padding / 10);
        let many: Vec<_> =
            (0..10).map(|i| series(&format!("{labels}{i}"), &[(now_ms(), 1.0)])).collect();
        for encoding in ALL {
            let got =
                write(&edge, encoding, &encoding.compress(&request(many.clone())).unwrap()).await;
            assert_eq!(got.grpc_status(), "0", "{encoding:?} {:?}", got.headers);
            assert_eq!(WriteResponse::decode(&got.body[5..]).unwrap().samples, 10);
        }
    }
    // Uncompressed messages are accepted in every encoding.
    assert_eq!(edge.send(call("gzip", frame(0, &valid_request()))).await.grpc_status(), "0");
    assert_eq!(edge.send(call("identity", frame(0, &valid_request()))).await.grpc_status(), "0");
    let metrics = edge.get("/metrics").await;
    assert!(
        metrics.text().contains("narthex_grpc_decompressed_messages_total{encoding=\"zstd\"} 2"),
        "{}",
        metrics.text()
    );
    assert!(metrics.text().contains("narthex_request_bytes_in_flight 0"), "{}", metrics.text());
}

#[tokio::test]
async fn unknown_encoding_is_unimplemented() {
    let edge = TestServer::ready(&[]).await;
    for encoding in ["br", "deflate", "x-snappy-framed", "gzip,gzip"] {
        let got = edge.send(call(encoding, frame(1, &valid_request()))).await;
        assert_eq!(
            (got.grpc_status(), got.header("grpc-accept-encoding")),
            ("12", "zstd,snappy,gzip,identity")
        );
    }
}

#[tokio::test]
async fn compressed_message_without_encoding_is_rejected() {
    let edge = TestServer::ready(&[]).await;
    assert_eq!(edge.send(call("identity", frame(1, &valid_request()))).await.grpc_status(), "13");
}

#[tokio::test]
async fn message_too_large_before_or_after_decompression_is_8() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=100KB"]).await;
    for encoding in ALL {
        let bomb = encoding.compress(&vec![0; 64 << 20]).unwrap();
        assert_eq!(
            write(&edge, encoding, &bomb).await.grpc_status(),
            "8",
            "{encoding:?} bomb of {}",
            bomb.len()
        );
        // The announced size alone exceeds the limit.
        let head = [&[1][..], &u32::MAX.to_be_bytes()].concat();
        assert_eq!(edge.send(call(encoding.name(), head)).await.grpc_status(), "8");
        let got = write(&edge, encoding, &encoding.compress(&valid_request()).unwrap()).await;
        assert_eq!(got.grpc_status(), "0");
    }
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}

#[tokio::test]
async fn decompression_without_memory_is_unavailable() {
    let edge = TestServer::ready(&["--web.max-bytes-in-flight=1MB"]).await;
    let large = request(vec![series(&"x".repeat(600_000), &[(now_ms(), 1.0)])]);
    for encoding in ALL {
        let got = write(&edge, encoding, &encoding.compress(&large).unwrap()).await;
        got.assert_grpc_retry_later();
        let got = write(&edge, encoding, &encoding.compress(&valid_request()).unwrap()).await;
        assert_eq!(got.grpc_status(), "0");
    }
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}

#[tokio::test]
async fn corrupted_or_truncated_message_is_invalid() {
    let edge = TestServer::ready(&[]).await;
    for encoding in ALL {
        let compressed = encoding.compress(&valid_request()).unwrap();
        for bad in [
            &compressed[..compressed.len() - 1],
            &[&compressed[..], b"?"].concat(),
            b"\x28\xb5\x2f\xfd\xff",
            b"xyz",
        ] {
            let got = write(&edge, encoding, bad).await;
            assert!(
                ["3", "12"].contains(&got.grpc_status()),
                "{encoding:?} {bad:?} {:?}",
                got.headers
            );
        }
        let whole = frame(1, &compressed);
        for cut in [1, 4, 5, whole.len() - 1] {
            let got = edge.send(call(encoding.name(), whole[..cut].to_vec())).await;
            assert_eq!(got.grpc_status(), "3", "{encoding:?} cut at {cut} {:?}", got.headers);
        }
    }
}

/// Sends the messages as a response body in pieces of `piece` bytes. Returns flag and decompressed
/// message of each.
async fn compress_response(
    edge: &TestServer,
    encoding: GrpcEncoding,
    messages: &[Vec<u8>],
    piece: usize,
) -> Vec<(u8, Vec<u8>)> {
    let stream: Vec<u8> = messages.iter().flat_map(|message| frame(0, message)).collect();
    let (sender, receiver) =
        mpsc::channel::<Result<Bytes, std::io::Error>>(stream.len() / piece.max(1) + 2);
    for part in stream.chunks(piece.max(1)) {
        sender.send(Ok(Bytes::copy_from_slice(part))).await.unwrap();
    }
    drop(sender);
    let body = compress_body(
        Body::new(ChannelBody::from(receiver)),
        edge.context.reads.responses.budget.clone(),
        encoding,
    );
    parse_frames(encoding, body.collect().await.unwrap().to_bytes())
}

fn parse_frames(encoding: GrpcEncoding, mut bytes: Bytes) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let head = bytes.split_to(5);
        let message =
            bytes.split_to(u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize);
        let mut decompressor = BodyDecompressor::default();
        let plain = if head[0] == 1 {
            let budget = DecompressBudget { limit: 64 << 20, grant: &mut |_| Ok(()) };
            decompressor.decompress(encoding.body_compression(), &message, budget).unwrap().to_vec()
        } else {
            message.to_vec()
        };
        found.push((head[0], plain));
    }
    found
}

#[tokio::test]
async fn incompressible_message_suspends_compression() {
    let edge = TestServer::ready(&[]).await;
    let (small, large, larger) = (vec![1; 100], vec![2; 5000], vec![3; 2 << 20]);
    let incompressible: Vec<u8> = (0..2000u32)
        .flat_map(|i| i.wrapping_mul(0x9e37_79b9).rotate_left(i % 31).to_be_bytes())
        .collect();
    for encoding in ALL {
        let messages =
            [small.clone(), large.clone(), larger.clone(), incompressible.clone(), large.clone()];
        let got = compress_response(&edge, encoding, &messages, 10_000).await;
        let flags: Vec<u8> = got.iter().map(|(flag, _)| *flag).collect();
        assert_eq!(flags, [0, 1, 1, 0, 0], "{encoding:?}");
        assert!(got.iter().map(|(_, message)| message).eq(&messages));
    }
}

#[tokio::test]
async fn response_names_encoding_unless_it_has_no_message() {
    let edge = TestServer::ready(&[]).await;
    let mut request =
        call("snappy", frame(1, &GrpcEncoding::Snappy.compress(&valid_request()).unwrap()));
    request.headers_mut().insert("grpc-accept-encoding", "gzip, snappy".parse().unwrap());
    let got = edge.send(request).await;
    assert_eq!((got.grpc_status(), got.header("grpc-encoding")), ("0", "snappy"));
    let mut request = call("identity", frame(0, b"\xff"));
    request.headers_mut().insert("grpc-accept-encoding", "gzip".parse().unwrap());
    let got = edge.send(request).await;
    assert_eq!((got.grpc_status(), got.header("grpc-encoding")), ("3", ""));
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let repeated = (prop::collection::vec(any::<u8>(), 1..20), 1..2000usize)
        .prop_map(|(bytes, times)| bytes.repeat(times));
    let message =
        prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..3000), repeated];
    prop::collection::vec(message, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn messages_survive_both_directions(
        messages in messages(),
        piece in 1..5000usize,
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let edge = TestServer::ready(&[]).await;
            for encoding in ALL {
                let got = compress_response(&edge, encoding, &messages, piece).await;
                let received: Vec<_> = got.into_iter().map(|(_, message)| message).collect();
                prop_assert_eq!(received, messages.clone());
                let stream: Vec<u8> = messages
                    .iter()
                    .enumerate()
                    .flat_map(|(at, message)| match at % 3 {
                        0 => frame(0, message),
                        _ => frame(1, &encoding.compress(message).unwrap()),
                    })
                    .collect();
                let (sender, receiver) =
                    mpsc::channel::<Result<Bytes, std::io::Error>>(stream.len() / piece + 2);
                for part in stream.chunks(piece) {
                    sender.send(Ok(Bytes::copy_from_slice(part))).await.unwrap();
                }
                drop(sender);
                let limits = limits(&edge.context.grpc, WRITE_V1);
                let body = decompress_body(
                    Body::new(ChannelBody::from(receiver)),
                    edge.context.grpc.decompressor.clone(),
                    encoding,
                    limits,
                );
                let collected =
                    tokio::time::timeout(Duration::from_secs(60), body.collect()).await.unwrap();
                let got = parse_frames(encoding, collected.unwrap().to_bytes());
                let received: Vec<_> = got.into_iter().map(|(_, message)| message).collect();
                prop_assert_eq!(received, messages.clone());
            }
            Ok(())
        })?;
    }
}
