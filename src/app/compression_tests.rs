//! Messages come through every encoding unchanged, and what is cut, damaged, too large or unknown is refused.

use crate::app::edge::{TestResponse, TestServer, now_ms, request, series, valid_request};
use crate::remote::decompress::BodyDecompressor;
use crate::remote::decompress::output::DecompressBudget;
use crate::remote::pb::narthex::v1::WriteResponse;
use crate::server::body::ChannelBody;
use crate::server::grpc::compress_body::compress_body;
use crate::server::grpc::compression::limits;
use crate::server::grpc::decompress_body::decompress_body;
use crate::server::grpc::encoding::GrpcEncoding;
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

fn framed(flag: u8, bytes: &[u8]) -> Vec<u8> {
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

async fn write(edge: &TestServer, encoding: GrpcEncoding, packed: &[u8]) -> TestResponse {
    edge.send(call(encoding.name(), framed(1, packed))).await
}

#[tokio::test]
async fn a_message_is_stored_whatever_its_encoding() {
    let edge = TestServer::ready(&[]).await;
    // Small ones are inflated at once, large ones on another thread.
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
    // One that is not packed may be among them.
    assert_eq!(edge.send(call("gzip", framed(0, &valid_request()))).await.grpc_status(), "0");
    assert_eq!(edge.send(call("identity", framed(0, &valid_request()))).await.grpc_status(), "0");
    let metrics = edge.get("/metrics").await;
    assert!(
        metrics.text().contains("narthex_grpc_decompressed_messages_total{encoding=\"zstd\"} 2"),
        "{}",
        metrics.text()
    );
    assert!(metrics.text().contains("narthex_request_bytes_in_flight 0"), "{}", metrics.text());
}

#[tokio::test]
async fn an_unknown_encoding_is_unimplemented_and_says_what_is_known() {
    let edge = TestServer::ready(&[]).await;
    for encoding in ["br", "deflate", "x-snappy-framed", "gzip,gzip"] {
        let got = edge.send(call(encoding, framed(1, &valid_request()))).await;
        assert_eq!(
            (got.grpc_status(), got.header("grpc-accept-encoding")),
            ("12", "zstd,snappy,gzip,identity")
        );
    }
}

#[tokio::test]
async fn a_packed_message_without_an_encoding_is_an_error() {
    let edge = TestServer::ready(&[]).await;
    assert_eq!(edge.send(call("identity", framed(1, &valid_request()))).await.grpc_status(), "13");
}

#[tokio::test]
async fn what_is_too_large_is_exhausted_on_both_sides_of_the_packing() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=100KB"]).await;
    for encoding in ALL {
        let bomb = encoding.compress(&vec![0; 64 << 20]).unwrap();
        assert_eq!(
            write(&edge, encoding, &bomb).await.grpc_status(),
            "8",
            "{encoding:?} bomb of {}",
            bomb.len()
        );
        // Only announced.
        let head = [&[1][..], &u32::MAX.to_be_bytes()].concat();
        assert_eq!(edge.send(call(encoding.name(), head)).await.grpc_status(), "8");
        let got = write(&edge, encoding, &encoding.compress(&valid_request()).unwrap()).await;
        assert_eq!(got.grpc_status(), "0");
    }
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}

#[tokio::test]
async fn without_memory_for_what_comes_out_it_is_unavailable() {
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
async fn a_message_that_is_damaged_or_cut_is_invalid() {
    let edge = TestServer::ready(&[]).await;
    for encoding in ALL {
        let packed = encoding.compress(&valid_request()).unwrap();
        for bad in [
            &packed[..packed.len() - 1],
            &[&packed[..], b"?"].concat(),
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
        let whole = framed(1, &packed);
        for cut in [1, 4, 5, whole.len() - 1] {
            let got = edge.send(call(encoding.name(), whole[..cut].to_vec())).await;
            assert_eq!(got.grpc_status(), "3", "{encoding:?} cut at {cut} {:?}", got.headers);
        }
    }
}

/// What a client gets whose answer has these messages; each as its flag and what it means.
async fn answered(
    edge: &TestServer,
    encoding: GrpcEncoding,
    messages: &[Vec<u8>],
    piece: usize,
) -> Vec<(u8, Vec<u8>)> {
    let stream: Vec<u8> = messages.iter().flat_map(|message| framed(0, message)).collect();
    let (sender, receiver) =
        mpsc::channel::<Result<Bytes, std::io::Error>>(stream.len() / piece.max(1) + 2);
    for part in stream.chunks(piece.max(1)) {
        sender.send(Ok(Bytes::copy_from_slice(part))).await.unwrap();
    }
    drop(sender);
    let body =
        compress_body(Body::new(ChannelBody::from(receiver)), edge.context.clone(), encoding);
    unframed(encoding, body.collect().await.unwrap().to_bytes())
}

fn unframed(encoding: GrpcEncoding, mut bytes: Bytes) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let head = bytes.split_to(5);
        let message =
            bytes.split_to(u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize);
        let mut unpacker = BodyDecompressor::default();
        let plain = if head[0] == 1 {
            let room = DecompressBudget { limit: 64 << 20, grant: &mut |_| Ok(()) };
            unpacker.decompress(encoding.body_compression(), &message, room).unwrap().to_vec()
        } else {
            message.to_vec()
        };
        found.push((head[0], plain));
    }
    found
}

#[tokio::test]
async fn large_messages_of_an_answer_are_compressed_and_what_does_not_become_smaller_is_not_tried_again_soon()
 {
    let edge = TestServer::ready(&[]).await;
    let (small, large, larger) = (vec![1; 100], vec![2; 5000], vec![3; 2 << 20]);
    let dull: Vec<u8> = (0..2000u32)
        .flat_map(|i| i.wrapping_mul(0x9e37_79b9).rotate_left(i % 31).to_be_bytes())
        .collect();
    for encoding in ALL {
        let messages = [small.clone(), large.clone(), larger.clone(), dull.clone(), large.clone()];
        let got = answered(&edge, encoding, &messages, 10_000).await;
        let flags: Vec<u8> = got.iter().map(|(flag, _)| *flag).collect();
        assert_eq!(flags, [0, 1, 1, 0, 0], "{encoding:?}");
        assert!(got.iter().map(|(_, message)| message).eq(&messages));
    }
}

#[tokio::test]
async fn an_answer_names_its_encoding_and_a_mere_status_does_not() {
    let edge = TestServer::ready(&[]).await;
    let mut request =
        call("snappy", framed(1, &GrpcEncoding::Snappy.compress(&valid_request()).unwrap()));
    request.headers_mut().insert("grpc-accept-encoding", "gzip, snappy".parse().unwrap());
    let got = edge.send(request).await;
    assert_eq!((got.grpc_status(), got.header("grpc-encoding")), ("0", "snappy"));
    let mut request = call("identity", framed(0, b"\xff"));
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
    fn messages_come_through_unchanged_in_both_directions(messages in messages(), piece in 1..5000usize) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let edge = TestServer::ready(&[]).await;
            for encoding in ALL {
                let got = answered(&edge, encoding, &messages, piece).await;
                prop_assert_eq!(got.into_iter().map(|(_, message)| message).collect::<Vec<_>>(), messages.clone());
                let stream: Vec<u8> = messages
                    .iter()
                    .enumerate()
                    .flat_map(|(at, message)| match at % 3 {
                        0 => framed(0, message),
                        _ => framed(1, &encoding.compress(message).unwrap()),
                    })
                    .collect();
                let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(stream.len() / piece + 2);
                for part in stream.chunks(piece) {
                    sender.send(Ok(Bytes::copy_from_slice(part))).await.unwrap();
                }
                drop(sender);
                let limits = limits(&edge.context, WRITE_V1);
                let body = decompress_body(Body::new(ChannelBody::from(receiver)), edge.context.inflater.clone(), encoding, limits);
                let collected = tokio::time::timeout(Duration::from_secs(60), body.collect()).await.unwrap();
                let got = unframed(encoding, collected.unwrap().to_bytes());
                prop_assert_eq!(got.into_iter().map(|(_, message)| message).collect::<Vec<_>>(), messages.clone());
            }
            Ok(())
        })?;
    }
}
