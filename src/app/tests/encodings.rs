//! Content encodings of HTTP writes: stored, 415, 413 and 400, each followed by a read.

use crate::app::tests::edge::{TestServer, now_ms, request, series, snappy_block, valid_request};
use axum::http::{Request, StatusCode};
use std::io::Write;

const TYPE: &str = "application/x-protobuf";

/// Function that compresses a body.
type Compress = fn(&[u8]) -> Vec<u8>;

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).unwrap()
}

/// Compresses into a frame without content size.
fn zstd_undeclared(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.flush().unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn body_in_each_encoding_is_stored() {
    let edge = TestServer::ready(&[]).await;
    let encodings: [(&str, Compress); 4] = [
        ("snappy", snappy_block),
        ("x-snappy-framed", framed),
        ("zstd", zstd),
        ("ZSTD", zstd_undeclared),
    ];
    for (at, (encoding, packed)) in encodings.into_iter().enumerate() {
        let name = format!("stored{at}");
        let many: Vec<_> = (0..2000).map(|i| (now_ms() + i, i as f64)).collect();
        let got = edge.write_as(TYPE, encoding, packed(&request(vec![series(&name, &many)]))).await;
        assert_eq!(got.status, StatusCode::NO_CONTENT, "{encoding}: {}", got.text());
        let read = edge.get(&format!("/api/v1/export?match[]={name}")).await;
        assert!(read.text().contains("1999"), "{encoding}");
    }
    let unnamed = Request::post("/api/v1/write")
        .header("content-type", TYPE)
        .body(snappy_block(&valid_request()).into())
        .unwrap();
    assert_eq!(edge.send(unnamed).await.status, StatusCode::NO_CONTENT);
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}

#[tokio::test]
async fn unknown_or_mismatching_encoding_is_415() {
    let edge = TestServer::ready(&[]).await;
    let message = valid_request();
    for encoding in ["gzip", "identity", "deflate", "br", "snappy, zstd", "zstd,zstd"] {
        let got = edge.write_as(TYPE, encoding, gzip(&message)).await;
        assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}: {}", got.text());
    }
    let bodies = [snappy_block(&message), framed(&message), zstd(&message), gzip(&message)];
    for (own, encoding) in [(0, "snappy"), (1, "x-snappy-framed"), (2, "zstd")] {
        for (at, body) in bodies.iter().enumerate().filter(|(at, _)| *at != own) {
            let got = edge.write_as(TYPE, encoding, body.clone()).await;
            assert_eq!(
                got.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "body {at} as {encoding}: {}",
                got.text()
            );
        }
    }
    assert_eq!(edge.get("/api/v1/export?match[]=good").await.text(), "");
}

#[tokio::test]
async fn decompression_bomb_is_413_in_each_encoding() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=1MB"]).await;
    let zeros = vec![0; 64 << 20];
    let declared_4_gib = b"\xff\xff\xff\xff\x0f".to_vec();
    for (encoding, body) in [
        ("snappy", snappy_block(&zeros)),
        ("snappy", declared_4_gib),
        ("x-snappy-framed", framed(&zeros)),
        ("zstd", zstd(&zeros)),
        ("zstd", zstd_undeclared(&zeros)),
        ("zstd", [zstd(&[1; 100]), zstd(&zeros)].concat()),
    ] {
        let got = edge.write_as(TYPE, encoding, body).await;
        assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE, "{encoding}: {}", got.text());
        assert_eq!(
            edge.write_as(TYPE, encoding, vec![]).await.status,
            StatusCode::BAD_REQUEST,
            "{encoding}"
        );
    }
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
    assert_eq!(edge.write(snappy_block(&valid_request())).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn truncated_body_is_400_and_no_memory_is_503() {
    let edge = TestServer::ready(&["--web.max-bytes-in-flight=1MB"]).await;
    let large = request(vec![series(&"x".repeat(600_000), &[(now_ms(), 1.0)])]);
    let encodings: [(&str, Compress); 3] =
        [("snappy", snappy_block), ("x-snappy-framed", framed), ("zstd", zstd)];
    for (encoding, packed) in encodings {
        let whole = packed(&valid_request());
        let cut = edge.write_as(TYPE, encoding, whole[..whole.len() - 1].to_vec()).await;
        assert_eq!(cut.status, StatusCode::BAD_REQUEST, "{encoding}: {}", cut.text());
        edge.write_as(TYPE, encoding, packed(&large)).await.assert_retry_later();
        assert_eq!(
            edge.write_as(TYPE, encoding, whole).await.status,
            StatusCode::NO_CONTENT,
            "{encoding}"
        );
    }
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}
