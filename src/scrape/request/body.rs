//! Decompression of a body, piece by piece, within its limit.
//!
//! The limit applies to decompressed bytes. As in Prometheus, a body of exactly the limit exceeds
//! it. The caller stops reading at the first error, so neither a huge body nor a gzip bomb is read
//! to its end.
//!
//! # Memory
//! The buffer grows by half, up to the limit. A piece of [`BodyEncoding::max_piece`] bytes adds
//! at most about half a megabyte, so the caller can reserve memory between two pieces.

use flate2::write::MultiGzDecoder;
use std::io;
use std::io::Write;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// Largest window of a zstd frame: 8 MiB, the maximum that decoders must support.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;
/// Size of the buffer between the zstd decoder and the body.
const ZSTD_OUTPUT: usize = 16 << 10;

/// Encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoding {
    /// No compression.
    Identity,
    /// gzip, also several members.
    Gzip,
    /// zstd; only if it was requested.
    Zstd,
}

/// Error of a body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The decompressed body reaches its limit, bytes.
    #[error("body size limit exceeded ({0} bytes)")]
    TooLarge(usize),
    /// The body ends within compressed data.
    #[error("body ends within its {0:?} data")]
    Truncated(BodyEncoding),
    /// Compressed data is malformed.
    #[error("cannot decompress body: {0}")]
    Malformed(io::Error),
}

/// Body that is being read.
pub struct BodyDecoder {
    state: State,
    encoding: BodyEncoding,
}

enum State {
    Identity(LimitedBuffer),
    Gzip { decoder: Box<MultiGzDecoder<LimitedBuffer>>, is_empty: bool },
    Zstd { decoder: Decoder<'static>, output: Vec<u8>, buffer: LimitedBuffer, is_complete: bool },
}

/// Buffer that fails at its limit.
#[derive(Debug)]
struct LimitedBuffer {
    bytes: Vec<u8>,
    limits: BodyLimits,
    is_full: bool,
}

/// Limits of a body, bytes.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Decompressed size at which it fails.
    pub size: usize,
    /// Capacity above which its buffer does not grow in advance.
    pub capacity: usize,
}

impl BodyEncoding {
    /// Returns the encoding of a Content-Encoding. As in Prometheus, only exact names count, and
    /// other encodings are ignored.
    #[must_use]
    pub fn of_header(value: &str, accepts_zstd: bool) -> Self {
        match value {
            "gzip" => Self::Gzip,
            "zstd" if accepts_zstd => Self::Zstd,
            _ => Self::Identity,
        }
    }

    /// Returns the maximum size of a piece for [`BodyDecoder::push`], bytes.
    #[must_use]
    pub fn max_piece(self) -> usize {
        match self {
            Self::Identity => 512 << 10,
            // A byte of gzip is at most 1032 bytes of data.
            Self::Gzip => 512,
            // Four bytes of zstd can be a block of 128 KiB.
            Self::Zstd => 16,
        }
    }
}

impl BodyDecoder {
    /// Creates a decoder that fills `buffer`, which it clears, within `limits`.
    ///
    /// # Errors
    /// [`BodyError::Malformed`] if the decoder cannot be created.
    pub fn new(
        encoding: BodyEncoding,
        mut buffer: Vec<u8>,
        limits: BodyLimits,
    ) -> Result<Self, BodyError> {
        buffer.clear();
        let buffer = LimitedBuffer { bytes: buffer, limits, is_full: false };
        let state = match encoding {
            BodyEncoding::Identity => State::Identity(buffer),
            BodyEncoding::Gzip => {
                State::Gzip { decoder: Box::new(MultiGzDecoder::new(buffer)), is_empty: true }
            }
            BodyEncoding::Zstd => {
                let mut decoder = Decoder::new().map_err(BodyError::Malformed)?;
                decoder
                    .set_parameter(zstd::stream::raw::DParameter::WindowLogMax(MAX_ZSTD_WINDOW_LOG))
                    .map_err(BodyError::Malformed)?;
                let output = vec![0; ZSTD_OUTPUT];
                State::Zstd { decoder, output, buffer, is_complete: false }
            }
        };
        Ok(Self { state, encoding })
    }

    /// Decompresses the next piece.
    ///
    /// # Errors
    /// [`BodyError`]; the decoder must not be used after that.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        let result = match &mut self.state {
            State::Identity(buffer) => buffer.write_all(piece),
            State::Gzip { decoder, is_empty } => {
                *is_empty &= piece.is_empty();
                decoder.write_all(piece)
            }
            State::Zstd { decoder, output, buffer, is_complete } => {
                push_zstd(decoder, output, buffer, is_complete, piece)
            }
        };
        result.map_err(|error| self.error(error))
    }

    /// Ends the body and returns its bytes.
    ///
    /// # Errors
    /// [`BodyError`] if compressed data is incomplete.
    pub fn finish(mut self) -> Result<Vec<u8>, BodyError> {
        match &mut self.state {
            State::Gzip { decoder, is_empty } => {
                if *is_empty {
                    return Err(BodyError::Truncated(self.encoding));
                }
                if let Err(error) = decoder.try_finish() {
                    return Err(self.error(error));
                }
            }
            State::Zstd { is_complete: false, .. } => {
                return Err(BodyError::Truncated(self.encoding));
            }
            State::Identity(_) | State::Zstd { .. } => {}
        }
        Ok(std::mem::take(&mut self.buffer_mut().bytes))
    }

    /// Returns the allocated memory of the decompressed bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer().bytes.capacity()
    }

    /// Returns the number of decompressed bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer().bytes.len()
    }

    /// Returns `true` if nothing was decompressed yet.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer().bytes.is_empty()
    }

    fn buffer(&self) -> &LimitedBuffer {
        match &self.state {
            State::Identity(buffer) | State::Zstd { buffer, .. } => buffer,
            State::Gzip { decoder, .. } => decoder.get_ref(),
        }
    }

    fn buffer_mut(&mut self) -> &mut LimitedBuffer {
        match &mut self.state {
            State::Identity(buffer) | State::Zstd { buffer, .. } => buffer,
            State::Gzip { decoder, .. } => decoder.get_mut(),
        }
    }

    fn error(&self, error: io::Error) -> BodyError {
        let buffer = self.buffer();
        if buffer.is_full {
            BodyError::TooLarge(buffer.limits.size)
        } else if error.kind() == io::ErrorKind::UnexpectedEof {
            BodyError::Truncated(self.encoding)
        } else {
            BodyError::Malformed(error)
        }
    }
}

fn push_zstd(
    decoder: &mut Decoder<'static>,
    output: &mut [u8],
    buffer: &mut LimitedBuffer,
    is_complete: &mut bool,
    piece: &[u8],
) -> io::Result<()> {
    let mut input = InBuffer::around(piece);
    loop {
        let mut out = OutBuffer::around(&mut *output);
        let hint = decoder.run(&mut input, &mut out)?;
        let is_output_full = out.pos() == out.capacity();
        buffer.write_all(out.as_slice())?;
        *is_complete = hint == 0;
        // A frame that is complete may be followed by another one.
        if input.pos() == piece.len() && (!is_output_full || *is_complete) {
            return Ok(());
        }
    }
}

impl Write for LimitedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_full || bytes.len() >= self.limits.size.saturating_sub(self.bytes.len()) {
            self.is_full = true;
            return Err(io::Error::other("limit"));
        }
        let missing = (self.bytes.len() + bytes.len()).saturating_sub(self.bytes.capacity());
        if missing > 0 {
            let capacity = self.bytes.capacity();
            let most = self.limits.size.min(self.limits.capacity).saturating_sub(capacity);
            let growth = (capacity / 2).max(4096).min(most);
            let free = capacity - self.bytes.len();
            self.bytes.reserve_exact(free + missing.max(growth));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyDecoder, BodyEncoding, BodyError, BodyLimits};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn compress(encoding: BodyEncoding, data: &[u8]) -> Vec<u8> {
        match encoding {
            BodyEncoding::Identity => data.to_vec(),
            BodyEncoding::Gzip => gzip(data),
            BodyEncoding::Zstd => zstd::bulk::compress(data, 3).unwrap(),
        }
    }

    /// Decodes pieces; returns the body, or the error and the bytes that were read until then.
    fn decode(
        encoding: BodyEncoding,
        data: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, (BodyError, usize)> {
        let limits = BodyLimits { size: limit, capacity: limit };
        let mut decoder = BodyDecoder::new(encoding, Vec::new(), limits).unwrap();
        let mut read = 0;
        for piece in data.chunks(encoding.max_piece()) {
            read += piece.len();
            let before = decoder.capacity();
            decoder.push(piece).map_err(|error| (error, read))?;
            let capacity = decoder.capacity();
            assert!(capacity <= limit.max(8192), "{capacity} bytes for a limit of {limit}");
            assert!(capacity <= 2 * before + (4 << 20), "{before} bytes to {capacity}");
        }
        decoder.finish().map_err(|error| (error, read))
    }

    const ALL: [BodyEncoding; 3] = [BodyEncoding::Identity, BodyEncoding::Gzip, BodyEncoding::Zstd];

    #[test]
    fn only_exact_names_select_an_encoding() {
        for (value, accepts_zstd, expected) in [
            ("", true, BodyEncoding::Identity),
            ("gzip", false, BodyEncoding::Gzip),
            ("GZIP", false, BodyEncoding::Identity),
            ("x-gzip", false, BodyEncoding::Identity),
            ("gzip, gzip", false, BodyEncoding::Identity),
            ("deflate", true, BodyEncoding::Identity),
            ("zstd", true, BodyEncoding::Zstd),
            ("zstd", false, BodyEncoding::Identity),
        ] {
            assert_eq!(BodyEncoding::of_header(value, accepts_zstd), expected, "{value}");
        }
    }

    #[test]
    fn bodies_round_trip_in_pieces() {
        let mut noise = 1_u32;
        let mixed: Vec<u8> = (0..300_000_u32)
            .map(|i| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if i % 3 == 0 { (noise >> 24) as u8 } else { b'a' }
            })
            .collect();
        for data in [&b""[..], b"up 1\n", &mixed] {
            for encoding in ALL {
                let packed = compress(encoding, data);
                assert_eq!(decode(encoding, &packed, 1 << 20).unwrap(), data, "{encoding:?}");
            }
        }
    }

    #[test]
    fn several_members_are_joined() {
        for encoding in [BodyEncoding::Gzip, BodyEncoding::Zstd] {
            let packed = [compress(encoding, b"a 1\n"), compress(encoding, b"b 2\n")].concat();
            assert_eq!(decode(encoding, &packed, 100).unwrap(), b"a 1\nb 2\n", "{encoding:?}");
        }
    }

    #[test]
    fn body_of_the_limit_exceeds_it() {
        for encoding in ALL {
            let packed = compress(encoding, &[b'x'; 1000]);
            assert_eq!(decode(encoding, &packed, 1001).unwrap().len(), 1000);
            for limit in [1, 999, 1000] {
                let (error, _) = decode(encoding, &packed, limit).unwrap_err();
                assert!(matches!(error, BodyError::TooLarge(found) if found == limit), "{error}");
            }
        }
    }

    #[test]
    fn bomb_is_read_only_until_the_limit() {
        let zeros = vec![0; 64 << 20];
        for encoding in [BodyEncoding::Gzip, BodyEncoding::Zstd] {
            let bomb = compress(encoding, &zeros);
            let (error, read) = decode(encoding, &bomb, 1 << 20).unwrap_err();
            assert!(matches!(error, BodyError::TooLarge(_)), "{encoding:?}: {error}");
            assert!(read < bomb.len() / 4, "{encoding:?}: {read} of {} bytes", bomb.len());
        }
    }

    #[test]
    fn truncated_body_is_an_error_at_every_byte() {
        for encoding in [BodyEncoding::Gzip, BodyEncoding::Zstd] {
            let packed = compress(encoding, b"a 1\nb 2\nc 3\n");
            for len in 0..packed.len() {
                let result = decode(encoding, &packed[..len], 1000);
                assert!(result.is_err(), "{encoding:?} with {len} of {} bytes", packed.len());
            }
        }
    }

    #[test]
    fn malformed_body_is_an_error() {
        let good = gzip(b"a 1\n");
        let flipped = |at: usize| {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            bad
        };
        let checksum = good.len() - 8;
        for bad in [flipped(0), flipped(checksum), flipped(good.len() - 1)] {
            let (error, _) = decode(BodyEncoding::Gzip, &bad, 1000).unwrap_err();
            assert!(matches!(error, BodyError::Malformed(_)), "{error}");
        }
        let surplus = [good.clone(), b"surplus after the data".to_vec()].concat();
        assert!(decode(BodyEncoding::Gzip, &surplus, 1000).is_err());
        assert!(decode(BodyEncoding::Gzip, b"plain 1\n", 1000).is_err());
        assert!(decode(BodyEncoding::Zstd, b"plain 1\n", 1000).is_err());
    }
}
