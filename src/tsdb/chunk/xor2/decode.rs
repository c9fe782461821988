//! Decoder of XOR2 chunks. Format: [`crate::tsdb::chunk::xor2`].
//!
//! The decoder accepts any bytes: it returns at most as many samples as the header states and ends
//! at the first error.

use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
use crate::tsdb::chunk::varbit;
use crate::tsdb::chunk::xor::{ChunkError, XorWindow};
use crate::tsdb::chunk::xor2::{FIRST_HAS_START, HEADER, LAST_START_CHANGE};
use crate::tsdb::encoding::bits::BitReader;

/// Iterator over the samples of an XOR2 chunk. An error is the last item.
#[derive(Clone, Debug)]
pub struct Xor2Iter<'a> {
    pub(super) bits: BitReader<'a>,
    pub(super) t: i64,
    /// Bits of the last value.
    pub(super) v: u64,
    /// Bits of the newest value that is not a stale marker.
    pub(super) baseline: u64,
    pub(super) time_delta: u64,
    pub(super) st: i64,
    /// Timestamp of the previous sample less `st`, ms; set from the first changed start timestamp
    /// on.
    pub(super) st_delta: i64,
    pub(super) window: XorWindow,
    pub(super) read: u16,
    total: u16,
    /// Third byte of the header.
    pub(super) st_header: u8,
}

impl<'a> Xor2Iter<'a> {
    /// Creates an iterator over the encoded chunk `bytes`. Bytes after the last sample are ignored.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        // Without a header, the iterator expects one sample, which fails.
        let (total, st_header, data) = match bytes.split_first_chunk::<HEADER>() {
            Some((&[high, low, st_header], data)) => {
                (u16::from_be_bytes([high, low]), st_header, data)
            }
            None => (1, 0, &bytes[..0]),
        };
        Self {
            bits: BitReader::new(data),
            t: 0,
            v: 0,
            baseline: 0,
            time_delta: 0,
            st: 0,
            st_delta: 0,
            window: XorWindow::NONE,
            read: 0,
            total,
            st_header,
        }
    }

    /// Returns the start timestamp of the last returned sample, ms; 0 if unknown.
    #[inline]
    #[must_use]
    pub fn start_timestamp(&self) -> i64 {
        self.st
    }

    #[cold]
    fn read_first(&mut self) -> Result<(), ChunkError> {
        self.t = self.read_zigzag()?;
        self.v = self.bits.read(64);
        if self.v != STALE_NAN_BITS {
            self.baseline = self.v;
        }
        if self.st_header & FIRST_HAS_START != 0 {
            self.st = self.t.wrapping_sub(self.read_zigzag()?);
        }
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
        let code = ahead.leading_ones();
        match code {
            2 => ahead = self.read_delta_of_delta(ahead, 3, 13),
            3 => ahead = self.read_delta_of_delta(ahead, 4, 20),
            4 => {
                self.bits.skip(5);
                self.time_delta = self.time_delta.wrapping_add(self.bits.read(64));
                ahead = self.bits.peek();
            }
            _ => {}
        }
        self.t = self.t.wrapping_add(self.time_delta as i64);
        match code {
            0 => {
                self.bits.skip(1);
                self.v = self.baseline;
                Ok(())
            }
            1 => self.read_changed_value(ahead << 2),
            2..=4 => self.read_value(ahead),
            _ => {
                self.bits.skip(5);
                self.v = STALE_NAN_BITS;
                Ok(())
            }
        }
    }

    /// Reads `code` bits and an `n`-bit change of the time delta. Returns the unread bits of
    /// `ahead`, at least 33.
    #[inline]
    fn read_delta_of_delta(&mut self, ahead: u64, code: u32, n: u32) -> u64 {
        let change = (ahead << code) as i64 >> (64 - n);
        self.time_delta = self.time_delta.wrapping_add(change as u64);
        self.bits.skip(code + n);
        ahead << (code + n)
    }

    /// Reads the value whose first bits, at least 14, are in `ahead`.
    #[inline]
    fn read_value(&mut self, ahead: u64) -> Result<(), ChunkError> {
        match ahead.leading_ones() {
            0 => {
                self.bits.skip(1);
                self.v = self.baseline;
            }
            1 => {
                self.bits.skip(2);
                self.read_in_window();
            }
            2 => {
                self.bits.skip(3);
                return self.read_in_new_window(ahead << 3);
            }
            _ => {
                self.bits.skip(3);
                self.v = STALE_NAN_BITS;
            }
        }
        Ok(())
    }

    /// Reads, after `10`, the value whose first bits, at least 12, are in `ahead`.
    #[inline]
    fn read_changed_value(&mut self, ahead: u64) -> Result<(), ChunkError> {
        self.bits.skip(3);
        if ahead >> 63 == 0 {
            self.read_in_window();
            return Ok(());
        }
        self.read_in_new_window(ahead << 1)
    }

    #[inline]
    fn read_in_new_window(&mut self, ahead: u64) -> Result<(), ChunkError> {
        self.bits.skip(11);
        let leading = (ahead >> 59) as u8;
        let width = ((ahead >> 53) as u8 & 63).wrapping_sub(1) % 64 + 1;
        if leading + width > 64 {
            return Err(ChunkError::InvalidXorWindow { sample: self.read, leading, width });
        }
        self.window = XorWindow { leading, trailing: 64 - leading - width };
        self.read_in_window();
        Ok(())
    }

    #[inline]
    fn read_in_window(&mut self) {
        // Prometheus's appender, if reopened before any value changed, writes all 64 bits without a
        // window.
        let window = if self.window == XorWindow::NONE {
            XorWindow { leading: 0, trailing: 0 }
        } else {
            self.window
        };
        self.baseline ^= self.bits.read(window.width()) << window.trailing;
        self.v = self.baseline;
    }

    /// Reads the start timestamp after a sample, if there is one. `previous_t` is the timestamp of
    /// the previous sample.
    #[inline]
    fn read_st(&mut self, previous_t: i64) {
        let first = u16::from(self.st_header & LAST_START_CHANGE);
        if first == 0 || self.read < first {
            return;
        }
        let change = varbit::read_signed(&mut self.bits);
        self.st_delta =
            if self.read == first { change } else { self.st_delta.wrapping_add(change) };
        self.st = previous_t.wrapping_sub(self.st_delta);
    }

    fn read_zigzag(&mut self) -> Result<i64, ChunkError> {
        self.bits.varint().ok_or(ChunkError::VarintOverflow { sample: self.read })
    }
}

impl Iterator for Xor2Iter<'_> {
    type Item = Result<FloatSample, ChunkError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.read == self.total {
            return None;
        }
        let previous_t = self.t;
        let outcome = match self.read {
            0 => self.read_first(),
            1 => self.read_second(),
            _ => self.read_following(),
        };
        self.read_st(previous_t);
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
