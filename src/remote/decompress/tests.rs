//! Round trips, exact limits, and rejection of truncated, corrupted or wrong formats.

use super::BodyDecompressor;
use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{DecompressBudget, DecompressError, OutOfBudget};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use std::io::Write;

const ALL: [BodyCompression; 4] = [
    BodyCompression::SnappyBlock,
    BodyCompression::SnappyFramed,
    BodyCompression::Zstd,
    BodyCompression::Gzip,
];
const LIMIT: usize = 4 << 20;

fn compress(packing: BodyCompression, bytes: &[u8]) -> Vec<u8> {
    match packing {
        BodyCompression::Plain => bytes.to_vec(),
        BodyCompression::SnappyBlock => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        BodyCompression::SnappyFramed => {
            let mut encoder = snap::write::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.into_inner().unwrap()
        }
        BodyCompression::Zstd => zstd::bulk::compress(bytes, 1).unwrap(),
        BodyCompression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// Compresses into frames without a content size, with a window of `2^log` bytes.
fn zstd_undeclared(bytes: &[u8], log: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(log).unwrap();
    // Written in two steps, so that the library cannot know the size when it writes the header.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    encoder.write_all(first).unwrap();
    encoder.flush().unwrap();
    encoder.write_all(second).unwrap();
    encoder.finish().unwrap()
}

fn decompress(
    decompressor: &mut BodyDecompressor,
    packing: BodyCompression,
    body: &[u8],
    limit: usize,
) -> Result<Vec<u8>, DecompressError> {
    let mut granted = 0;
    let mut grant = |bytes| {
        granted += bytes;
        Ok(())
    };
    let result = decompressor
        .decompress(packing, body, DecompressBudget { limit, grant: &mut grant })
        .map(<[u8]>::to_vec);
    if let Ok(output) = &result
        && packing != BodyCompression::Plain
    {
        assert!(
            granted >= output.len(),
            "granted {granted} bytes for {} bytes of output",
            output.len()
        );
    }
    assert!(granted <= limit + 1 + (9 << 20), "granted {granted} bytes");
    assert!(
        decompressor.buffer.len() <= limit + 1,
        "buffer of {} bytes",
        decompressor.buffer.len()
    );
    result
}

fn once(packing: BodyCompression, body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    decompress(&mut BodyDecompressor::default(), packing, body, limit)
}

#[test]
fn limit_is_exact_in_every_format() {
    let bytes: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let compressed = ALL.map(|packing| (packing, compress(packing, &bytes)));
    let undeclared = [(BodyCompression::Zstd, zstd_undeclared(&bytes, 17))];
    for (packing, body) in compressed.into_iter().chain(undeclared) {
        assert_eq!(once(packing, &body, bytes.len()).unwrap(), bytes, "{packing}");
        let error = once(packing, &body, bytes.len() - 1).unwrap_err();
        assert!(matches!(error, DecompressError::TooLarge { .. }), "{packing}: {error}");
    }
}

#[test]
fn decompression_bomb_stops_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    let bodies = ALL.map(|packing| (packing, compress(packing, &zeros)));
    for (packing, body) in
        bodies.into_iter().chain([(BodyCompression::Zstd, zstd_undeclared(&zeros, 20))])
    {
        let mut decompressor = BodyDecompressor::default();
        let error = decompress(&mut decompressor, packing, &body, LIMIT).unwrap_err();
        assert!(matches!(error, DecompressError::TooLarge { .. }), "{packing}: {error}");
        assert!(
            decompressor.retained_bytes() <= LIMIT + 1 + (4 << 20),
            "{packing}: {} bytes",
            decompressor.retained_bytes()
        );
    }
}

#[test]
fn impossible_declared_size_takes_no_memory() {
    // 3 MiB each: within the limit, but more than so few bytes can hold.
    let block = [0x80, 0x80, 0xc0, 0x01, 0, 0];
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0x30, 0, 1, 0, 0];
    for (packing, body) in
        [(BodyCompression::SnappyBlock, &block[..]), (BodyCompression::Zstd, &frame)]
    {
        let mut decompressor = BodyDecompressor::default();
        let error = decompress(&mut decompressor, packing, body, LIMIT).unwrap_err();
        assert!(matches!(error, DecompressError::Malformed { .. }), "{packing}: {error}");
        assert_eq!(decompressor.buffer.capacity(), 0, "{packing}");
    }
}

#[test]
fn oversized_window_is_rejected_without_content_size() {
    let bytes = vec![7; 100_000];
    assert_eq!(once(BodyCompression::Zstd, &zstd_undeclared(&bytes, 23), LIMIT).unwrap(), bytes);
    let error = once(BodyCompression::Zstd, &zstd_undeclared(&bytes, 24), LIMIT).unwrap_err();
    assert!(matches!(error, DecompressError::Window), "{error}");
    // A single segment of 20 MiB: its window is its content.
    let large: Vec<u8> = (0..5 << 20).flat_map(|i: u32| (i / 3).to_le_bytes()).collect();
    assert_eq!(
        once(BodyCompression::Zstd, &compress(BodyCompression::Zstd, &large), 32 << 20).unwrap(),
        large
    );
}

#[test]
fn concatenated_frames_are_one_body() {
    for packing in [BodyCompression::SnappyFramed, BodyCompression::Zstd, BodyCompression::Gzip] {
        let twice = [compress(packing, b"first "), compress(packing, b"second")].concat();
        assert_eq!(once(packing, &twice, 12).unwrap(), b"first second", "{packing}");
        assert!(
            matches!(once(packing, &twice, 11), Err(DecompressError::TooLarge { .. })),
            "{packing}"
        );
    }
    let skipped = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc";
    let around = [
        &skipped[..],
        &compress(BodyCompression::Zstd, b"first "),
        skipped,
        &zstd_undeclared(b"second", 10),
    ]
    .concat();
    assert_eq!(once(BodyCompression::Zstd, &around, 12).unwrap(), b"first second");
    let padding = b"\xfe\x02\x00\x00ab";
    let around = [&compress(BodyCompression::SnappyFramed, b"first")[..], padding].concat();
    assert_eq!(once(BodyCompression::SnappyFramed, &around, 12).unwrap(), b"first");
}

#[test]
fn reserved_chunks_and_bad_checksums_are_errors() {
    let stream = compress(BodyCompression::SnappyFramed, b"content");
    let unknown = [&stream[..], b"\x02\x00\x00\x00"].concat();
    let mut flipped = stream.clone();
    flipped[14] ^= 1;
    for body in
        [&unknown[..], &flipped, &stream[..stream.len() - 1], b"\xff\x06\x00\x00sNaPp", b"\xff"]
    {
        let error = once(BodyCompression::SnappyFramed, body, LIMIT).unwrap_err();
        assert!(matches!(error, DecompressError::Malformed { .. }), "{error}");
    }
}

#[test]
fn wrong_format_is_detected() {
    let bodies = ALL.map(|packing| (packing, compress(packing, b"some content of some length")));
    for named in ALL {
        for (packing, body) in &bodies {
            let result = once(named, body, LIMIT);
            if named == *packing {
                result.unwrap();
            } else {
                assert!(
                    matches!(result, Err(DecompressError::WrongCompression { .. })),
                    "{packing} as {named}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn empty_body_is_valid_in_streaming_formats() {
    for packing in [BodyCompression::Plain, BodyCompression::SnappyFramed, BodyCompression::Zstd] {
        assert_eq!(once(packing, b"", LIMIT).unwrap(), b"", "{packing}");
    }
    for packing in [BodyCompression::SnappyBlock, BodyCompression::Gzip] {
        assert!(
            matches!(once(packing, b"", LIMIT), Err(DecompressError::Malformed { .. })),
            "{packing}"
        );
    }
}

#[test]
fn exhausted_budget_decompresses_nothing() {
    for packing in ALL {
        let body = compress(packing, &[1; 300_000]);
        let mut decompressor = BodyDecompressor::default();
        let error = decompressor
            .decompress(
                packing,
                &body,
                DecompressBudget { limit: LIMIT, grant: &mut |_| Err(OutOfBudget) },
            )
            .unwrap_err();
        assert!(matches!(error, DecompressError::OutOfBudget(_)), "{packing}: {error}");
        assert_eq!(decompressor.buffer.capacity(), 0, "{packing}");
    }
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = (prop::collection::vec(any::<u8>(), 1..40), 1..3000usize)
        .prop_map(|(bytes, times)| bytes.repeat(times));
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn round_trip_succeeds_and_truncation_fails(
        contents in prop::collection::vec(content(), 1..4),
        place in any::<usize>(),
        bit in 0..8u8,
    ) {
        let mut decompressor = BodyDecompressor::default();
        for bytes in &contents {
            let undeclared = (BodyCompression::Zstd, zstd_undeclared(bytes, 12));
            let bodies = ALL.map(|packing| (packing, compress(packing, bytes)));
            for (packing, body) in bodies.into_iter().chain([undeclared]) {
                let output = decompress(&mut decompressor, packing, &body, LIMIT).unwrap();
                prop_assert_eq!(&output, bytes);
                let cut = &body[..place % body.len().max(1)];
                // A stream truncated between two chunks is a valid stream.
                if packing != BodyCompression::SnappyFramed && !cut.is_empty() {
                    let result = decompress(&mut decompressor, packing, cut, LIMIT);
                    prop_assert!(result.is_err(), "truncated {packing}");
                }
                let mut changed = body.clone();
                if let Some(byte) = changed.get_mut(place % body.len().max(1)) {
                    *byte ^= 1 << bit;
                }
                let _ = decompress(&mut decompressor, packing, &changed, LIMIT);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_rejected_or_bounded(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut decompressor = BodyDecompressor::default();
        for (packing, beginning) in [
            (BodyCompression::SnappyBlock, &b""[..]),
            (BodyCompression::SnappyFramed, b"\xff\x06\x00\x00sNaPpY"),
            (BodyCompression::Zstd, b"\x28\xb5\x2f\xfd"),
            (BodyCompression::Gzip, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"),
        ] {
            let _ = decompress(&mut decompressor, packing, &[beginning, &bytes].concat(), 10_000);
            let _ = decompress(&mut decompressor, packing, &bytes, 10_000);
        }
    }
}
