//! Gzip: one member after another, each with its checksum.

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{DecompressBuffer, DecompressError, malformed};
use flate2::bufread::MultiGzDecoder;
use std::io::Read;

/// Bytes that inflating takes beside the output: tables and a window of 32 KiB.
const STATE: usize = 64 << 10;
/// More than deflate can make of one byte.
const MAX_RATIO: usize = 1032;

/// Unpacks all members.
pub(super) fn decompress(
    body: &[u8],
    output: &mut DecompressBuffer<'_, '_>,
) -> Result<(), DecompressError> {
    if body.is_empty() {
        return Err(malformed_gzip("it is empty"));
    }
    (output.room.grant)(STATE)?;
    let mut members = MultiGzDecoder::new(body);
    let most = body.len().saturating_mul(MAX_RATIO);
    loop {
        let mut place = output.grow_spare(body.len().saturating_mul(4).min(most))?;
        let mut written = 0;
        while !place.is_empty() {
            let read = members.read(place).map_err(malformed_gzip)?;
            if read == 0 {
                output.advance(written);
                return output.finish();
            }
            written += read;
            place = &mut place[read..];
        }
        output.advance(written);
    }
}

fn malformed_gzip(why: impl std::fmt::Display) -> DecompressError {
    malformed(BodyCompression::Gzip, why)
}
