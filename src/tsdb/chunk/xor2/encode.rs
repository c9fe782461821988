//! Encoder of XOR2 chunks. Format: [`crate::tsdb::chunk::xor2`].

use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
use crate::tsdb::chunk::varbit;
use crate::tsdb::chunk::xor::{ChunkError, XorWindow};
use crate::tsdb::chunk::xor2::decode::Xor2Iter;
use crate::tsdb::chunk::xor2::{FIRST_HAS_START, HEADER, LAST_START_CHANGE};
use crate::tsdb::encoding::bits::{BitWriter, into_exact_len, truncate_to_bits};

/// Open XOR2 chunk. Its bytes are a complete chunk after every append.
#[derive(Clone)]
pub struct Xor2Chunk {
    /// Encoded chunk and spare capacity.
    buffer: Box<[u8]>,
    /// Timestamp of the last sample, ms.
    t: i64,
    /// Bits of the last value.
    v: u64,
    /// Bits of the newest value that is not a stale marker.
    baseline: u64,
    /// Difference of the last two timestamps, ms, wrapped.
    time_delta: u64,
    /// Start timestamp of the last sample, ms; 0 if unknown.
    st: i64,
    /// Timestamp of the last sample but one less `st`, ms; set from the first changed start
    /// timestamp on.
    st_delta: i64,
    /// Length of the chunk, bits, header included.
    len: u32,
    samples: u16,
    window: XorWindow,
    /// Third byte of the header.
    st_header: u8,
}

impl Xor2Chunk {
    /// Creates a chunk without samples.
    #[must_use]
    pub fn new() -> Self {
        let mut chunk = Self {
            buffer: Box::default(),
            t: 0,
            v: 0,
            baseline: 0,
            time_delta: 0,
            st: 0,
            st_delta: 0,
            len: 0,
            samples: 0,
            window: XorWindow::NONE,
            st_header: 0,
        };
        chunk.sink().push(0, 8 * HEADER as u32);
        chunk
    }

    /// Creates an open chunk from an encoded one. Bytes after its last sample are dropped.
    ///
    /// Samples appended afterwards are encoded as if the chunk had never been interrupted, unlike
    /// in Prometheus: see [`crate::tsdb::chunk::xor::XorChunk::resume`].
    ///
    /// # Errors
    /// [`ChunkError`] if the bytes are not a complete chunk.
    pub fn resume(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut iter = Xor2Iter::new(bytes);
        for sample in &mut iter {
            sample?;
        }
        let end = 8 * HEADER + iter.bits.position();
        Ok(Self {
            buffer: truncate_to_bits(bytes, end),
            t: iter.t,
            v: iter.v,
            baseline: iter.baseline,
            time_delta: iter.time_delta,
            st: iter.st,
            st_delta: iter.st_delta,
            len: end as u32,
            samples: iter.read,
            window: iter.window,
            st_header: iter.st_header,
        })
    }

    /// Appends a sample with an unknown start timestamp.
    #[inline]
    #[cfg(any(test, feature = "testing"))]
    pub fn append(&mut self, t: i64, v: f64) {
        self.append_with_st(0, t, v);
    }

    /// Appends a sample with its start timestamp in ms; 0 if unknown.
    ///
    /// A chunk of 65535 samples ignores further ones, because its header cannot count them.
    #[inline]
    pub fn append_with_st(&mut self, st: i64, t: i64, v: f64) {
        debug_assert!(self.samples < u16::MAX);
        let bits = v.to_bits();
        match self.samples {
            0 => self.push_first(st, t, bits),
            1 => self.push_second(t, bits),
            u16::MAX => return,
            _ => self.push_following(t, bits),
        }
        if self.samples > 0 {
            self.push_st(st);
        }
        self.st = st;
        self.t = t;
        self.v = bits;
        if bits != STALE_NAN_BITS {
            self.baseline = bits;
        }
        self.samples += 1;
        let [high, low] = self.samples.to_be_bytes();
        let st_header = self.st_header;
        if let Some(header) = self.buffer.first_chunk_mut::<HEADER>() {
            *header = [high, low, st_header];
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

    /// Returns the last sample, or `None` if the chunk is empty.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<FloatSample> {
        (self.samples > 0).then(|| FloatSample::new(self.t, f64::from_bits(self.v)))
    }

    /// Returns the start timestamp of the last sample, ms; 0 if unknown.
    #[inline]
    #[must_use]
    pub fn last_st(&self) -> i64 {
        self.st
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
    fn push_first(&mut self, st: i64, t: i64, bits: u64) {
        self.sink().push_varint(t);
        self.sink().push(bits, 64);
        if st != 0 {
            self.sink().push_varint(t.wrapping_sub(st));
            self.st_header = FIRST_HAS_START;
        }
    }

    #[cold]
    fn push_second(&mut self, t: i64, bits: u64) {
        self.time_delta = t.wrapping_sub(self.t) as u64;
        let step = self.time_delta;
        self.sink().push_uvarint(step);
        self.push_value(bits);
    }

    #[inline]
    fn push_following(&mut self, t: i64, bits: u64) {
        let step = t.wrapping_sub(self.t) as u64;
        let d = step.wrapping_sub(self.time_delta) as i64;
        self.time_delta = step;
        match d {
            0 if bits == self.baseline => return self.sink().push_zeros(1),
            0 if bits == STALE_NAN_BITS => return self.sink().push(0b11111, 5),
            0 => {
                return self.push_in_window(bits, ValueCodes { same: (0b100, 3), new: (0b101, 3) });
            }
            -4096..=4095 => self.sink().push(0b110 << 13 | d as u64 & 0x1fff, 16),
            -524_288..=524_287 => self.sink().push(0b1110 << 20 | d as u64 & 0xf_ffff, 24),
            _ => {
                self.sink().push(0b11110, 5);
                self.sink().push(d as u64, 64);
            }
        }
        self.push_value(bits);
    }

    #[inline]
    fn push_value(&mut self, bits: u64) {
        if bits == self.baseline {
            self.sink().push_zeros(1);
        } else if bits == STALE_NAN_BITS {
            self.sink().push(0b111, 3);
        } else {
            self.push_in_window(bits, ValueCodes { same: (0b10, 2), new: (0b110, 3) });
        }
    }

    /// Writes a value that differs from the baseline.
    #[inline]
    fn push_in_window(&mut self, bits: u64, codes: ValueCodes) {
        let xor = bits ^ self.baseline;
        let best = XorWindow::fitting(xor);
        if self.window.contains(best) {
            let (width, significant) = (self.window.width(), xor >> self.window.trailing);
            return self.push_pair(codes.same, (significant, width));
        }
        self.window = best;
        let (code, n) = codes.new;
        let width = best.width();
        let control = code << 11 | u64::from(best.leading) << 6 | u64::from(width & 63);
        self.push_pair((control, n + 11), (xor >> best.trailing, width));
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

    /// Writes the start timestamp of a sample that is not the first, if the format requires it.
    #[inline]
    fn push_st(&mut self, st: i64) {
        let distance = self.t.wrapping_sub(st);
        if self.st_header & LAST_START_CHANGE != 0 {
            let change = distance.wrapping_sub(self.st_delta);
            varbit::push_signed(&mut self.sink(), change);
        } else if st != self.st || self.samples == u16::from(LAST_START_CHANGE) {
            self.st_header |= self.samples as u8;
            varbit::push_signed(&mut self.sink(), distance);
        } else {
            return;
        }
        self.st_delta = distance;
    }
}

/// Codes before the bits of a value, with their widths: for the current window and for a new one.
#[derive(Clone, Copy)]
struct ValueCodes {
    same: (u64, u32),
    new: (u64, u32),
}

impl Default for Xor2Chunk {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Xor2Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Xor2Chunk({} samples, {} bytes)", self.samples, self.num_bytes())
    }
}
