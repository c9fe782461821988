//! XOR chunks: floats in Gorilla's scheme, byte for byte as Prometheus writes them.
//!
//! # Format
//! ```text
//! ┌────────────┬────────────┬───────┬──────────┬─────────┬─────┬─────────┐
//! │ samples    │ t0         │ v0    │ t1 - t0  │ v1      │ ... │ padding │
//! │ (2 bytes,  │ (zig-zag   │ (64   │ (varint) │ (value, │     │ (zeros) │
//! │ BE)        │ varint)    │ bits) │          │ below)  │     │         │
//! └────────────┴────────────┴───────┴──────────┴─────────┴─────┴─────────┘
//! ```
//!
//! From sample 2 on, `d` is the change of the time delta, and `x` is the exclusive or of the value
//! and the previous value:
//!
//! ```text
//! time   0                  d = 0               value  0    x = 0
//!        10   + 14 bits d   -8191..=8192               10   + bits of x, previous window
//!        110  + 17 bits d   -65535..=65536             11   + 5 bits: leading zeros of x (max 31)
//!        1110 + 20 bits d   -524287..=524288                + 6 bits: width of window, 0 for 64
//!        1111 + 64 bits d   any other                       + bits of x, new window
//! ```
//!
//! Timestamps wrap like Go's integers, so any sequence of timestamps survives a round trip.
//!
//! [`XorChunk`] is the open chunk of a series, of which there may be a million: it allocates no
//! more than one growth step in advance. [`XorIter`] accepts any bytes: it returns at most as many
//! samples as the header states and ends at the first error. Neither holds a lock; a reader copies
//! the bytes of an open chunk first.
//!
//! Source: `tsdb/chunkenc/xor.go` of Prometheus.

use crate::model::float_sample::FloatSample;
use crate::tsdb::encoding::bits::{BitReader, BitWriter, into_exact_len, truncate_to_bits};
use crate::tsdb::prefetch::prefetch;

/// Length of the header (the number of samples), bytes.
const HEADER: usize = 2;

/// Value of [`XorWindow::leading`] until a value of the chunk changes.
const NO_WINDOW: u8 = 0xff;

/// Defect of an encoded chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes end before the header or the last sample does.
    #[error("chunk ends within sample {sample}")]
    Truncated {
        /// Index of the sample, from 0.
        sample: u16,
    },
    /// A varint has more than 64 bits.
    #[error("time of sample {sample} has more than 64 bits")]
    VarintOverflow {
        /// Index of the sample, from 0.
        sample: u16,
    },
    /// A window exceeds the 64 bits of a value.
    #[error("value of sample {sample} has {leading} leading and {width} significant bits")]
    InvalidXorWindow {
        /// Index of the sample, from 0.
        sample: u16,
        /// Number of leading zeros, as stored.
        leading: u8,
        /// Number of significant bits, as stored.
        width: u8,
    },
    /// The histograms have an unknown schema.
    #[error("histograms have the unknown schema {schema}")]
    UnknownSchema {
        /// Schema number, as stored.
        schema: i32,
    },
}

/// Range of the bits of an exclusive or that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct XorWindow {
    /// Number of leading zeros, or [`NO_WINDOW`].
    pub(super) leading: u8,
    /// Number of trailing zero bits.
    pub(super) trailing: u8,
}

impl XorWindow {
    /// State until a value of the chunk changes.
    pub(super) const NONE: Self = Self { leading: NO_WINDOW, trailing: 0 };

    /// Returns the smallest window that contains `xor`, which is not 0. The format has 5 bits for
    /// the leading zeros.
    #[inline]
    pub(super) fn fitting(xor: u64) -> Self {
        Self { leading: xor.leading_zeros().min(31) as u8, trailing: xor.trailing_zeros() as u8 }
    }

    /// Returns `true` if this window contains `other`. [`Self::NONE`] contains no window, because
    /// its `leading` exceeds all others.
    #[inline]
    pub(super) fn contains(self, other: Self) -> bool {
        other.leading >= self.leading && other.trailing >= self.trailing
    }

    /// Returns the number of bits in the window.
    #[inline]
    pub(super) fn width(self) -> u32 {
        64 - u32::from(self.leading) - u32::from(self.trailing)
    }
}

/// Open XOR chunk. Its bytes are a complete chunk after every append.
#[derive(Clone)]
pub struct XorChunk {
    /// Encoded chunk and spare capacity.
    buffer: Box<[u8]>,
    /// Timestamp of the last sample, ms.
    t: i64,
    /// Bits of the last value.
    v: u64,
    /// Difference of the last two timestamps, ms, wrapped.
    time_delta: u64,
    /// Length of the chunk, bits, header included.
    len: u32,
    samples: u16,
    window: XorWindow,
}

impl XorChunk {
    /// Prefetches the end of the chunk, to which the next sample is appended.
    #[inline]
    pub fn prefetch_end(&self) {
        prefetch(self.buffer.as_ptr().wrapping_add(self.len as usize / 8), 16);
    }

    /// Creates a chunk without samples.
    #[must_use]
    pub fn new() -> Self {
        let mut chunk = Self {
            buffer: Box::default(),
            t: 0,
            v: 0,
            time_delta: 0,
            len: 0,
            samples: 0,
            window: XorWindow::NONE,
        };
        chunk.sink().push(0, 8 * HEADER as u32);
        chunk
    }

    /// Creates an open chunk from an encoded one. Bytes after its last sample are dropped.
    ///
    /// Samples appended afterwards are encoded as if the chunk had never been interrupted.
    /// Prometheus's appender, if reopened before any value changed, uses a window of 64 bits from
    /// there on; such chunks can be read but are not written.
    ///
    /// # Errors
    /// [`ChunkError`] if the bytes are not a complete chunk.
    pub fn resume(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut iter = XorIter::new(bytes);
        for sample in &mut iter {
            sample?;
        }
        let end = 8 * HEADER + iter.bits.position();
        Ok(Self {
            buffer: truncate_to_bits(bytes, end),
            t: iter.t,
            v: iter.v,
            time_delta: iter.time_delta,
            len: end as u32,
            samples: iter.read,
            window: iter.window,
        })
    }

    /// Appends a sample.
    ///
    /// A chunk of 65535 samples ignores further ones, because its header cannot count them. The
    /// size limit of [`crate::tsdb::chunk::cut`] cuts a chunk long before.
    #[inline]
    pub fn append(&mut self, t: i64, v: f64) {
        debug_assert!(self.samples < u16::MAX);
        let bits = v.to_bits();
        match self.samples {
            0 => self.push_first(t, bits),
            1 => self.push_second(t, bits),
            u16::MAX => return,
            _ => self.push_following(t, bits),
        }
        self.t = t;
        self.v = bits;
        self.samples += 1;
        let count = self.samples.to_be_bytes();
        if let Some(header) = self.buffer.first_chunk_mut::<HEADER>() {
            *header = count;
        }
    }

    /// Returns the number of samples.
    #[inline]
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        self.samples
    }

    /// Returns the encoded chunk, which is complete and equal to Prometheus's.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.num_bytes()]
    }

    /// Returns the length of [`Self::bytes`].
    #[inline]
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        self.len.div_ceil(8) as usize
    }

    /// Returns the allocated size, bytes.
    #[cfg(test)]
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Returns the last sample, or `None` if the chunk is empty.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<FloatSample> {
        (self.samples > 0).then(|| FloatSample::new(self.t, f64::from_bits(self.v)))
    }

    /// Returns the encoded chunk without spare capacity.
    #[must_use]
    pub fn into_bytes(self) -> Box<[u8]> {
        let len = self.num_bytes();
        into_exact_len(self.buffer, len)
    }

    #[inline]
    fn sink(&mut self) -> BitWriter<'_> {
        BitWriter { buffer: &mut self.buffer, len: &mut self.len }
    }

    #[cold]
    fn push_first(&mut self, t: i64, bits: u64) {
        self.sink().push_varint(t);
        self.sink().push(bits, 64);
    }

    #[cold]
    fn push_second(&mut self, t: i64, bits: u64) {
        self.time_delta = t.wrapping_sub(self.t) as u64;
        let step = self.time_delta;
        self.sink().push_uvarint(step);
        self.push_value(bits, 0, 0);
    }

    #[inline]
    fn push_following(&mut self, t: i64, bits: u64) {
        let step = t.wrapping_sub(self.t) as u64;
        let d = step.wrapping_sub(self.time_delta) as i64;
        self.time_delta = step;
        match d {
            0 => self.push_value(bits, 0, 1),
            -8191..=8192 => self.push_value(bits, 0b10 << 14 | d as u64 & 0x3fff, 2 + 14),
            -65535..=65536 => self.push_value(bits, 0b110 << 17 | d as u64 & 0x1_ffff, 3 + 17),
            -524_287..=524_288 => self.push_value(bits, 0b1110 << 20 | d as u64 & 0xf_ffff, 4 + 20),
            _ => {
                self.sink().push(0b1111, 4);
                self.sink().push(d as u64, 64);
                self.push_value(bits, 0, 0);
            }
        }
    }

    /// Writes the `n` low bits of `prefix`, at most 24, and then the value.
    #[inline]
    fn push_value(&mut self, bits: u64, prefix: u64, n: u32) {
        let xor = bits ^ self.v;
        if xor == 0 {
            let mut sink = self.sink();
            return if prefix == 0 {
                sink.push_zeros(n + 1)
            } else {
                sink.push(prefix << 1, n + 1)
            };
        }
        let best = XorWindow::fitting(xor);
        if self.window.contains(best) {
            let (width, significant) = (self.window.width(), xor >> self.window.trailing);
            return self.push_pair((prefix << 2 | 0b10, n + 2), (significant, width));
        }
        self.window = best;
        let (width, significant) = (best.width(), xor >> best.trailing);
        let control = 0b11 << 11 | u64::from(best.leading) << 6 | u64::from(width & 63);
        self.push_pair((prefix << 13 | control, n + 13), (significant, width));
    }

    /// Writes two values, in a single write if they fit into 64 bits.
    #[inline]
    fn push_pair(&mut self, (first, n): (u64, u32), (second, m): (u64, u32)) {
        if n + m <= 64 {
            self.sink().push(first << m | second, n + m);
        } else {
            self.sink().push(first, n);
            self.sink().push(second, m);
        }
    }
}

impl Default for XorChunk {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for XorChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "XorChunk({} samples, {} bytes)", self.samples, self.num_bytes())
    }
}

/// Iterator over the samples of an XOR chunk. An error is the last item.
#[derive(Clone, Debug)]
pub struct XorIter<'a> {
    bits: BitReader<'a>,
    t: i64,
    v: u64,
    time_delta: u64,
    window: XorWindow,
    read: u16,
    total: u16,
}

impl<'a> XorIter<'a> {
    /// Creates an iterator over the encoded chunk `bytes`. Bytes after the last sample are ignored.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        // Without a header, the iterator expects one sample, which fails.
        let (total, data) = match bytes.split_first_chunk::<HEADER>() {
            Some((header, data)) => (u16::from_be_bytes(*header), data),
            None => (1, &bytes[..0]),
        };
        Self {
            bits: BitReader::new(data),
            t: 0,
            v: 0,
            time_delta: 0,
            window: XorWindow::NONE,
            read: 0,
            total,
        }
    }

    #[cold]
    fn read_first(&mut self) -> Result<(), ChunkError> {
        self.t = self.bits.varint().ok_or(ChunkError::VarintOverflow { sample: self.read })?;
        self.v = self.bits.read(64);
        Ok(())
    }

    #[cold]
    fn read_second(&mut self) -> Result<(), ChunkError> {
        self.time_delta =
            self.bits.uvarint().ok_or(ChunkError::VarintOverflow { sample: self.read })?;
        self.t = self.t.wrapping_add(self.time_delta as i64);
        self.read_value(self.bits.peek())
    }

    #[inline]
    fn read_following(&mut self) -> Result<(), ChunkError> {
        let mut ahead = self.bits.peek();
        match ahead.leading_ones() {
            0 => {
                self.bits.skip(1);
                ahead <<= 1;
            }
            1 => ahead = self.read_delta_of_delta(ahead, 2, 14),
            2 => ahead = self.read_delta_of_delta(ahead, 3, 17),
            3 => ahead = self.read_delta_of_delta(ahead, 4, 20),
            _ => {
                self.bits.skip(4);
                self.time_delta = self.time_delta.wrapping_add(self.bits.read(64));
                ahead = self.bits.peek();
            }
        }
        self.t = self.t.wrapping_add(self.time_delta as i64);
        self.read_value(ahead)
    }

    /// Reads `code` bits and an `n`-bit change of the time delta. Returns the unread bits of
    /// `ahead`, at least 33.
    #[inline]
    fn read_delta_of_delta(&mut self, ahead: u64, code: u32, n: u32) -> u64 {
        let raw = ahead << code >> (64 - n);
        // The range is -(2^(n-1) - 1)..=2^(n-1), not that of two's complement.
        let negative = raw > 1 << (n - 1);
        self.time_delta = self.time_delta.wrapping_add(raw.wrapping_sub(u64::from(negative) << n));
        self.bits.skip(code + n);
        ahead << (code + n)
    }

    /// Reads the value whose first bits, at least 13, are in `ahead`.
    #[inline]
    fn read_value(&mut self, ahead: u64) -> Result<(), ChunkError> {
        match ahead.leading_ones() {
            0 => {
                self.bits.skip(1);
                return Ok(());
            }
            1 => {
                self.bits.skip(2);
                // Prometheus's appender, if reopened before any value changed, writes all 64 bits
                // without a window.
                if self.window.leading == NO_WINDOW {
                    self.v ^= self.bits.read(64);
                    return Ok(());
                }
            }
            _ => {
                self.bits.skip(13);
                let leading = (ahead >> 57) as u8 & 31;
                let width = ((ahead >> 51) as u8).wrapping_sub(1) % 64 + 1;
                if leading + width > 64 {
                    return Err(ChunkError::InvalidXorWindow { sample: self.read, leading, width });
                }
                self.window = XorWindow { leading, trailing: 64 - leading - width };
            }
        }
        self.v ^= self.bits.read(self.window.width()) << self.window.trailing;
        Ok(())
    }
}

impl Iterator for XorIter<'_> {
    type Item = Result<FloatSample, ChunkError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.read == self.total {
            return None;
        }
        let outcome = match self.read {
            0 => self.read_first(),
            1 => self.read_second(),
            _ => self.read_following(),
        };
        let outcome = if self.bits.is_overrun() {
            Err(ChunkError::Truncated { sample: self.read })
        } else {
            outcome
        };
        if let Err(error) = outcome {
            self.total = self.read;
            return Some(Err(error));
        }
        self.read += 1;
        Some(Ok(FloatSample::new(self.t, f64::from_bits(self.v))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.total - self.read)))
    }
}

#[cfg(test)]
mod tests;
