//! Format of head-chunk files. These functions are pure and access no file.
//!
//! ```text
//! file:
//! ┌────────────┬───────────┬─────────────┬────────┬─────┬────────┬───────────────────┐
//! │ magic (4)  │ version 1 │ padding (3) │ record │ ... │ record │ zeros (to 131072) │
//! │ 0x0130BC91 │ (1)       │             │        │     │        │ or end of file    │
//! └────────────┴───────────┴─────────────┴────────┴─────┴────────┴───────────────────┘
//! record:
//! ┌────────────────┬──────────┬──────────┬──────────────┬──────────────────┬───────┬────────────┐
//! │ series ref (8) │ mint (8) │ maxt (8) │ encoding (1) │ length (uvarint) │ chunk │ CRC-32C of │
//! │                │          │          │              │                  │       │ record (4) │
//! └────────────────┴──────────┴──────────┴──────────────┴──────────────────┴───────┴────────────┘
//! ```
//!
//! All numbers are big-endian. The highest bit of the encoding is set for a chunk of out-of-order
//! samples. Files are preallocated with zeros: the content ends before a record whose series, mint
//! and maxt are 0.
//!
//! Source: `tsdb/docs/format/head_chunks.md` of Prometheus.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::mapped_chunk::MAX_SPAN_MS;
use crate::tsdb::encoding::checksum::crc32c;
use std::ops::Range;

/// Length of the file header, bytes.
pub(super) const FILE_HEADER: usize = 8;

/// Header of every file: magic number, version, padding.
pub(super) const FILE_HEADER_BYTES: [u8; FILE_HEADER] = [0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0];

/// Maximum size of a file, bytes (`MaxHeadChunkFileSize` of Prometheus).
pub(super) const MAX_FILE: usize = 128 << 20;

/// Length of a new file, bytes; zeros after the header (`HeadChunkFilePreallocationSize`).
pub(super) const PREALLOCATED: usize = 128 << 10;

/// Length of series, mint and maxt at the start of a record, bytes.
const RECORD_START: usize = 24;
const CRC: usize = 4;
const OUT_OF_ORDER_BIT: u8 = 0x80;

/// Chunk to be written to `chunks_head/`.
#[derive(Clone, Copy, Debug)]
pub struct NewChunk<'a> {
    /// Series of the chunk; not 0.
    pub series: SeriesRef,
    /// Timestamp of the first sample, ms.
    pub mint: i64,
    /// Timestamp of the last sample, ms.
    pub maxt: i64,
    /// Encoding of the bytes in `bytes`.
    pub encoding: ChunkEncoding,
    /// `true` if the samples are out of order.
    pub out_of_order: bool,
    /// Encoded samples, a complete chunk.
    pub bytes: &'a [u8],
}

/// Defect of the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadChunkFormatError {
    /// The file is shorter than the header, or longer than a reference can address.
    #[error("file of {0} bytes")]
    FileLength(u64),
    /// The file is not a head-chunk file.
    #[error("magic number is {0:#010x}, not 0x0130bc91")]
    Magic(u32),
    /// The version of the format is unknown.
    #[error("format version {0}")]
    Version(u8),
    /// The location has only zeros and no record.
    #[error("no record")]
    NoRecord,
    /// The bytes end within a record.
    #[error("record is truncated")]
    Truncated,
    /// The length field of a record is malformed.
    #[error("record has a malformed length")]
    InvalidLength,
    /// The record does not match its checksum.
    #[error("checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    Checksum {
        /// Checksum in the record.
        stored: u32,
        /// Checksum of the bytes of the record.
        computed: u32,
    },
    /// The series reference of a record is 0.
    #[error("record has series reference 0")]
    NoSeries,
    /// A chunk is too short for its number of samples.
    #[error("chunk of {0} bytes has no header")]
    ChunkTooShort(usize),
    /// The last sample is before the first, or more than 557 years after it.
    #[error("chunk lasts from {mint} to {maxt}")]
    InvalidTimeRange {
        /// Timestamp of the first sample, ms.
        mint: i64,
        /// Timestamp of the last sample, ms.
        maxt: i64,
    },
    /// This version does not know the encoding.
    #[error("chunk has unknown encoding {0}")]
    Encoding(u8),
    /// The file does not exist (any more).
    #[error("file is missing")]
    MissingFile,
    /// The number of the file is not the successor of the previous one.
    #[error("missing previous file {missing:06}")]
    Gap {
        /// First missing file number.
        missing: u32,
    },
    /// The previous file has the same number, written with other digits.
    #[error("duplicate file number")]
    Twice,
    /// The file cannot be mapped into memory.
    #[error("cannot map file: {0}")]
    Unmappable(std::io::ErrorKind),
}

/// Header fields of a record in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeadChunkRecord {
    pub(super) series: SeriesRef,
    pub(super) mint: i64,
    pub(super) maxt: i64,
    /// Encoding byte, including [`OUT_OF_ORDER_BIT`].
    encoding: u8,
    /// Byte range of the chunk, relative to the start of the record.
    pub(super) data: Range<usize>,
}

impl NewChunk<'_> {
    /// Returns the length of the record, bytes.
    pub(super) fn record_len(&self) -> usize {
        let length = (usize::BITS - (self.bytes.len() | 1).leading_zeros()).div_ceil(7) as usize;
        RECORD_START + 1 + length + self.bytes.len() + CRC
    }

    /// Appends the record to `out`.
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
    /// Parses the record at the start of `bytes`. Returns `None` at the end of the content. The
    /// checksum is not verified.
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

    /// Returns the length of the record, bytes.
    pub(super) fn len(&self) -> usize {
        self.data.end + CRC
    }

    /// Verifies the checksum, then the fields. `bytes` is the input of [`Self::parse`].
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
        let is_valid_span = self
            .maxt
            .checked_sub(self.mint)
            .is_some_and(|span| (0..=MAX_SPAN_MS as i64).contains(&span));
        if !is_valid_span && self.num_samples(bytes) > 0 {
            return Err(HeadChunkFormatError::InvalidTimeRange {
                mint: self.mint,
                maxt: self.maxt,
            });
        }
        Ok(())
    }

    /// Returns the codec of the chunk.
    pub(super) fn encoding(&self) -> Result<ChunkEncoding, HeadChunkFormatError> {
        let byte = self.encoding & !OUT_OF_ORDER_BIT;
        ChunkEncoding::from_byte(byte).ok_or(HeadChunkFormatError::Encoding(byte))
    }

    /// Returns `true` for a chunk of out-of-order samples.
    pub(super) fn is_out_of_order(&self) -> bool {
        self.encoding & OUT_OF_ORDER_BIT != 0
    }

    /// Returns the number of samples in the header of the chunk. In the histogram encodings with
    /// start timestamps, the two highest bits are the counter reset header.
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

/// Reads the uvarint at `at`, of at most 5 bytes. Returns the number and its end offset.
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
