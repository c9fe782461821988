//! Every packing comes back, holds its limit to the byte, and is refused where it is cut, damaged or another one.

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

fn pack(packing: BodyCompression, bytes: &[u8]) -> Vec<u8> {
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

/// Frames that do not say how much they hold, with a window of `2^log` bytes.
fn zstd_undeclared(bytes: &[u8], log: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(log).unwrap();
    // In two steps, so that the library can't know the size when it writes the header.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    encoder.write_all(first).unwrap();
    encoder.flush().unwrap();
    encoder.write_all(second).unwrap();
    encoder.finish().unwrap()
}

fn unpack(
    unpacker: &mut BodyDecompressor,
    packing: BodyCompression,
    body: &[u8],
    limit: usize,
) -> Result<Vec<u8>, DecompressError> {
    let mut granted = 0;
    let mut grant = |bytes| {
        granted += bytes;
        Ok(())
    };
    let result = unpacker
        .decompress(packing, body, DecompressBudget { limit, grant: &mut grant })
        .map(<[u8]>::to_vec);
    if let Ok(output) = &result
        && packing != BodyCompression::Plain
    {
        assert!(granted >= output.len(), "{granted} bytes were asked for {}", output.len());
    }
    assert!(granted <= limit + 1 + (9 << 20), "{granted} bytes were asked for");
    assert!(unpacker.buffer.len() <= limit + 1, "the buffer is {} bytes", unpacker.buffer.len());
    result
}

fn once(packing: BodyCompression, body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    unpack(&mut BodyDecompressor::default(), packing, body, limit)
}

#[test]
fn a_limit_holds_to_the_byte_in_every_packing() {
    let bytes: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let packed = ALL.map(|packing| (packing, pack(packing, &bytes)));
    let undeclared = [(BodyCompression::Zstd, zstd_undeclared(&bytes, 17))];
    for (packing, body) in packed.into_iter().chain(undeclared) {
        assert_eq!(once(packing, &body, bytes.len()).unwrap(), bytes, "{packing}");
        let refused = once(packing, &body, bytes.len() - 1).unwrap_err();
        assert!(matches!(refused, DecompressError::TooLarge { .. }), "{packing}: {refused}");
    }
}

#[test]
fn bombs_are_stopped_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    let bodies = ALL.map(|packing| (packing, pack(packing, &zeros)));
    for (packing, body) in
        bodies.into_iter().chain([(BodyCompression::Zstd, zstd_undeclared(&zeros, 20))])
    {
        let mut unpacker = BodyDecompressor::default();
        let refused = unpack(&mut unpacker, packing, &body, LIMIT).unwrap_err();
        assert!(matches!(refused, DecompressError::TooLarge { .. }), "{packing}: {refused}");
        assert!(
            unpacker.retained_bytes() <= LIMIT + 1 + (4 << 20),
            "{packing}: {} bytes",
            unpacker.retained_bytes()
        );
    }
}

#[test]
fn what_declares_more_than_it_can_hold_takes_no_memory() {
    // 3 MiB each: within the limit, but never in so few bytes.
    let block = [0x80, 0x80, 0xc0, 0x01, 0, 0];
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0x30, 0, 1, 0, 0];
    for (packing, body) in
        [(BodyCompression::SnappyBlock, &block[..]), (BodyCompression::Zstd, &frame)]
    {
        let mut unpacker = BodyDecompressor::default();
        let refused = unpack(&mut unpacker, packing, body, LIMIT).unwrap_err();
        assert!(matches!(refused, DecompressError::Malformed { .. }), "{packing}: {refused}");
        assert_eq!(unpacker.buffer.capacity(), 0, "{packing}");
    }
}

#[test]
fn a_window_that_is_too_large_is_refused_but_for_what_declares_its_content() {
    let bytes = vec![7; 100_000];
    assert_eq!(once(BodyCompression::Zstd, &zstd_undeclared(&bytes, 23), LIMIT).unwrap(), bytes);
    let refused = once(BodyCompression::Zstd, &zstd_undeclared(&bytes, 24), LIMIT).unwrap_err();
    assert!(matches!(refused, DecompressError::Window), "{refused}");
    // A single segment of 20 MiB: its window is its content.
    let large: Vec<u8> = (0..5 << 20).flat_map(|i: u32| (i / 3).to_le_bytes()).collect();
    assert_eq!(
        once(BodyCompression::Zstd, &pack(BodyCompression::Zstd, &large), 32 << 20).unwrap(),
        large
    );
}

#[test]
fn frames_members_and_streams_in_a_row_are_one_body() {
    for packing in [BodyCompression::SnappyFramed, BodyCompression::Zstd, BodyCompression::Gzip] {
        let twice = [pack(packing, b"first "), pack(packing, b"second")].concat();
        assert_eq!(once(packing, &twice, 12).unwrap(), b"first second", "{packing}");
        assert!(
            matches!(once(packing, &twice, 11), Err(DecompressError::TooLarge { .. })),
            "{packing}"
        );
    }
    let skipped = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc";
    let around = [
        &skipped[..],
        &pack(BodyCompression::Zstd, b"first "),
        skipped,
        &zstd_undeclared(b"second", 10),
    ]
    .concat();
    assert_eq!(once(BodyCompression::Zstd, &around, 12).unwrap(), b"first second");
    let padding = b"\xfe\x02\x00\x00ab";
    let around = [&pack(BodyCompression::SnappyFramed, b"first")[..], padding].concat();
    assert_eq!(once(BodyCompression::SnappyFramed, &around, 12).unwrap(), b"first");
}

#[test]
fn chunks_that_may_not_be_skipped_and_wrong_checksums_are_errors() {
    let whole = pack(BodyCompression::SnappyFramed, b"content");
    let unknown = [&whole[..], b"\x02\x00\x00\x00"].concat();
    let mut flipped = whole.clone();
    flipped[14] ^= 1;
    for body in
        [&unknown[..], &flipped, &whole[..whole.len() - 1], b"\xff\x06\x00\x00sNaPp", b"\xff"]
    {
        let refused = once(BodyCompression::SnappyFramed, body, LIMIT).unwrap_err();
        assert!(matches!(refused, DecompressError::Malformed { .. }), "{refused}");
    }
}

#[test]
fn what_begins_as_another_packing_is_told_apart() {
    let bodies = ALL.map(|packing| (packing, pack(packing, b"some content of some length")));
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
fn nothing_is_empty_in_packings_whose_writers_may_write_nothing() {
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
fn where_there_is_no_memory_nothing_is_unpacked() {
    for packing in ALL {
        let body = pack(packing, &[1; 300_000]);
        let mut unpacker = BodyDecompressor::default();
        let refused = unpacker
            .decompress(
                packing,
                &body,
                DecompressBudget { limit: LIMIT, grant: &mut |_| Err(OutOfBudget) },
            )
            .unwrap_err();
        assert!(matches!(refused, DecompressError::OutOfBudget(_)), "{packing}: {refused}");
        assert_eq!(unpacker.buffer.capacity(), 0, "{packing}");
    }
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = (prop::collection::vec(any::<u8>(), 1..40), 1..3000usize)
        .prop_map(|(bytes, times)| bytes.repeat(times));
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_was_packed_comes_back_and_what_is_cut_or_changed_does_not(
        contents in prop::collection::vec(content(), 1..4),
        place in any::<usize>(),
        bit in 0..8u8,
    ) {
        let mut unpacker = BodyDecompressor::default();
        for bytes in &contents {
            let undeclared = (BodyCompression::Zstd, zstd_undeclared(bytes, 12));
            for (packing, body) in ALL.map(|packing| (packing, pack(packing, bytes))).into_iter().chain([undeclared]) {
                prop_assert_eq!(&unpack(&mut unpacker, packing, &body, LIMIT).unwrap(), bytes);
                let cut = &body[..place % body.len().max(1)];
                // Cut between two chunks, a stream is a stream.
                if packing != BodyCompression::SnappyFramed && !cut.is_empty() {
                    prop_assert!(unpack(&mut unpacker, packing, cut, LIMIT).is_err(), "cut {packing}");
                }
                let mut changed = body.clone();
                if let Some(byte) = changed.get_mut(place % body.len().max(1)) {
                    *byte ^= 1 << bit;
                }
                let _ = unpack(&mut unpacker, packing, &changed, LIMIT);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_bounded(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut unpacker = BodyDecompressor::default();
        for (packing, beginning) in [
            (BodyCompression::SnappyBlock, &b""[..]),
            (BodyCompression::SnappyFramed, b"\xff\x06\x00\x00sNaPpY"),
            (BodyCompression::Zstd, b"\x28\xb5\x2f\xfd"),
            (BodyCompression::Gzip, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"),
        ] {
            let _ = unpack(&mut unpacker, packing, &[beginning, &bytes].concat(), 10_000);
            let _ = unpack(&mut unpacker, packing, &bytes, 10_000);
        }
    }
}
