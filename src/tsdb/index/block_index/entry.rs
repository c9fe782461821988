//! The entry of a series in an index.
//!
//! ```text
//! ┌────────────────┬──────────────────────────────────────────────────────────────────────────┬────────────┐
//! │ n (uvarint)    │ n bytes                                                                  │ CRC32C <4> │
//! └────────────────┴──────────────────────────────────────────────────────────────────────────┴────────────┘
//! n bytes:  labels (uvarint), for each: symbol of its name (uvarint), symbol of its value (uvarint)
//!           chunks (uvarint), then
//!             the first:  mint (varint),                       maxt - mint (uvarint), place (uvarint)
//!             the others: mint - maxt of the last (uvarint),   maxt - mint (uvarint), place - place of the last (varint)
//! ```
//!
//! Times are ms. Differences wrap around at 64 bits, as Go computes them, so every time can be written, and chunks out of order in an
//! old file are read as they are.

use super::error::{FormatErrorAt, IndexFormatError};
use super::format::{CHECKSUM_LEN, verify_checksum};
use crate::model::labels::Labels;
use crate::model::refs::BlockChunkRef;
use crate::tsdb::encoding::byte_reader::{ByteError, ByteReader, put_uvarint, put_varint};

/// A chunk of a series: where it lies and which times its samples have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Where it lies.
    pub chunk_ref: BlockChunkRef,
    /// The time of its first sample, ms.
    pub mint: i64,
    /// The time of its last sample, ms.
    pub maxt: i64,
}

/// A series of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesEntry {
    /// Its labels.
    pub labels: Labels,
    /// Its chunks, by time.
    pub chunks: Vec<ChunkMeta>,
}

/// The symbols of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LabelSymbols {
    pub(super) name: u32,
    pub(super) value: u32,
}

/// The bytes of an entry between its length and its checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawSeriesEntry<'a> {
    /// Where they begin in the file.
    start: usize,
    bytes: &'a [u8],
    checksum: u32,
}

impl<'a> RawSeriesEntry<'a> {
    /// The entry at `offset` of `file`, which may be cut where the series end. Its checksum is not looked at.
    pub(super) fn unchecked(file: &'a [u8], offset: usize) -> Result<Self, FormatErrorAt> {
        let at = |error: ByteError| FormatErrorAt::new(offset, error);
        let mut reader = ByteReader::new(file.get(offset..).unwrap_or_default());
        let len = reader.bounded_count(1).map_err(at)?;
        let start = offset + reader.offset();
        let bytes = reader.bytes(len).map_err(at)?;
        Ok(Self { start, bytes, checksum: reader.be_u32().map_err(at)? })
    }

    /// The same, its bytes being those that the checksum is of.
    pub(super) fn checked(file: &'a [u8], offset: usize) -> Result<Self, FormatErrorAt> {
        let entry = Self::unchecked(file, offset)?;
        verify_checksum(entry.bytes, entry.checksum)
            .map_err(|fault| FormatErrorAt::new(offset, fault))?;
        Ok(entry)
    }

    /// The offset of what follows the entry.
    pub(super) fn end(&self) -> usize {
        self.start + self.bytes.len() + CHECKSUM_LEN
    }

    /// Shows the labels' symbols; the reader that is returned stands before the chunks.
    pub(super) fn labels<E: From<FormatErrorAt>>(
        &self,
        mut visit: impl FnMut(LabelSymbols) -> Result<(), E>,
    ) -> Result<ByteReader<'a>, E> {
        let at = |error| FormatErrorAt::new(self.start, error);
        let mut reader = ByteReader::new(self.bytes);
        for _ in 0..reader.bounded_count(2).map_err(at)? {
            let name =
                symbol(&mut reader).map_err(|fault| FormatErrorAt::new(self.start, fault))?;
            let value =
                symbol(&mut reader).map_err(|fault| FormatErrorAt::new(self.start, fault))?;
            visit(LabelSymbols { name, value })?;
        }
        Ok(reader)
    }

    /// Appends the chunks, which `reader` (see [`RawSeriesEntry::labels`]) stands before.
    pub(super) fn chunks(
        &self,
        mut reader: ByteReader<'_>,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<(), FormatErrorAt> {
        let at = |error| FormatErrorAt::new(self.start, error);
        let count = reader.bounded_count(3).map_err(at)?;
        chunks.reserve(count);
        let (mut time, mut place) = (0i64, 0u64);
        for nth in 0..count {
            let from =
                if nth == 0 { reader.varint() } else { reader.uvarint().map(|delta| delta as i64) };
            let mint = time.wrapping_add(from.map_err(at)?);
            let maxt = mint.wrapping_add(reader.uvarint().map_err(at)? as i64);
            let step =
                if nth == 0 { reader.uvarint() } else { reader.varint().map(|delta| delta as u64) };
            place = place.wrapping_add(step.map_err(at)?);
            time = maxt;
            chunks.push(ChunkMeta { chunk_ref: BlockChunkRef(place), mint, maxt });
        }
        match reader.remaining() {
            0 => Ok(()),
            left => {
                Err(FormatErrorAt::new(self.start, IndexFormatError::TrailingBytes(left as u64)))
            }
        }
    }
}

/// Appends the chunks of an entry.
pub(super) fn put_chunks(out: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_uvarint(out, chunks.len() as u64);
    let mut last: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match last {
            None => put_varint(out, chunk.mint),
            Some(last) => put_uvarint(out, chunk.mint.wrapping_sub(last.maxt) as u64),
        }
        put_uvarint(out, chunk.maxt.wrapping_sub(chunk.mint) as u64);
        match last {
            None => put_uvarint(out, chunk.chunk_ref.0),
            Some(last) => put_varint(out, chunk.chunk_ref.0.wrapping_sub(last.chunk_ref.0) as i64),
        }
        last = Some(chunk);
    }
}

fn symbol(reader: &mut ByteReader<'_>) -> Result<u32, IndexFormatError> {
    let symbol = reader.uvarint()?;
    u32::try_from(symbol).map_err(|_| IndexFormatError::NoSymbol(symbol))
}
