//! Byte format of chunk segments. No I/O.
//!
//! ```text
//! file:
//! ┌───────────────────────────┬────────────────┬──────────────┬───────┬───┬───────┐
//! │ magic 0x85BD40DD <4b, BE> │ version 1 <1b> │ padding <3b> │ chunk │ … │ chunk │
//! └───────────────────────────┴────────────────┴──────────────┴───────┴───┴───────┘
//! chunk:
//! ┌────────────────────────────────┬───────────────┬──────┬──────────────────┐
//! │ length of data <uvarint, ≤ 5b> │ encoding <1b> │ data │ CRC-32C <4b, BE> │
//! └────────────────────────────────┴───────────────┴──────┴──────────────────┘
//! ```
//!
//! A chunk never crosses files. The checksum covers encoding and data; a wrong length makes it
//! fail. All encodings start with the number of samples (2 bytes, big-endian). The two histogram
//! encodings with start timestamps use its 2 highest bits otherwise. Source:
//! `tsdb/docs/format/chunks.md` of Prometheus.

use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::encoding::byte_reader::put_uvarint;
use crate::tsdb::encoding::checksum::Crc32c;
use crate::tsdb::encoding::checksum::crc32c;
use std::ops::Range;

/// Header of each chunk segment.
pub const FILE_HEADER: [u8; 8] = [0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];

/// Maximum size of a length field, bytes.
pub(super) const MAX_LENGTH_FIELD: usize = 5;

const CRC: usize = 4;

/// Defect of the bytes of a chunk segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkSegmentFormatError {
    /// The file does not exist, but a chunk reference or a later file requires it.
    #[error("file is missing")]
    MissingFile,
    /// The file is shorter than its header.
    #[error("file of {0} bytes")]
    FileLength(usize),
    /// The file is not a chunk segment.
    #[error("bad magic {0:#010x}, expected 0x85bd40dd")]
    Magic(u32),
    /// The format version is unknown.
    #[error("unknown format version {0}")]
    Version(u8),
    /// The file ends within the chunk.
    #[error("chunk is truncated")]
    Truncated,
    /// The length field is not a valid uvarint.
    #[error("malformed chunk length")]
    InvalidLength,
    /// The chunk does not match its checksum.
    #[error("checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    Checksum {
        /// Checksum after the chunk.
        stored: u32,
        /// Checksum of its bytes.
        computed: u32,
    },
    /// The chunk encoding is unknown.
    #[error("unknown chunk encoding {0}")]
    Encoding(u8),
    /// The data is too short for a number of samples.
    #[error("chunk of {0} bytes has no header")]
    NoChunkHeader(usize),
    /// The reference points into the file header.
    #[error("offset is within the file header")]
    NoChunk,
}

/// Location of a chunk with a valid checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkLocation {
    /// Encoding of its data.
    pub encoding: ChunkEncoding,
    /// Range of its data in the file.
    pub data: Range<usize>,
    /// Offset of the next chunk, bytes.
    pub end: usize,
}

/// Returns the number of samples that a chunk declares, 0 if the data is too short.
#[must_use]
pub fn num_samples(encoding: ChunkEncoding, data: &[u8]) -> u16 {
    let count = data.first_chunk().map_or(0, |count| u16::from_be_bytes(*count));
    match encoding {
        ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt => count & 0x3fff,
        _ => count,
    }
}

/// Checks the header of a file.
///
/// # Errors
/// [`ChunkSegmentFormatError`] if it is invalid. The padding may have any value, as in Prometheus.
pub fn check_header(file: &[u8]) -> Result<(), ChunkSegmentFormatError> {
    let [m0, m1, m2, m3, version, ..] =
        *file.first_chunk::<8>().ok_or(ChunkSegmentFormatError::FileLength(file.len()))?;
    if [m0, m1, m2, m3] != FILE_HEADER[..4] {
        return Err(ChunkSegmentFormatError::Magic(u32::from_be_bytes([m0, m1, m2, m3])));
    }
    if version != FILE_HEADER[4] {
        return Err(ChunkSegmentFormatError::Version(version));
    }
    Ok(())
}

/// Returns the location of the chunk at offset `at`, after verifying its checksum.
///
/// # Errors
/// [`ChunkSegmentFormatError`] if there is no valid chunk.
pub fn read_chunk_at(file: &[u8], at: usize) -> Result<ChunkLocation, ChunkSegmentFormatError> {
    if at < FILE_HEADER.len() {
        return Err(ChunkSegmentFormatError::NoChunk);
    }
    let rest = file.get(at..).ok_or(ChunkSegmentFormatError::Truncated)?;
    let length = read_length(rest)?;
    let covered = length.field..length.field.saturating_add(1).saturating_add(length.data);
    let stored = rest
        .get(covered.end..)
        .and_then(|behind| behind.first_chunk::<CRC>())
        .ok_or(ChunkSegmentFormatError::Truncated)?;
    let (stored, computed) = (u32::from_be_bytes(*stored), crc32c(&rest[covered.clone()]));
    if stored != computed {
        return Err(ChunkSegmentFormatError::Checksum { stored, computed });
    }
    let encoding = ChunkEncoding::from_byte(rest[covered.start])
        .ok_or(ChunkSegmentFormatError::Encoding(rest[covered.start]))?;
    if length.data < 2 {
        return Err(ChunkSegmentFormatError::NoChunkHeader(length.data));
    }
    Ok(ChunkLocation {
        encoding,
        data: at + covered.start + 1..at + covered.end,
        end: at + covered.end + CRC,
    })
}

/// Appends a chunk to `out`.
pub fn encode_chunk(out: &mut Vec<u8>, encoding: ChunkEncoding, data: &[u8]) {
    put_uvarint(out, data.len() as u64);
    out.push(encoding as u8);
    out.extend_from_slice(data);
    let mut sum = Crc32c::new();
    sum.update(&[encoding as u8]);
    sum.update(data);
    out.extend_from_slice(&sum.finish().to_be_bytes());
}

/// Returns the maximum encoded size of a chunk with `data` bytes of data.
pub(super) fn max_encoded_len(data: usize) -> u64 {
    (MAX_LENGTH_FIELD + 1 + CRC) as u64 + data as u64
}

/// Decoded length field of a chunk.
struct LengthField {
    /// Size of the field, bytes.
    field: usize,
    /// Length of the data, bytes.
    data: usize,
}

fn read_length(bytes: &[u8]) -> Result<LengthField, ChunkSegmentFormatError> {
    let mut data = 0;
    for i in 0..MAX_LENGTH_FIELD {
        let byte = *bytes.get(i).ok_or(ChunkSegmentFormatError::Truncated)?;
        data |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok(LengthField {
                field: i + 1,
                data: usize::try_from(data).map_err(|_| ChunkSegmentFormatError::InvalidLength)?,
            });
        }
    }
    Err(ChunkSegmentFormatError::InvalidLength)
}

#[cfg(test)]
mod tests {
    use super::{
        ChunkSegmentFormatError, FILE_HEADER, check_header, encode_chunk, num_samples,
        read_chunk_at,
    };
    use crate::tsdb::chunk::ChunkEncoding;
    use crate::tsdb::encoding::checksum::crc32c;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn histogram_st_sample_count_has_fourteen_bits() {
        assert_eq!(num_samples(ChunkEncoding::Xor2, &[0xc0, 1, 9]), 0xc001);
        assert_eq!(num_samples(ChunkEncoding::HistogramSt, &[0xc0, 1]), 1);
        assert_eq!(num_samples(ChunkEncoding::FloatHistogramSt, &[0xc1, 1]), 257);
        assert_eq!(num_samples(ChunkEncoding::Xor, &[1]), 0);
    }

    #[test]
    fn invalid_bytes_are_distinguished() {
        assert_eq!(check_header(&FILE_HEADER[..7]), Err(ChunkSegmentFormatError::FileLength(7)));
        assert_eq!(
            check_header(b"\x85\xbd\x40\xdc\x01\0\0\0"),
            Err(ChunkSegmentFormatError::Magic(0x85bd_40dc))
        );
        assert_eq!(
            check_header(b"\x85\xbd\x40\xdd\x02\0\0\0"),
            Err(ChunkSegmentFormatError::Version(2))
        );
        let file = |record: &[u8]| [&FILE_HEADER, record].concat();
        assert_eq!(read_chunk_at(&file(&[]), 8), Err(ChunkSegmentFormatError::Truncated));
        assert_eq!(read_chunk_at(&file(&[]), 9), Err(ChunkSegmentFormatError::Truncated));
        assert_eq!(read_chunk_at(&file(&[]), 7), Err(ChunkSegmentFormatError::NoChunk));
        assert_eq!(
            read_chunk_at(&file(&[0x80; 9]), 8),
            Err(ChunkSegmentFormatError::InvalidLength)
        );
        let sealed = |covered: &[u8]| {
            file(&[&[covered.len() as u8 - 1], covered, &crc32c(covered).to_be_bytes()].concat())
        };
        assert_eq!(
            read_chunk_at(&sealed(&[7, 0, 1]), 8),
            Err(ChunkSegmentFormatError::Encoding(7))
        );
        assert_eq!(
            read_chunk_at(&sealed(&[1, 0]), 8),
            Err(ChunkSegmentFormatError::NoChunkHeader(1))
        );
    }

    proptest! {
        #[test]
        fn encoded_chunks_decode_and_bit_flips_are_detected(
            data in proptest::collection::vec(any::<u8>(), 2..400),
            at in any::<proptest::sample::Index>(),
            bit in 0..8u8,
        ) {
            let mut file = FILE_HEADER.to_vec();
            encode_chunk(&mut file, ChunkEncoding::Xor2, &[0, 0]);
            let second = file.len();
            encode_chunk(&mut file, ChunkEncoding::Xor, &data);
            prop_assert_eq!(read_chunk_at(&file, 8).unwrap().end, second);
            let found = read_chunk_at(&file, second).unwrap();
            prop_assert_eq!(&file[found.data], &data[..]);
            prop_assert_eq!((found.encoding, found.end), (ChunkEncoding::Xor, file.len()));
            let at = second + at.index(file.len() - second);
            file[at] ^= 1 << bit;
            prop_assert!(read_chunk_at(&file, second).is_err());
            prop_assert!(read_chunk_at(&file[..at], second).is_err());
        }
    }
}
