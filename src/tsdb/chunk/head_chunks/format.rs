//! The bytes of a head-chunk file: how a chunk is written into one and read out of it. Pure; no file is touched here.
//!
//! All numbers are big-endian (`tsdb/docs/format/head_chunks.md` of Prometheus):
//!
//! ```text
//! file:   ┌──────────────────────┬─────────────┬─────────────┬────────┬─────┬────────┬────────────────────────────┐
//!         │ magic 0x0130BC91 (4) │ version 1(1)│ padding (3) │ record │ ... │ record │ zeros (to 131072) or end   │
//!         └──────────────────────┴─────────────┴─────────────┴────────┴─────┴────────┴────────────────────────────┘
//! record: ┌────────────────┬──────────┬──────────┬──────────────┬──────────────────┬───────────┬─────────────────────┐
//!         │ series ref (8) │ mint (8) │ maxt (8) │ encoding (1) │ length (uvarint) │ the chunk │ CRC-32C of all (4)  │
//!         └────────────────┴──────────┴──────────┴──────────────┴──────────────────┴───────────┴─────────────────────┘
//! ```
//!
//! The highest bit of the encoding is set for a chunk of late samples. A record whose series, mint and maxt are 0 is no
//! record: the file was preallocated with zeros, and there its content ends.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::mapped_chunk::MAX_SPAN_MS;
use crate::tsdb::encoding::checksum::crc32c;
use std::ops::Range;

/// Length of a file's header in bytes.
pub(super) const FILE_HEADER: usize = 8;

/// The header of every file.
pub(super) const FILE_HEADER_BYTES: [u8; FILE_HEADER] = [0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0];

/// No file grows beyond this (`MaxHeadChunkFileSize`).
pub(super) const MAX_FILE: usize = 128 << 20;

/// Length of a new file, all zeros after its header (`HeadChunkFilePreallocationSize`).
pub(super) const PREALLOCATED: usize = 128 << 10;

/// Series, mint, maxt.
const RECORD_START: usize = 24;
const CRC: usize = 4;
const OUT_OF_ORDER_BIT: u8 = 0x80;

/// A chunk to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewChunk<'a> {
    /// The series that it belongs to; not 0.
    pub series: SeriesRef,
    /// Time of its first sample, ms.
    pub mint: i64,
    /// Time of its last sample, ms.
    pub maxt: i64,
    /// How `bytes` are encoded.
    pub encoding: ChunkEncoding,
    /// Whether its samples came late.
    pub out_of_order: bool,
    /// The encoded samples.
    pub bytes: &'a [u8],
}

/// What is wrong with the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadChunkFormatError {
    /// Shorter than the header, or longer than a reference can address.
    #[error("file of {0} bytes")]
    FileLength(u64),
    /// Not a head-chunk file.
    #[error("magic number is {0:#010x}, not 0x0130bc91")]
    Magic(u32),
    /// A format that is not known.
    #[error("format version {0}")]
    Version(u8),
    /// Nothing but zeros where a record should be.
    #[error("no record")]
    NoRecord,
    /// The bytes end within a record.
    #[error("record is cut short")]
    Truncated,
    /// The record's length is no number.
    #[error("record has a malformed length")]
    InvalidLength,
    /// The bytes are not those that were written.
    #[error("checksum is {computed:#010x}, stored is {stored:#010x}")]
    Checksum {
        /// The sum that stands in the record.
        stored: u32,
        /// The sum of its bytes.
        computed: u32,
    },
    /// A record without series.
    #[error("record has series reference 0")]
    NoSeries,
    /// A chunk too short to count its samples.
    #[error("chunk of {0} bytes has no header")]
    ChunkTooShort(usize),
    /// A last sample before the first, or one more than 557 years after it.
    #[error("chunk lasts from {mint} to {maxt}")]
    InvalidTimeRange {
        /// Time of its first sample, ms.
        mint: i64,
        /// Time of its last sample, ms.
        maxt: i64,
    },
    /// An encoding that this version can't read.
    #[error("chunk has unknown encoding {0}")]
    Encoding(u8),
    /// The number of the file does not follow that of the file before it.
    #[error("file {missing:06} is missing before it")]
    Gap {
        /// First number that is missing.
        missing: u32,
    },
    /// The file has the same number as the file before it, written with other digits.
    #[error("the number exists twice")]
    Twice,
    /// The file cannot be mapped.
    #[error("cannot be mapped: {0}")]
    Unmappable(std::io::ErrorKind),
}

/// A record as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeadChunkRecord {
    pub(super) series: SeriesRef,
    pub(super) mint: i64,
    pub(super) maxt: i64,
    /// With the mark of late samples.
    encoding: u8,
    /// Where the chunk lies, counted from the record's first byte.
    pub(super) data: Range<usize>,
}

impl NewChunk<'_> {
    /// How many bytes its record takes.
    pub(super) fn record_len(&self) -> usize {
        let length = (usize::BITS - (self.bytes.len() | 1).leading_zeros()).div_ceil(7) as usize;
        RECORD_START + 1 + length + self.bytes.len() + CRC
    }

    /// Appends its record to `out`.
    pub(super) fn write_record(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.series.0.to_be_bytes());
        out.extend_from_slice(&self.mint.to_be_bytes());
        out.extend_from_slice(&self.maxt.to_be_bytes());
        out.push(self.encoding as u8 | if self.out_of_order { OUT_OF_ORDER_BIT } else { 0 });
        let mut length = self.bytes.len();
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(self.bytes);
        let sum = crc32c(&out[start..]);
        out.extend_from_slice(&sum.to_be_bytes());
    }
}

impl HeadChunkRecord {
    /// The record at the start of `bytes`, or `None` where the content of the file ends. The checksum is not looked at.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, HeadChunkFormatError> {
        let number = |at: usize| {
            let field = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
            field.map(|field| u64::from_be_bytes(*field)).ok_or(HeadChunkFormatError::Truncated)
        };
        if bytes.iter().take(RECORD_START).all(|&byte| byte == 0) {
            return Ok(None);
        }
        let (series, mint, maxt) = (number(0)?, number(8)? as i64, number(16)? as i64);
        let encoding = *bytes.get(RECORD_START).ok_or(HeadChunkFormatError::Truncated)?;
        let (length, start) = read_length(bytes, RECORD_START + 1)?;
        let end = start.checked_add(length).ok_or(HeadChunkFormatError::Truncated)?;
        if end.checked_add(CRC).is_none_or(|end| end > bytes.len()) {
            return Err(HeadChunkFormatError::Truncated);
        }
        Ok(Some(Self { series: SeriesRef(series), mint, maxt, encoding, data: start..end }))
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.data.end + CRC
    }

    /// Compares the checksum, and then that the fields make sense. `bytes` is what was parsed.
    pub(super) fn verify(&self, bytes: &[u8]) -> Result<(), HeadChunkFormatError> {
        let computed = crc32c(&bytes[..self.data.end]);
        let stored = bytes[self.data.end..].first_chunk().map_or(0, |sum| u32::from_be_bytes(*sum));
        if computed != stored {
            return Err(HeadChunkFormatError::Checksum { stored, computed });
        }
        if self.series.0 == 0 {
            return Err(HeadChunkFormatError::NoSeries);
        }
        if self.data.len() < 2 {
            return Err(HeadChunkFormatError::ChunkTooShort(self.data.len()));
        }
        let sane = self
            .maxt
            .checked_sub(self.mint)
            .is_some_and(|span| (0..=MAX_SPAN_MS as i64).contains(&span));
        if !sane && self.num_samples(bytes) > 0 {
            return Err(HeadChunkFormatError::InvalidTimeRange {
                mint: self.mint,
                maxt: self.maxt,
            });
        }
        Ok(())
    }

    /// How the chunk is encoded.
    pub(super) fn encoding(&self) -> Result<ChunkEncoding, HeadChunkFormatError> {
        let byte = self.encoding & !OUT_OF_ORDER_BIT;
        ChunkEncoding::from_byte(byte).ok_or(HeadChunkFormatError::Encoding(byte))
    }

    /// Whether the chunk holds late samples.
    pub(super) fn is_out_of_order(&self) -> bool {
        self.encoding & OUT_OF_ORDER_BIT != 0
    }

    /// How many samples the chunk says it has. In the histogram encodings with start timestamps the two highest bits mean
    /// something else.
    pub(super) fn num_samples(&self, bytes: &[u8]) -> u16 {
        let count =
            bytes[self.data.clone()].first_chunk().map_or(0, |count| u16::from_be_bytes(*count));
        match self.encoding() {
            Ok(ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt) => count & 0x3fff,
            _ => count,
        }
    }
}

/// Checks the header of a file.
pub(super) fn check_file_header(bytes: &[u8]) -> Result<(), HeadChunkFormatError> {
    let header = bytes.first_chunk::<FILE_HEADER>().filter(|_| u32::try_from(bytes.len()).is_ok());
    let [m0, m1, m2, m3, version, ..] =
        *header.ok_or(HeadChunkFormatError::FileLength(bytes.len() as u64))?;
    if [m0, m1, m2, m3] != FILE_HEADER_BYTES[..4] {
        return Err(HeadChunkFormatError::Magic(u32::from_be_bytes([m0, m1, m2, m3])));
    }
    if version != FILE_HEADER_BYTES[4] {
        return Err(HeadChunkFormatError::Version(version));
    }
    Ok(())
}

/// The number at `at`, written in groups of 7 bits, at most 5 of them; and where it ends.
fn read_length(bytes: &[u8], at: usize) -> Result<(usize, usize), HeadChunkFormatError> {
    let mut length = 0;
    for i in 0..5 {
        let byte = *bytes.get(at + i).ok_or(HeadChunkFormatError::Truncated)?;
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((length, at + i + 1));
        }
    }
    Err(HeadChunkFormatError::InvalidLength)
}
