//! Layout of the index file: header, sections, table of contents.
//!
//! ```text
//! ┌─────────────────────────────┬─────────────────────┐
//! │ magic 0xBAAAD700 <4>        │ version 1, 2, 3 <1> │
//! ├─────────────────────────────┴─────────────────────┤
//! │ symbols                 one section               │
//! ├───────────────────────────────────────────────────┤
//! │ series                  entries (see `entry`),    │
//! │                         aligned to 16 (not v1)    │
//! ├───────────────────────────────────────────────────┤
//! │ label indices           sections, old files only  │
//! ├───────────────────────────────────────────────────┤
//! │ postings                one section per list,     │
//! │                         aligned to 4              │
//! ├───────────────────────────────────────────────────┤
//! │ label index table       section, old files only   │
//! ├───────────────────────────────────────────────────┤
//! │ postings offset table   one section               │
//! ├───────────────────────────────────────────────────┤
//! │ table of contents: offsets of symbols, series,    │
//! │ label indices, label index table, postings,       │
//! │ postings offset table <8 each>, CRC32C <4>        │
//! └───────────────────────────────────────────────────┘
//! section:       length n <4>, n bytes, CRC32C of the n bytes <4>
//! symbols:       count <4>, then per symbol: length (uvarint), bytes; ascending
//! posting list:  count <4>, then references <4 each>, ascending
//! offset table:  count <4>, then per list: 2 (uvarint), name and value (length as uvarint, bytes),
//!                offset of the list's section (uvarint); ascending by name, then value (not v1)
//! ```
//!
//! The first list has an empty name and value and contains all series. Padding is zeros and
//! integers of fixed size are big-endian.
//!
//! # References
//! An entry names a symbol by its number in the table, from 0; in version 1 by its offset in the
//! file. A posting list names a series by the offset of its entry divided by 16; in version 1 by
//! the offset.
//!
//! # Compatibility
//! Versions 2 and 3 are read in the same way, as in Prometheus 3.14. Files written before 2021 have
//! label indices, which nothing reads; newer files store the offsets of the following parts
//! instead. Source: `tsdb/docs/format/index.md` and `tsdb/index/index.go` of Prometheus.

use super::error::{FormatErrorAt, IndexFormatError};
use crate::tsdb::encoding::byte_reader::{ByteReader, put_be_u64};
use crate::tsdb::encoding::checksum::crc32c;

/// Magic number at the start of the file.
pub(super) const MAGIC: u32 = 0xBAAA_D700;
/// Length of magic number and version, bytes.
pub(super) const HEADER_LEN: usize = 5;
/// Version of new files.
pub(super) const WRITTEN_VERSION: u8 = 2;
/// Alignment of series entries, bytes.
pub(super) const SERIES_ALIGN: u64 = 16;
/// Alignment of posting lists, bytes.
pub(super) const POSTINGS_ALIGN: u64 = 4;
/// Largest offset that a series reference can express.
pub(super) const MAX_FILE_LEN: u64 = SERIES_ALIGN * u32::MAX as u64;
/// Length of the table of contents with its checksum, bytes.
pub(super) const TOC_LEN: usize = 6 * 8 + CHECKSUM_LEN;
/// Length of a checksum, bytes.
pub(super) const CHECKSUM_LEN: usize = 4;

/// Format version, which defines the meaning of references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexVersion {
    /// References are file offsets. There is no alignment, and the postings offset table is
    /// unordered.
    V1,
    /// Versions 2 and 3: references count alignment units and symbols.
    V2,
}

impl IndexVersion {
    /// Reads the version from the start of a file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, FormatErrorAt> {
        let mut reader = ByteReader::new(bytes);
        let magic = reader.be_u32().map_err(|error| FormatErrorAt::new(0, error))?;
        if magic != MAGIC {
            return Err(FormatErrorAt::new(0, IndexFormatError::Magic(magic)));
        }
        match reader.u8().map_err(|error| FormatErrorAt::new(4, error))? {
            1 => Ok(Self::V1),
            2 | 3 => Ok(Self::V2),
            other => Err(FormatErrorAt::new(4, IndexFormatError::Version(other))),
        }
    }

    /// Returns the unit of series references, bytes.
    pub(super) fn series_align(self) -> u64 {
        match self {
            Self::V1 => 1,
            Self::V2 => SERIES_ALIGN,
        }
    }
}

/// Table of contents: offsets of the parts of the file, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Toc {
    pub(super) symbols: u64,
    pub(super) series: u64,
    pub(super) label_indices: u64,
    pub(super) label_indices_table: u64,
    pub(super) postings: u64,
    pub(super) postings_table: u64,
}

impl Toc {
    /// Reads the table of contents from the end of the file `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, FormatErrorAt> {
        let Some(start) = bytes.len().checked_sub(TOC_LEN).filter(|start| *start >= HEADER_LEN)
        else {
            let needed = (HEADER_LEN + TOC_LEN) as u64;
            return Err(FormatErrorAt::new(
                0,
                IndexFormatError::UnexpectedEnd { needed, left: bytes.len() as u64 },
            ));
        };
        let at = |error| FormatErrorAt::new(start, error);
        let (body, checksum) = bytes[start..].split_at(TOC_LEN - CHECKSUM_LEN);
        verify_checksum(body, ByteReader::new(checksum).be_u32().map_err(at)?)
            .map_err(|fault| FormatErrorAt::new(start, fault))?;
        let mut reader = ByteReader::new(body);
        let mut next = || reader.be_u64().map_err(at);
        Ok(Self {
            symbols: next()?,
            series: next()?,
            label_indices: next()?,
            label_indices_table: next()?,
            postings: next()?,
            postings_table: next()?,
        })
    }

    /// Appends the table without its checksum.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        for offset in self.offsets() {
            put_be_u64(out, offset);
        }
    }

    /// Returns the end of the series in a file of `file_len` bytes, which is the start of the next
    /// part.
    pub(super) fn series_end(&self, file_len: usize) -> u64 {
        let toc = file_len.saturating_sub(TOC_LEN) as u64;
        let others =
            [self.label_indices, self.label_indices_table, self.postings, self.postings_table];
        others.into_iter().filter(|offset| *offset >= self.series).fold(toc, u64::min)
    }

    fn offsets(&self) -> [u64; 6] {
        [
            self.symbols,
            self.series,
            self.label_indices,
            self.label_indices_table,
            self.postings,
            self.postings_table,
        ]
    }
}

/// Content of a section and its offset in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    pub(super) start: usize,
    pub(super) bytes: &'a [u8],
    checksum: u32,
}

impl<'a> Section<'a> {
    /// Returns the section at `offset` without verifying its checksum.
    pub(super) fn unchecked(file: &'a [u8], offset: u64) -> Result<Self, FormatErrorAt> {
        let unexpected_end = |needed| FormatErrorAt {
            offset,
            fault: IndexFormatError::UnexpectedEnd { needed, left: file.len() as u64 },
        };
        let located =
            usize::try_from(offset).ok().and_then(|start| Some((start, file.get(start..)?)));
        let (start, rest) = located.ok_or_else(|| unexpected_end(offset))?;
        let at = |error| FormatErrorAt { offset, fault: IndexFormatError::Value(error) };
        let mut reader = ByteReader::new(rest);
        let len = reader.be_u32().map_err(at)?;
        let bytes = reader.bytes(len as usize).map_err(at)?;
        Ok(Self { start: start + 4, bytes, checksum: reader.be_u32().map_err(at)? })
    }

    /// Returns the section at `offset` after verifying its checksum.
    pub(super) fn checked(file: &'a [u8], offset: u64) -> Result<Self, FormatErrorAt> {
        let section = Self::unchecked(file, offset)?;
        verify_checksum(section.bytes, section.checksum)
            .map_err(|fault| FormatErrorAt { offset, fault })?;
        Ok(section)
    }

    /// Returns the offset of the first byte after the section.
    pub(super) fn end(&self) -> usize {
        self.start + self.bytes.len() + CHECKSUM_LEN
    }
}

/// Returns an error unless `stored` is the checksum of `bytes`.
pub(super) fn verify_checksum(bytes: &[u8], stored: u32) -> Result<(), IndexFormatError> {
    let computed = crc32c(bytes);
    if computed == stored { Ok(()) } else { Err(IndexFormatError::Checksum { stored, computed }) }
}
