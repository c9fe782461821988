//! Compression of single records.
//!
//! How a record is compressed stands in the type byte of each of its fragments (`page.rs`): bit 3 snappy, bit 4 zstd. A
//! record that does not become smaller is stored as it is, so one segment may hold all three. Snappy is the block format.
//!
//! Invariant: no record takes more than [`MAX_RECORD_BYTES`], compressed or not, and nothing is allocated on the word of
//! a declared length alone: snappy can't make more than 22 bytes of one, so a block that declares more is refused unread;
//! zstd is decompressed piece by piece, its output growing as it comes.

use std::io;

use zstd::stream::raw::{InBuffer, Operation, OutBuffer};

/// The longest record that is read, in bytes after decompression (and before): 512 MiB.
///
/// Prometheus has no limit of its own but writes one record for a scrape or request; a record of this size would hold
/// the labels of some millions of new series at once.
pub const MAX_RECORD_BYTES: usize = 512 << 20;

/// More than snappy's block format can make of one byte: a copy of three bytes yields at most 64.
const SNAPPY_MAX_RATIO: usize = 22;

const SNAPPY_FLAG: u8 = 1 << 3;
const ZSTD_FLAG: u8 = 1 << 4;

/// The level that Prometheus uses is the default one of its library, about zstd's 3.
const ZSTD_LEVEL: i32 = 3;

/// How a record is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RecordCompression {
    /// Not at all.
    None,
    /// The block format of snappy.
    #[default]
    Snappy,
    /// Zstandard. Older Prometheus (2.42 does) skip such records without a word.
    Zstd,
}

impl RecordCompression {
    /// The first byte of what became `data`, where that can be seen without decompressing it.
    #[must_use]
    pub fn first_byte(self, data: &[u8]) -> Option<u8> {
        match self {
            Self::None => data.first().copied(),
            Self::Snappy => {
                // The length, a varint; then the first element, which is a literal: there is nothing to copy yet.
                let length = data.iter().take(5).position(|byte| *byte < 0x80)? + 1;
                let tag = *data.get(length)?;
                // Of a long literal the length less one stands in one to four bytes behind the tag.
                let further = usize::from(tag >> 2).saturating_sub(59);
                let is_literal = tag & 0b11 == 0;
                data.get(length + 1 + further).copied().filter(|_| is_literal)
            }
            Self::Zstd => None,
        }
    }

    /// The flag in a fragment's type byte.
    #[must_use]
    pub fn flag(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Snappy => SNAPPY_FLAG,
            Self::Zstd => ZSTD_FLAG,
        }
    }

    /// What a fragment's type byte says; snappy where it says both, as Prometheus takes it.
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

/// Why a record can't be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// Not snappy's block format, or it does not hold what it declares.
    #[error("bad snappy block: {0}")]
    Snappy(#[from] snap::Error),
    /// Not zstd, or cut short.
    #[error("bad zstd frame: {0}")]
    Zstd(io::Error),
    /// It declares or gives more than a record may have.
    #[error("record of over {limit} bytes")]
    TooLong {
        /// The most that this record could have.
        limit: usize,
    },
}

/// Compresses records; its tables are reused from one to the next.
pub struct Compressor {
    compression: RecordCompression,
    snappy: snap::raw::Encoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    /// A compressor of one kind.
    #[must_use]
    pub fn new(compression: RecordCompression) -> Self {
        let zstd = match compression {
            RecordCompression::Zstd => zstd::bulk::Compressor::new(ZSTD_LEVEL).ok(),
            RecordCompression::None | RecordCompression::Snappy => None,
        };
        Self { compression, snappy: snap::raw::Encoder::new(), zstd }
    }

    /// Appends `record` to `out`, compressed if that makes it smaller, and says how it stands there.
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
        // What would not be smaller need not fit.
        out.resize(start + record.len(), 0);
        self.zstd.as_mut()?.compress_to_buffer(record, &mut out[start..]).ok()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

/// Decompresses records into a buffer that is reused from one to the next.
#[derive(Default)]
pub struct Decompressor {
    snappy: snap::raw::Decoder,
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
    /// Keeps the length of the longest record, so that it is not cleared for each.
    out: Vec<u8>,
    /// The length of the record in it.
    len: usize,
}

impl Decompressor {
    /// A decompressor with an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decompresses the record that `data` holds; uncompressed ones are copied.
    ///
    /// # Errors
    /// [`CompressionError`]. What [`Decompressor::output`] gives then is not specified.
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

    /// The record decompressed last.
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
            none => none.insert(zstd::stream::raw::Decoder::new().map_err(CompressionError::Zstd)?),
        };
        decoder.reinit().map_err(CompressionError::Zstd)?;
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
            let hint = decoder.run(&mut input, &mut output).map_err(CompressionError::Zstd)?;
            let (before, full) = (len, output.pos() == output.capacity());
            len = output.pos();
            let all_read = input.pos() == data.len();
            if hint == 0 && all_read {
                return Ok(len);
            }
            if all_read && !full && len == before {
                return Err(CompressionError::Zstd(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
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
    fn what_does_not_become_smaller_is_stored_as_it_is() {
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
    fn a_snappy_block_that_declares_4_gib_is_refused_unread() {
        let block = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        let refused = Decompressor::new().decompress(RecordCompression::Snappy, &block);
        assert!(matches!(refused, Err(CompressionError::TooLong { limit: 154 })), "{refused:?}");
    }

    #[test]
    fn frames_in_a_row_and_cut_frames_are_told_apart() {
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
        fn what_is_compressed_comes_back(
            records in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..3000), 1..5),
        ) {
            for compression in ALL {
                let (mut compressor, mut decompressor) = (Compressor::new(compression), Decompressor::new());
                for record in &records {
                    let mut out = Vec::new();
                    let how = compressor.append(record, &mut out);
                    prop_assert!(out.len() <= record.len());
                    let seen = how.first_byte(&out);
                    prop_assert_eq!(seen, record.first().copied().filter(|_| how != RecordCompression::Zstd));
                    prop_assert_eq!(&decompress(&mut decompressor, how, &out).unwrap(), record);
                }
            }
        }

        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decompressor = Decompressor::new();
            for compression in ALL {
                let seen = compression.first_byte(&data);
                if let Ok(whole) = decompress(&mut decompressor, compression, &data) {
                    prop_assert!(seen.is_none() || seen == whole.first().copied());
                }
            }
        }
    }
}
