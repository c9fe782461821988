//! The index file as a whole: header, sections, table of contents.
//!
//! ```text
//! ┌────────────────────────────┬─────────────────────┐
//! │ magic 0xBAAAD700 <4>       │ version 1, 2, 3 <1> │
//! ├────────────────────────────┴─────────────────────┤   section: ┌───────┬───────┬────────────┐
//! │ symbols                          one section     │            │ n <4> │ n by. │ CRC32C <4> │
//! ├──────────────────────────────────────────────────┤            └───────┴───────┴────────────┘
//! │ series           entries, each on a multiple of  │   the checksum is that of the n bytes
//! │                  16 with zeros before it (not v1)│
//! ├──────────────────────────────────────────────────┤   symbols: count <4>, then each as length (uvarint) and bytes,
//! │ label indices    sections; only of old files     │            rising
//! ├──────────────────────────────────────────────────┤   list:    count <4>, then as many references <4>, rising
//! │ postings         a section for each list, on a   │
//! │                  multiple of 4, zeros before it  │   offsets: count <4>, then for each list 2 (uvarint), name and value
//! ├──────────────────────────────────────────────────┤            of its label (length as uvarint, bytes) and the offset
//! │ label index table   one section; only of old ones│            of its section (uvarint). Rising by name, then value
//! ├──────────────────────────────────────────────────┤            (not v1). The first is that of the empty name and value:
//! │ postings offset table            one section     │            every series.
//! ├──────────────────────────────────────────────────┤
//! │ table of contents: offsets of symbols, series,   │   A label is named by its symbols' places in the table, counted
//! │ label indices, label index table, postings,      │   from 0; in version 1 by their offsets in the file. A list names
//! │ postings offset table <8 each>, CRC32C <4>       │   a series by the offset of its entry / 16; in version 1 by the offset.
//! └──────────────────────────────────────────────────┘
//! ```
//!
//! Integers of fixed size are big-endian. What Prometheus 3.14 reads as version 3 it reads as version 2. Files of before 2021 have label
//! indices, which nothing reads; since then their two offsets are those of the parts that follow. The entry of a series is drawn
//! in `entry`. Source: `tsdb/docs/format/index.md` and `tsdb/index/index.go` of Prometheus.

use super::error::{FormatErrorAt, IndexFormatError};
use crate::tsdb::encoding::byte_reader::{ByteReader, put_be_u64};
use crate::tsdb::encoding::checksum::crc32c;

/// The first four bytes.
pub(super) const MAGIC: u32 = 0xBAAA_D700;
/// Magic and version.
pub(super) const HEADER_LEN: usize = 5;
/// What is written.
pub(super) const WRITTEN_VERSION: u8 = 2;
/// On a multiple of this begins the entry of a series.
pub(super) const SERIES_ALIGN: u64 = 16;
/// On a multiple of this begins a posting list.
pub(super) const POSTINGS_ALIGN: u64 = 4;
/// The largest offset that a reference can name.
pub(super) const MAX_FILE_LEN: u64 = SERIES_ALIGN * u32::MAX as u64;
/// The table of contents with its checksum.
pub(super) const TOC_LEN: usize = 6 * 8 + CHECKSUM_LEN;
/// A checksum.
pub(super) const CHECKSUM_LEN: usize = 4;

/// How references are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexVersion {
    /// References are offsets in the file; nothing is aligned, the postings offset table is in no order.
    V1,
    /// Versions 2 and 3.
    V2,
}

impl IndexVersion {
    /// Of the file that begins with `bytes`.
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

    /// In what units series are referred to, bytes.
    pub(super) fn series_align(self) -> u64 {
        match self {
            Self::V1 => 1,
            Self::V2 => SERIES_ALIGN,
        }
    }
}

/// The table of contents: where the parts of the file begin, bytes.
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
    /// At the end of the file `bytes`.
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
        let (body, sum) = bytes[start..].split_at(TOC_LEN - CHECKSUM_LEN);
        verify_checksum(body, ByteReader::new(sum).be_u32().map_err(at)?)
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

    /// Appends it without its checksum.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        for offset in self.offsets() {
            put_be_u64(out, offset);
        }
    }

    /// Where the series end in a file of `file_len` bytes: where the next part begins.
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

/// The bytes of a section, and where they begin in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    pub(super) start: usize,
    pub(super) bytes: &'a [u8],
    checksum: u32,
}

impl<'a> Section<'a> {
    /// The section at `offset`; its checksum is not looked at.
    pub(super) fn unchecked(file: &'a [u8], offset: u64) -> Result<Self, FormatErrorAt> {
        let short = |needed| FormatErrorAt {
            offset,
            fault: IndexFormatError::UnexpectedEnd { needed, left: file.len() as u64 },
        };
        let found =
            usize::try_from(offset).ok().and_then(|start| Some((start, file.get(start..)?)));
        let (start, rest) = found.ok_or_else(|| short(offset))?;
        let at = |error| FormatErrorAt { offset, fault: IndexFormatError::Value(error) };
        let mut reader = ByteReader::new(rest);
        let len = reader.be_u32().map_err(at)?;
        let bytes = reader.bytes(len as usize).map_err(at)?;
        Ok(Self { start: start + 4, bytes, checksum: reader.be_u32().map_err(at)? })
    }

    /// The section at `offset`, its bytes being those that the checksum is of.
    pub(super) fn checked(file: &'a [u8], offset: u64) -> Result<Self, FormatErrorAt> {
        let section = Self::unchecked(file, offset)?;
        verify_checksum(section.bytes, section.checksum)
            .map_err(|fault| FormatErrorAt { offset, fault })?;
        Ok(section)
    }

    /// The offset of what follows the section.
    pub(super) fn end(&self) -> usize {
        self.start + self.bytes.len() + CHECKSUM_LEN
    }
}

/// Whether `stored` is the checksum of `bytes`.
pub(super) fn verify_checksum(bytes: &[u8], stored: u32) -> Result<(), IndexFormatError> {
    let computed = crc32c(bytes);
    if computed == stored { Ok(()) } else { Err(IndexFormatError::Checksum { stored, computed }) }
}
