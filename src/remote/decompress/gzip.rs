//! Gzip: members in a row, each with its checksum.

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{DecompressBuffer, DecompressError, malformed};
use flate2::bufread::MultiGzDecoder;
use std::io::Read;

/// Memory of the decoder besides the output, bytes: tables and a window of 32 KiB.
const STATE: usize = 64 << 10;
/// Upper bound of the deflate compression ratio.
const MAX_RATIO: usize = 1032;

/// Decompresses all members of a body.
pub(super) fn decompress(
    body: &[u8],
    output: &mut DecompressBuffer<'_, '_>,
) -> Result<(), DecompressError> {
    if body.is_empty() {
        return Err(malformed_gzip("empty body"));
    }
    (output.budget.grant)(STATE)?;
    let mut members = MultiGzDecoder::new(body);
    let max_content = body.len().saturating_mul(MAX_RATIO);
    loop {
        let mut spare = output.grow_spare(body.len().saturating_mul(4).min(max_content))?;
        let mut written = 0;
        while !spare.is_empty() {
            let read = members.read(spare).map_err(malformed_gzip)?;
            if read == 0 {
                output.advance(written);
                return output.finish();
            }
            written += read;
            spare = &mut spare[read..];
        }
        output.advance(written);
    }
}

fn malformed_gzip(why: impl std::fmt::Display) -> DecompressError {
    malformed(BodyCompression::Gzip, why)
}
