//! Compression of single records.
//!
//! The type byte of each fragment ([`crate::tsdb::wal::page`]) names the compression of its record:
//! bit 3 snappy (block format), bit 4 zstd. A record that compression does not shrink is stored
//! uncompressed, so one segment may mix all three.
//!
//! Invariant: a record has at most [`MAX_RECORD_BYTES`], compressed or not. A declared length alone
//! never causes an allocation. Snappy expands a byte to at most 22, so a block that declares more
//! is rejected before it is read. The output of zstd grows while data arrives.

use std::io;
use std::sync::Arc;

use zstd::stream::raw::{InBuffer, Operation, OutBuffer};

/// Maximum size of a record, before and after decompression: 512 MiB.
///
/// Prometheus has no limit but writes one record per scrape or request. A record of this size would
/// hold the labels of some millions of new series.
pub const MAX_RECORD_BYTES: usize = 512 << 20;

/// Upper bound of the expansion of a snappy block: a copy of 3 bytes yields at most 64.
const SNAPPY_MAX_RATIO: usize = 22;

const SNAPPY_FLAG: u8 = 1 << 3;
const ZSTD_FLAG: u8 = 1 << 4;

/// Prometheus uses the default level of its library, which is about level 3 of zstd.
const ZSTD_LEVEL: i32 = 3;

/// Compression of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RecordCompression {
    /// Stored as is, also if compression would not make the record smaller.
    None,
    /// Snappy in its block format.
    #[default]
    Snappy,
    /// Zstandard. Older versions of Prometheus (such as 2.42) skip such records silently.
    Zstd,
}

impl RecordCompression {
    /// Returns the first byte of the record that was compressed to `data`, or `None` if only
    /// decompression would reveal it.
    #[must_use]
    pub fn first_byte(self, data: &[u8]) -> Option<u8> {
        match self {
            Self::None => data.first().copied(),
            Self::Snappy => {
                // The length is a varint. The first element must be a literal: there is nothing to
                // copy yet.
                let length = data.iter().take(5).position(|byte| *byte < 0x80)? + 1;
                let tag = *data.get(length)?;
                // A long literal has its length minus one in one to four bytes after the tag.
                let further = usize::from(tag >> 2).saturating_sub(59);
                let is_literal = tag & 0b11 == 0;
                data.get(length + 1 + further).copied().filter(|_| is_literal)
            }
            Self::Zstd => None,
        }
    }

    /// Returns the flag bit in the type byte of a fragment.
    #[must_use]
    pub fn flag(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Snappy => SNAPPY_FLAG,
            Self::Zstd => ZSTD_FLAG,
        }
    }

    /// Returns the compression that the type byte of a fragment names. Snappy wins if both bits are
    /// set, as in Prometheus.
    #[must_use]
    pub fn from_type_byte(byte: u8) -> Self {
        if byte & SNAPPY_FLAG != 0 {
            Self::Snappy
        } else if byte & ZSTD_FLAG != 0 {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

/// Error of decompressing a record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CompressionError {
    /// The data is not a snappy block, or its declared length is wrong.
    #[error("bad snappy block: {0}")]
    Snappy(#[from] snap::Error),
    /// The data is not zstd, or is truncated.
    #[error("bad zstd frame: {0}")]
    Zstd(Arc<io::Error>),
    /// The declared or actual length exceeds the limit.
    #[error("record exceeds {limit} bytes")]
    TooLong {
        /// Maximum decompressed size of this record, bytes.
        limit: usize,
    },
}

/// Compressor for records; reuses its tables.
pub struct Compressor {
    compression: RecordCompression,
    snappy: snap::raw::Encoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    /// Creates a compressor. If zstd cannot be initialized, records stay uncompressed.
    #[must_use]
    pub fn new(compression: RecordCompression) -> Self {
        let zstd = match compression {
            RecordCompression::Zstd => zstd::bulk::Compressor::new(ZSTD_LEVEL).ok(),
            RecordCompression::None | RecordCompression::Snappy => None,
        };
        Self { compression, snappy: snap::raw::Encoder::new(), zstd }
    }

    /// Appends `record` to `out`, compressed if that is smaller. Returns the compression applied.
    pub fn append(&mut self, record: &[u8], out: &mut Vec<u8>) -> RecordCompression {
        let start = out.len();
        let compressed = match self.compression {
            RecordCompression::None => None,
            RecordCompression::Snappy => self.snappy(record, out),
            RecordCompression::Zstd => self.zstd(record, out),
        };
        match compressed {
            Some(len) if len < record.len() => {
                out.truncate(start + len);
                self.compression
            }
            _ => {
                out.truncate(start);
                out.extend_from_slice(record);
                RecordCompression::None
            }
        }
    }

    fn snappy(&mut self, record: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let start = out.len();
        out.resize(start + snap::raw::max_compress_len(record.len()), 0);
        self.snappy.compress(record, &mut out[start..]).ok()
    }

    fn zstd(&mut self, record: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let start = out.len();
        // A buffer of the size of the record suffices: larger output is discarded.
        out.resize(start + record.len(), 0);
        self.zstd.as_mut()?.compress_to_buffer(record, &mut out[start..]).ok()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

/// Decompressor for records; reuses its buffer.
#[derive(Default)]
pub struct Decompressor {
    snappy: snap::raw::Decoder,
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
    /// Keeps the length of the longest record, so that it is not zeroed for each one.
    out: Vec<u8>,
    /// Length of the record in `out`.
    len: usize,
}

impl Decompressor {
    /// Creates a decompressor with an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decompresses the record in `data`; copies an uncompressed one.
    ///
    /// # Errors
    /// [`CompressionError`]. [`Decompressor::output`] is then unspecified.
    pub fn decompress(
        &mut self,
        compression: RecordCompression,
        data: &[u8],
    ) -> Result<(), CompressionError> {
        self.len = match compression {
            RecordCompression::None => {
                self.out.clear();
                self.out.extend_from_slice(data);
                data.len()
            }
            RecordCompression::Snappy => self.snappy(data)?,
            RecordCompression::Zstd => self.zstd(data)?,
        };
        Ok(())
    }

    /// Returns the record that was decompressed last.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.out.get(..self.len).unwrap_or_default()
    }

    fn snappy(&mut self, data: &[u8]) -> Result<usize, CompressionError> {
        let len = snap::raw::decompress_len(data)?;
        let limit = MAX_RECORD_BYTES.min(data.len().saturating_mul(SNAPPY_MAX_RATIO));
        if len > limit {
            return Err(CompressionError::TooLong { limit });
        }
        if self.out.len() < len {
            self.out.resize(len, 0);
        }
        Ok(self.snappy.decompress(data, &mut self.out[..len])?)
    }

    fn zstd(&mut self, data: &[u8]) -> Result<usize, CompressionError> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(zstd::stream::raw::Decoder::new().map_err(bad_zstd)?),
        };
        decoder.reinit().map_err(bad_zstd)?;
        let mut input = InBuffer::around(data);
        let mut len = 0;
        loop {
            if len == self.out.len() {
                if len >= MAX_RECORD_BYTES {
                    return Err(CompressionError::TooLong { limit: MAX_RECORD_BYTES });
                }
                let more = len.max(data.len().saturating_mul(4)).max(4096);
                self.out.resize((len + more).min(MAX_RECORD_BYTES), 0);
            }
            let mut output = OutBuffer::around_pos(&mut self.out[..], len);
            let hint = decoder.run(&mut input, &mut output).map_err(bad_zstd)?;
            let (before, full) = (len, output.pos() == output.capacity());
            len = output.pos();
            let all_read = input.pos() == data.len();
            if hint == 0 && all_read {
                return Ok(len);
            }
            if all_read && !full && len == before {
                return Err(bad_zstd(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

fn bad_zstd(error: io::Error) -> CompressionError {
    CompressionError::Zstd(Arc::new(error))
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{CompressionError, Compressor, Decompressor, RecordCompression};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn decompress(
        decompressor: &mut Decompressor,
        compression: RecordCompression,
        data: &[u8],
    ) -> Result<Vec<u8>, CompressionError> {
        decompressor.decompress(compression, data)?;
        Ok(decompressor.output().to_vec())
    }

    const ALL: [RecordCompression; 3] =
        [RecordCompression::None, RecordCompression::Snappy, RecordCompression::Zstd];

    #[test]
    fn incompressible_record_is_stored_uncompressed() {
        for compression in ALL {
            let mut out = b"before".to_vec();
            assert_eq!(
                Compressor::new(compression).append(b"xyz", &mut out),
                RecordCompression::None
            );
            assert_eq!(out, b"beforexyz");
            let mut out = b"before".to_vec();
            assert_eq!(Compressor::new(compression).append(&[7; 4000], &mut out), compression);
            assert_eq!(out.len() < 1000, compression != RecordCompression::None);
        }
    }

    #[test]
    fn snappy_block_declaring_4_gib_is_rejected() {
        let block = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        let result = Decompressor::new().decompress(RecordCompression::Snappy, &block);
        assert!(matches!(result, Err(CompressionError::TooLong { limit: 154 })), "{result:?}");
    }

    #[test]
    fn zstd_frames_concatenate_and_truncated_ones_fail() {
        let frame = zstd::bulk::compress(&[1; 100_000], 3).unwrap();
        let twice = [&frame[..], &frame[..]].concat();
        let mut decompressor = Decompressor::new();
        assert_eq!(
            decompress(&mut decompressor, RecordCompression::Zstd, &twice).unwrap(),
            [1; 200_000]
        );
        assert_eq!(
            decompress(&mut decompressor, RecordCompression::Zstd, &frame).unwrap(),
            [1; 100_000]
        );
        for cut in 0..frame.len() {
            assert!(
                decompress(&mut decompressor, RecordCompression::Zstd, &frame[..cut]).is_err(),
                "cut at {cut}"
            );
        }
    }

    proptest! {
        #[test]
        fn compressed_records_round_trip(
            records in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..3000), 1..5),
        ) {
            for compression in ALL {
                let mut compressor = Compressor::new(compression);
                let mut decompressor = Decompressor::new();
                for record in &records {
                    let mut out = Vec::new();
                    let used = compressor.append(record, &mut out);
                    prop_assert!(out.len() <= record.len());
                    let first_byte = used.first_byte(&out);
                    let is_known = used != RecordCompression::Zstd;
                    prop_assert_eq!(first_byte, record.first().copied().filter(|_| is_known));
                    prop_assert_eq!(&decompress(&mut decompressor, used, &out).unwrap(), record);
                }
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decompressor = Decompressor::new();
            for compression in ALL {
                let first_byte = compression.first_byte(&data);
                if let Ok(whole) = decompress(&mut decompressor, compression, &data) {
                    prop_assert!(first_byte.is_none() || first_byte == whole.first().copied());
                }
            }
        }
    }
}
