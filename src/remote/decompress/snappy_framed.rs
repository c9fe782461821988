//! Snappy framing format: a stream of chunks, most of them a snappy block of up to 64 KiB.
//!
//! ```text
//! chunk: type, 1 byte │ length of the data, 3 bytes, little endian │ data
//!
//! type      data
//! 00        masked CRC-32C of the content, 4 bytes LE │ a snappy block
//! 01        masked CRC-32C of the content, 4 bytes LE │ the content itself
//! 02 to 7f  reserved: an error
//! 80 to fe  skipped (fe: padding)
//! ff        "sNaPpY"; the first chunk, and wherever streams were joined
//! ```
//!
//! A stream without a chunk is empty: Go's writer produces no bytes for no input.
//!
//! Source: `framing_format.txt` of snappy.

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{
    DecompressBuffer, DecompressError, SNAPPY_MAX_RATIO, malformed,
};
use crate::tsdb::db::crc32c;

/// First chunk of every stream.
pub(super) const STREAM_IDENTIFIER: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// Maximum content of a chunk, bytes.
const MAX_CHUNK: usize = 64 << 10;
const CHUNK_HEADER: usize = 4;
const CHECKSUM: usize = 4;

/// Decompresses a complete stream.
pub(super) fn decompress(
    decoder: &mut snap::raw::Decoder,
    body: &[u8],
    output: &mut DecompressBuffer<'_, '_>,
) -> Result<(), DecompressError> {
    // The chunk headers declare all sizes, so memory is reserved once.
    let size = declared_size(body)?;
    output.spare_capacity(size)?;
    let mut rest = body;
    while let Some(chunk) = next(&mut rest)? {
        match chunk {
            FramedChunk::Compressed { checksum, block, size } => {
                let spare = output.spare_capacity(size)?;
                decoder.decompress(block, spare).map_err(malformed_frame)?;
                check(checksum, spare)?;
                output.advance(size);
            }
            FramedChunk::Plain { checksum, bytes } => {
                check(checksum, bytes)?;
                output.spare_capacity(bytes.len())?.copy_from_slice(bytes);
                output.advance(bytes.len());
            }
            FramedChunk::Skipped => {}
        }
    }
    Ok(())
}

/// Returns the sum of the declared sizes of all chunks, bytes.
fn declared_size(body: &[u8]) -> Result<usize, DecompressError> {
    if !body.is_empty() && !body.starts_with(STREAM_IDENTIFIER) {
        return Err(malformed_frame("truncated stream"));
    }
    let mut rest = body;
    let mut sum: usize = 0;
    while let Some(chunk) = next(&mut rest)? {
        sum = sum.saturating_add(match chunk {
            FramedChunk::Compressed { size, .. } => size,
            FramedChunk::Plain { bytes, .. } => bytes.len(),
            FramedChunk::Skipped => 0,
        });
    }
    Ok(sum)
}

enum FramedChunk<'a> {
    Compressed {
        checksum: u32,
        block: &'a [u8],
        size: usize,
    },
    Plain {
        checksum: u32,
        bytes: &'a [u8],
    },
    /// A chunk without output, which is skipped.
    Skipped,
}

/// Splits off the next chunk.
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
        0x02..=0x7f => Err(malformed_frame(format_args!("unknown chunk type {kind}"))),
        0x80..=0xfe => Ok(Some(FramedChunk::Skipped)),
        0xff if data == &STREAM_IDENTIFIER[CHUNK_HEADER..] => Ok(Some(FramedChunk::Skipped)),
        0xff => Err(malformed_frame("invalid stream identifier")),
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
            return Err(malformed_frame("declared size is larger than the chunk can hold"));
        }
        (FramedChunk::Compressed { checksum, block: content, size }, size)
    };
    if size > MAX_CHUNK { Err(malformed_frame("chunk exceeds 64 KiB")) } else { Ok(chunk) }
}

/// Returns the masked checksum as it is stored in a chunk.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn check(expected: u32, bytes: &[u8]) -> Result<(), DecompressError> {
    if masked_crc(bytes) == expected { Ok(()) } else { Err(malformed_frame("checksum mismatch")) }
}

fn truncated() -> DecompressError {
    malformed_frame("truncated stream")
}

fn malformed_frame(why: impl std::fmt::Display) -> DecompressError {
    malformed(BodyCompression::SnappyFramed, why)
}
