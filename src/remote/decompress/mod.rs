//! Unpacking: the bytes of a body or message, inflated within bounds.
//!
//! ```text
//! packing       begins with                  says its size            output never larger than
//! snappy block  the size, a varint           yes                      22 times its bytes
//! snappy framed ff 06 00 00 "sNaPpY"         each piece of 64 KiB     22 times its bytes
//! zstd          28 b5 2f fd, or a frame      each frame, if it likes  32768 times its bytes
//!               to be skipped: 5? 2a 4d 18
//! gzip          1f 8b                        modulo 2^32, at the end  1032 times its bytes
//! ```
//!
//! Invariant: nothing is allocated on the word of a length alone. A size that is declared is held against the limit and against what
//! the bytes can hold at all; where none is declared the output grows in steps, each of them asked for before it is taken. No packing is
//! guessed: bytes that can be seen not to begin as the named packing does are told apart from damaged ones.

mod gzip;
pub mod output;
mod snappy_framed;
mod zstd;

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{
    DecompressBudget, DecompressBuffer, DecompressError, SNAPPY_MAX_RATIO, malformed,
};
use crate::remote::decompress::zstd::ZstdDecoder;

/// Unpacks; its buffers are reused from one body to the next.
#[derive(Default)]
pub struct BodyDecompressor {
    snappy: snap::raw::Decoder,
    zstd: ZstdDecoder,
    buffer: Vec<u8>,
}

impl BodyDecompressor {
    /// The bytes that `body` holds; those of a plain body are its own.
    ///
    /// # Errors
    /// [`DecompressError`].
    pub fn decompress<'a>(
        &'a mut self,
        packing: BodyCompression,
        body: &'a [u8],
        room: DecompressBudget<'_>,
    ) -> Result<&'a [u8], DecompressError> {
        precheck(packing, body, room.limit)?;
        let mut output = DecompressBuffer { buffer: &mut self.buffer, len: 0, granted: 0, room };
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

    /// The `len` bytes that the last call of [`BodyDecompressor::decompress`] gave for a body that was not plain.
    #[must_use]
    pub fn output(&self, len: usize) -> &[u8] {
        self.buffer.get(..len).unwrap_or_default()
    }

    /// Bytes that it holds between two bodies.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.buffer.capacity() + self.zstd.retained_bytes()
    }
}

impl std::fmt::Debug for BodyDecompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker")
            .field("kept_bytes", &self.retained_bytes())
            .finish_non_exhaustive()
    }
}

/// What can be said of a body without unpacking it: that it begins as its packing does, and that it does not declare more than
/// `limit` bytes.
///
/// # Errors
/// [`DecompressError`].
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

/// The packings by what they begin with, and what they are called where another was expected. None of these can begin a snappy
/// block: the first element would copy from before the start.
const MAGIC_PREFIXES: [(&[u8], BodyCompression); 3] = [
    (b"\x1f\x8b", BodyCompression::Gzip),
    (b"\x28\xb5\x2f\xfd", BodyCompression::Zstd),
    (snappy_framed::STREAM_IDENTIFIER, BodyCompression::SnappyFramed),
];

fn check_magic(named: BodyCompression, body: &[u8]) -> Result<(), DecompressError> {
    let known = MAGIC_PREFIXES
        .iter()
        .find(|(beginning, _)| body.starts_with(beginning))
        .map(|(_, packing)| *packing);
    let own = MAGIC_PREFIXES
        .iter()
        .find(|(_, packing)| *packing == named)
        .map(|(beginning, _)| *beginning);
    let begins_well = match own {
        // Of what is cut off so early nothing can be seen.
        Some(own) => {
            body.starts_with(own) || own.starts_with(body) || zstd::may_be_skipped(named, body)
        }
        None => named == BodyCompression::Plain || known.is_none(),
    };
    if begins_well {
        return Ok(());
    }
    Err(DecompressError::WrongCompression {
        found: known.map_or("something else", BodyCompression::name),
        named,
    })
}

/// One block as the output.
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
    // Before memory is taken for it.
    if size > block.len().saturating_mul(SNAPPY_MAX_RATIO) && size <= output.room.limit {
        return Err(bad(&"it declares more than it can hold"));
    }
    let place = output.spare_capacity(size)?;
    decoder.decompress(block, place).map_err(|error| bad(&error))?;
    output.advance(size);
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
