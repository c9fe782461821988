//! Decompression of bodies and messages within limits.
//!
//! ```text
//! format        magic                        declares its size        maximum ratio
//! snappy block  none (size, a varint)        yes                      22
//! snappy framed ff 06 00 00 "sNaPpY"         each chunk of 64 KiB     22
//! zstd          28 b5 2f fd, or a skippable  each frame, optionally   32768
//!               frame: 5? 2a 4d 18
//! gzip          1f 8b                        modulo 2^32, at the end  1032
//! ```
//!
//! Invariant: a declared size alone allocates nothing. It is checked against the limit and the
//! maximum ratio. Without a declared size the output grows in steps, each granted before it is
//! allocated.
//!
//! The format is never guessed. A wrong magic number is reported separately from corrupted data.
//!
//! | module          | contents |
//! |-----------------|----------|
//! | `gzip`          | gzip: members in a row, each with its checksum |
//! | [`mod@output`]  | decompression buffer: limit, growth and errors |
//! | `snappy_framed` | snappy framing format |
//! | `zstd`          | zstandard: data frames and skippable frames in a row |

mod gzip;
pub mod output;
mod snappy_framed;
mod zstd;

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{
    DecompressBudget, DecompressBuffer, DecompressError, SNAPPY_MAX_RATIO, malformed,
};
use crate::remote::decompress::zstd::ZstdDecoder;

/// Decompressor whose buffers are reused for the next body.
#[derive(Default)]
pub struct BodyDecompressor {
    snappy: snap::raw::Decoder,
    zstd: ZstdDecoder,
    buffer: Vec<u8>,
}

impl BodyDecompressor {
    /// Decompresses `body`; a plain body is returned as it is.
    ///
    /// # Errors
    /// [`DecompressError`] if the body is not in the named format or exceeds a limit.
    pub fn decompress<'a>(
        &'a mut self,
        packing: BodyCompression,
        body: &'a [u8],
        budget: DecompressBudget<'_>,
    ) -> Result<&'a [u8], DecompressError> {
        precheck(packing, body, budget.limit)?;
        let mut output = DecompressBuffer { buffer: &mut self.buffer, len: 0, granted: 0, budget };
        match packing {
            BodyCompression::Plain => return Ok(body),
            BodyCompression::SnappyBlock => snappy_block(&mut self.snappy, body, &mut output)?,
            BodyCompression::SnappyFramed => {
                snappy_framed::decompress(&mut self.snappy, body, &mut output)?
            }
            BodyCompression::Zstd => self.zstd.decompress(body, &mut output)?,
            BodyCompression::Gzip => gzip::decompress(body, &mut output)?,
        }
        let len = output.len;
        Ok(&self.buffer[..len])
    }

    /// Returns the first `len` bytes of the last output of [`BodyDecompressor::decompress`], unless
    /// that body was plain.
    #[must_use]
    pub fn output(&self, len: usize) -> &[u8] {
        self.buffer.get(..len).unwrap_or_default()
    }

    /// Returns the memory kept for the next body, bytes.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.buffer.capacity() + self.zstd.retained_bytes()
    }
}

impl std::fmt::Debug for BodyDecompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyDecompressor")
            .field("retained_bytes", &self.retained_bytes())
            .finish_non_exhaustive()
    }
}

/// Checks the magic number, and the declared size against `limit`, without decompression.
///
/// # Errors
/// [`DecompressError`] if one of them is wrong.
pub fn precheck(
    packing: BodyCompression,
    body: &[u8],
    limit: usize,
) -> Result<(), DecompressError> {
    check_magic(packing, body)?;
    let declared = match packing {
        BodyCompression::Plain => body.len(),
        BodyCompression::SnappyBlock => {
            snap::raw::decompress_len(body).map_err(|error| malformed(packing, error))?
        }
        BodyCompression::SnappyFramed | BodyCompression::Gzip => return Ok(()),
        BodyCompression::Zstd => zstd::declared_size(body).unwrap_or(0),
    };
    if declared > limit { Err(DecompressError::TooLarge { limit }) } else { Ok(()) }
}

/// Magic numbers of the formats.
///
/// A snappy block begins with none of them: its first element would copy from before the start.
const MAGIC_PREFIXES: [(&[u8], BodyCompression); 3] = [
    (b"\x1f\x8b", BodyCompression::Gzip),
    (b"\x28\xb5\x2f\xfd", BodyCompression::Zstd),
    (snappy_framed::STREAM_IDENTIFIER, BodyCompression::SnappyFramed),
];

fn check_magic(named: BodyCompression, body: &[u8]) -> Result<(), DecompressError> {
    let known = MAGIC_PREFIXES
        .iter()
        .find(|(magic, _)| body.starts_with(magic))
        .map(|(_, packing)| *packing);
    let own = MAGIC_PREFIXES.iter().find(|(_, packing)| *packing == named).map(|(magic, _)| *magic);
    let has_valid_magic = match own {
        // A truncated magic number tells nothing; decompression reports it.
        Some(own) => {
            body.starts_with(own) || own.starts_with(body) || zstd::may_be_skippable(named, body)
        }
        None => named == BodyCompression::Plain || known.is_none(),
    };
    if has_valid_magic {
        return Ok(());
    }
    Err(DecompressError::WrongCompression {
        found: known.map_or("in an unknown format", BodyCompression::name),
        named,
    })
}

/// Decompresses one block into the output.
fn snappy_block(
    decoder: &mut snap::raw::Decoder,
    block: &[u8],
    output: &mut DecompressBuffer<'_, '_>,
) -> Result<(), DecompressError> {
    let bad = |why: &dyn std::fmt::Display| malformed(BodyCompression::SnappyBlock, why);
    if block.is_empty() {
        return Err(bad(&snap::Error::Empty));
    }
    let size = snap::raw::decompress_len(block).map_err(|error| bad(&error))?;
    // Checked before memory is allocated.
    if size > block.len().saturating_mul(SNAPPY_MAX_RATIO) && size <= output.budget.limit {
        return Err(bad(&"declared size is larger than the block can hold"));
    }
    let spare = output.spare_capacity(size)?;
    decoder.decompress(block, spare).map_err(|error| bad(&error))?;
    output.advance(size);
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
