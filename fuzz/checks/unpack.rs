//! Decompression of bodies, with the encoding selected by the first byte: within the limits or
//! rejected, and the same twice.

use flate2::read::MultiGzDecoder;
use narthex::remote::body_compression::BodyCompression;
use narthex::remote::decompress::BodyDecompressor;
use narthex::remote::decompress::output::{DecompressBudget, DecompressError, OutOfBudget};
use std::io::Read;

const PACKINGS: [BodyCompression; 5] = [
    BodyCompression::Plain,
    BodyCompression::SnappyBlock,
    BodyCompression::SnappyFramed,
    BodyCompression::Zstd,
    BodyCompression::Gzip,
];
/// Limit of the output, bytes.
const LIMIT: usize = 100_000;
/// Additional memory: the largest window of zstd, the tables of gzip, one byte beyond the limit.
const OVERHEAD: usize = (8 << 20) + (64 << 10) + 1;

/// Panics if the property does not hold.
pub(crate) fn check(input: &[u8]) {
    let Some((packing, body)) = input.split_first() else { return };
    let packing = PACKINGS[usize::from(*packing) % PACKINGS.len()];
    let mut unpacker = BodyDecompressor::default();
    let found = unpack(&mut unpacker, packing, body, LIMIT + OVERHEAD);
    // The buffers are reused. Earlier contents must not affect the result.
    assert_eq!(unpack(&mut unpacker, packing, body, LIMIT + OVERHEAD), found);
    // With less memory, the result is the same or an error.
    let less = unpack(&mut unpacker, packing, body, 10_000);
    assert!(less.is_none() || less == found);
    if let Some(found) = found {
        check_with_libraries(packing, body, &found);
    }
}

fn unpack(
    unpacker: &mut BodyDecompressor,
    packing: BodyCompression,
    body: &[u8],
    memory: usize,
) -> Option<Vec<u8>> {
    let mut granted = 0;
    let mut grant = |bytes: usize| {
        if granted + bytes > memory {
            return Err(OutOfBudget);
        }
        granted += bytes;
        Ok(())
    };
    match unpacker.decompress(packing, body, DecompressBudget { limit: LIMIT, grant: &mut grant }) {
        Ok(output) => {
            assert!(output.len() <= LIMIT, "{} bytes of output", output.len());
            assert!(
                packing == BodyCompression::Plain || output.len() <= granted,
                "{granted} bytes were granted"
            );
            Some(output.to_vec())
        }
        Err(DecompressError::TooLarge { limit }) => {
            assert_eq!(limit, LIMIT);
            None
        }
        Err(_) => None,
    }
}

/// Checks that the libraries alone produce the same output.
fn check_with_libraries(packing: BodyCompression, body: &[u8], found: &[u8]) {
    let mut theirs = Vec::new();
    let read = match packing {
        BodyCompression::Plain => body.take(u64::MAX).read_to_end(&mut theirs),
        BodyCompression::SnappyBlock => {
            return assert_eq!(
                snap::raw::Decoder::new().decompress_vec(body).ok().as_deref(),
                Some(found)
            );
        }
        BodyCompression::SnappyFramed => {
            snap::read::FrameDecoder::new(body).read_to_end(&mut theirs)
        }
        BodyCompression::Zstd if body.is_empty() => return assert!(found.is_empty()),
        BodyCompression::Zstd => match zstd::stream::read::Decoder::new(body) {
            Ok(mut decoder) => decoder.read_to_end(&mut theirs),
            Err(error) => Err(error),
        },
        BodyCompression::Gzip => MultiGzDecoder::new(body).read_to_end(&mut theirs),
    };
    // The libraries accept other inputs than narthex. If they accept this one, the output is equal.
    if read.is_ok() {
        assert_eq!(theirs, found, "{packing}");
    }
}
