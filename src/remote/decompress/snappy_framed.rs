//! Snappy's framing format: a stream of chunks, most of them a snappy block of up to 64 KiB.
//!
//! ```text
//! chunk: type, 1 byte │ length of the data, 3 bytes, little endian │ data
//!
//! type      data
//! 00        masked CRC-32C of what it holds, 4 bytes LE │ a snappy block
//! 01        masked CRC-32C of what it holds, 4 bytes LE │ the bytes themselves
//! 02 to 7f  reserved: an error
//! 80 to fe  to be skipped (fe: padding)
//! ff        "sNaPpY"; the first chunk, and wherever streams were joined
//! ```
//!
//! Source: `framing_format.txt` of snappy. A stream without a chunk is empty: Go's writer writes none where nothing was written to it.

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{
    DecompressBuffer, DecompressError, SNAPPY_MAX_RATIO, malformed,
};
use crate::tsdb::encoding::checksum;

/// How every stream begins.
pub(super) const STREAM_IDENTIFIER: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// What a chunk holds at most, bytes.
const MAX_CHUNK: usize = 64 << 10;
const CHUNK_HEADER: usize = 4;
const CHECKSUM: usize = 4;

/// Unpacks a whole stream.
pub(super) fn decompress(
    decoder: &mut snap::raw::Decoder,
    body: &[u8],
    output: &mut DecompressBuffer<'_, '_>,
) -> Result<(), DecompressError> {
    // All sizes are known from the chunks' beginnings, so that memory is taken once.
    let size = declared_size(body)?;
    output.spare_capacity(size)?;
    let mut rest = body;
    while let Some(chunk) = next(&mut rest)? {
        match chunk {
            FramedChunk::Packed { checksum, block, size } => {
                let place = output.spare_capacity(size)?;
                decoder.decompress(block, place).map_err(malformed_frame)?;
                check(checksum, place)?;
                output.advance(size);
            }
            FramedChunk::Plain { checksum, bytes } => {
                check(checksum, bytes)?;
                output.spare_capacity(bytes.len())?.copy_from_slice(bytes);
                output.advance(bytes.len());
            }
            FramedChunk::Nothing => {}
        }
    }
    Ok(())
}

/// The sum of what the chunks say that they hold.
fn declared_size(body: &[u8]) -> Result<usize, DecompressError> {
    if !body.is_empty() && !body.starts_with(STREAM_IDENTIFIER) {
        return Err(malformed_frame("it is cut off"));
    }
    let mut rest = body;
    let mut sum: usize = 0;
    while let Some(chunk) = next(&mut rest)? {
        sum = sum.saturating_add(match chunk {
            FramedChunk::Packed { size, .. } => size,
            FramedChunk::Plain { bytes, .. } => bytes.len(),
            FramedChunk::Nothing => 0,
        });
    }
    Ok(sum)
}

/// One chunk in place.
enum FramedChunk<'a> {
    Packed {
        checksum: u32,
        block: &'a [u8],
        size: usize,
    },
    Plain {
        checksum: u32,
        bytes: &'a [u8],
    },
    /// Nothing of the output.
    Nothing,
}

/// Takes the next chunk off.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<FramedChunk<'a>>, DecompressError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (header, behind) = rest.split_first_chunk::<CHUNK_HEADER>().ok_or_else(truncated)?;
    let [kind, len @ ..] = *header;
    let len = usize::from(len[0]) | usize::from(len[1]) << 8 | usize::from(len[2]) << 16;
    let (data, behind) = behind.split_at_checked(len).ok_or_else(truncated)?;
    *rest = behind;
    match kind {
        0x00 | 0x01 => data_chunk(kind, data).map(Some),
        0x02..=0x7f => {
            Err(malformed_frame(format_args!("it has a chunk of the unknown type {kind}")))
        }
        0x80..=0xfe => Ok(Some(FramedChunk::Nothing)),
        0xff if data == &STREAM_IDENTIFIER[CHUNK_HEADER..] => Ok(Some(FramedChunk::Nothing)),
        0xff => Err(malformed_frame("it has a bad stream identifier")),
    }
}

fn data_chunk(kind: u8, data: &[u8]) -> Result<FramedChunk<'_>, DecompressError> {
    let (checksum, content) = data.split_first_chunk::<CHECKSUM>().ok_or_else(truncated)?;
    let checksum = u32::from_le_bytes(*checksum);
    let (chunk, size) = if kind == 0x01 {
        (FramedChunk::Plain { checksum, bytes: content }, content.len())
    } else {
        if content.is_empty() {
            return Err(truncated());
        }
        let size = snap::raw::decompress_len(content).map_err(malformed_frame)?;
        if size > content.len() * SNAPPY_MAX_RATIO {
            return Err(malformed_frame("a chunk declares more than it can hold"));
        }
        (FramedChunk::Packed { checksum, block: content, size }, size)
    };
    if size > MAX_CHUNK {
        Err(malformed_frame("it has a chunk of more than 64 KiB"))
    } else {
        Ok(chunk)
    }
}

/// The checksum as it stands in a chunk.
fn masked_crc(bytes: &[u8]) -> u32 {
    checksum::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn check(expected: u32, bytes: &[u8]) -> Result<(), DecompressError> {
    if masked_crc(bytes) == expected {
        Ok(())
    } else {
        Err(malformed_frame("a checksum does not match"))
    }
}

fn truncated() -> DecompressError {
    malformed_frame("it is cut off")
}

fn malformed_frame(why: impl std::fmt::Display) -> DecompressError {
    malformed(BodyCompression::SnappyFramed, why)
}
