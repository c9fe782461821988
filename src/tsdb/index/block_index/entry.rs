//! Entry of a series in an index.
//!
//! ```text
//! ┌─────────────┬─────────┬────────────┐
//! │ n (uvarint) │ n bytes │ CRC32C <4> │
//! └─────────────┴─────────┴────────────┘
//! n bytes:
//!   number of labels (uvarint), then per label: symbols of name and value (uvarint each)
//!   number of chunks (uvarint), then
//!     first chunk:  mint (varint), maxt - mint (uvarint), chunk reference (uvarint)
//!     next chunks:  mint - previous maxt (uvarint), maxt - mint (uvarint),
//!                   chunk reference - previous reference (varint)
//! ```
//!
//! Timestamps are in ms. Differences wrap around at 64 bits, as in Go. So every timestamp can be
//! encoded, and unordered chunks of an old file are read unchanged.

use super::error::{FormatErrorAt, IndexFormatError};
use super::format::{CHECKSUM_LEN, verify_checksum};
use crate::model::labels::Labels;
use crate::model::refs::BlockChunkRef;
use crate::tsdb::encoding::byte_reader::{ByteError, ByteReader, put_uvarint, put_varint};

/// Location and time range of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Location in the block's chunk segments.
    pub chunk_ref: BlockChunkRef,
    /// Timestamp of the first sample, ms.
    pub mint: i64,
    /// Timestamp of the last sample, ms.
    pub maxt: i64,
}

/// Labels and chunks of a series in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesEntry {
    /// Label set, valid and not empty.
    pub labels: Labels,
    /// Chunks in ascending time order.
    pub chunks: Vec<ChunkMeta>,
}

/// Symbol references of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LabelSymbols {
    pub(super) name: u32,
    pub(super) value: u32,
}

/// Bytes of an entry between its length and its checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawSeriesEntry<'a> {
    /// Offset of the bytes in the file.
    start: usize,
    bytes: &'a [u8],
    checksum: u32,
}

impl<'a> RawSeriesEntry<'a> {
    /// Returns the entry at `offset` of `file`, which may end after the series. Does not verify the
    /// checksum.
    pub(super) fn unchecked(file: &'a [u8], offset: usize) -> Result<Self, FormatErrorAt> {
        let at = |error: ByteError| FormatErrorAt::new(offset, error);
        let mut reader = ByteReader::new(file.get(offset..).unwrap_or_default());
        let len = reader.bounded_count(1).map_err(at)?;
        let start = offset + reader.offset();
        let bytes = reader.bytes(len).map_err(at)?;
        Ok(Self { start, bytes, checksum: reader.be_u32().map_err(at)? })
    }

    /// Returns the entry at `offset` after verifying its checksum.
    pub(super) fn checked(file: &'a [u8], offset: usize) -> Result<Self, FormatErrorAt> {
        let entry = Self::unchecked(file, offset)?;
        verify_checksum(entry.bytes, entry.checksum)
            .map_err(|fault| FormatErrorAt::new(offset, fault))?;
        Ok(entry)
    }

    /// Returns the offset of the first byte after the entry.
    pub(super) fn end(&self) -> usize {
        self.start + self.bytes.len() + CHECKSUM_LEN
    }

    /// Calls `visit` for each label. Returns a reader positioned at the chunks.
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

    /// Decodes the chunks from `reader`, which [`RawSeriesEntry::labels`] returned.
    pub(super) fn chunks(
        &self,
        mut reader: ByteReader<'_>,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<(), FormatErrorAt> {
        let at = |error| FormatErrorAt::new(self.start, error);
        let count = reader.bounded_count(3).map_err(at)?;
        chunks.reserve(count);
        let (mut time, mut chunk_ref) = (0i64, 0u64);
        for nth in 0..count {
            let time_delta =
                if nth == 0 { reader.varint() } else { reader.uvarint().map(|delta| delta as i64) };
            let mint = time.wrapping_add(time_delta.map_err(at)?);
            let maxt = mint.wrapping_add(reader.uvarint().map_err(at)? as i64);
            let ref_delta =
                if nth == 0 { reader.uvarint() } else { reader.varint().map(|delta| delta as u64) };
            chunk_ref = chunk_ref.wrapping_add(ref_delta.map_err(at)?);
            time = maxt;
            chunks.push(ChunkMeta { chunk_ref: BlockChunkRef(chunk_ref), mint, maxt });
        }
        match reader.remaining() {
            0 => Ok(()),
            remaining => Err(FormatErrorAt::new(
                self.start,
                IndexFormatError::TrailingBytes(remaining as u64),
            )),
        }
    }
}

/// Encodes the chunks of an entry.
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
