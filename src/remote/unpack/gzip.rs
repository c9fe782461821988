//! Gzip: one member after another, each with its checksum.

use crate::remote::packing::Packing;
use crate::remote::unpack::output::{Output, UnpackError, malformed};
use flate2::bufread::MultiGzDecoder;
use std::io::Read;

/// Bytes that inflating takes beside the output: tables and a window of 32 KiB.
const STATE: usize = 64 << 10;
/// More than deflate can make of one byte.
const MAX_RATIO: usize = 1032;

/// Unpacks all members.
pub(super) fn unpack(body: &[u8], output: &mut Output<'_, '_>) -> Result<(), UnpackError> {
    if body.is_empty() {
        return Err(bad("it is empty"));
    }
    (output.room.grant)(STATE)?;
    let mut members = MultiGzDecoder::new(body);
    let most = body.len().saturating_mul(MAX_RATIO);
    loop {
        let mut place = output.another_step(body.len().saturating_mul(4).min(most))?;
        let mut written = 0;
        while !place.is_empty() {
            let read = members.read(place).map_err(bad)?;
            if read == 0 {
                output.fill(written);
                return output.end();
            }
            written += read;
            place = &mut place[read..];
        }
        output.fill(written);
    }
}

fn bad(why: impl std::fmt::Display) -> UnpackError {
    malformed(Packing::Gzip, why)
}
