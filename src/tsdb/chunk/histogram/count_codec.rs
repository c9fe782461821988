//! Codecs of one number over the samples of a histogram chunk: [`DeltaOfDelta`] and [`XorFloat`].
//!
//! Encoder and decoder share the state. Format: [`crate::tsdb::chunk::histogram`].

use crate::tsdb::chunk::varbit;
use crate::tsdb::chunk::xor::XorWindow;
use crate::tsdb::encoding::bits::{BitReader, BitWriter};

/// Codec with the state of one number: a bucket, a count, a timestamp or a sum.
pub trait CountCodec: Copy + std::fmt::Debug {
    /// Number without codec state.
    type Raw: Copy + Default + std::fmt::Debug;

    /// Minimum size of a bucket in the first sample, bits.
    const MIN_BITS: usize;

    /// Writes a bucket of the first sample.
    fn push_first(sink: &mut BitWriter<'_>, raw: Self::Raw) -> Self;

    /// Writes the count or zero count of the first sample.
    fn push_first_total(sink: &mut BitWriter<'_>, raw: Self::Raw) -> Self;

    /// Writes the number of the next sample.
    fn push_next(&mut self, sink: &mut BitWriter<'_>, raw: Self::Raw);

    /// Writes the count or zero count of a stale marker that is not the first sample.
    fn push_stale_total(&mut self, sink: &mut BitWriter<'_>);

    /// Reads a bucket of the first sample.
    fn read_first(bits: &mut BitReader<'_>) -> Self;

    /// Reads the count or zero count of the first sample.
    fn read_first_total(bits: &mut BitReader<'_>) -> Self;

    /// Reads the number of the next sample.
    ///
    /// # Errors
    /// [`XorWindowError`] if a window exceeds the number.
    fn read_next(&mut self, bits: &mut BitReader<'_>) -> Result<(), XorWindowError>;

    /// Returns the number of the last sample.
    fn raw(self) -> Self::Raw;

    /// Returns the count of a bucket from its stored form and the count of the previous bucket.
    fn to_absolute(previous: Self::Raw, stored: Self::Raw) -> Self::Raw;

    /// Returns the stored form of a bucket with this count after a bucket with the count
    /// `previous`.
    fn to_stored(previous: Self::Raw, count: Self::Raw) -> Self::Raw;

    /// Returns `true` if the count of a bucket has decreased.
    fn has_decreased(from: Self::Raw, to: Self::Raw) -> bool;

    /// Returns `true` if the count of all observations or of the zero bucket has decreased.
    fn has_total_decreased(from: Self::Raw, to: Self::Raw) -> bool;

    /// Returns `true` if the count of a bucket is 0.
    fn is_zero(count: Self::Raw) -> bool;
}

/// Window that exceeds the 64 bits of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XorWindowError {
    /// Number of leading zeros, as stored.
    pub leading: u8,
    /// Number of significant bits, as stored.
    pub width: u8,
}

/// Codec of a timestamp, an integer count, or the delta of a bucket to the previous one. Unsigned
/// numbers are wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaOfDelta {
    /// Number in the last sample.
    pub value: i64,
    /// Difference to the previous number, wrapped.
    delta: i64,
}

impl DeltaOfDelta {
    fn advance(&mut self, change: i64) {
        self.delta = self.delta.wrapping_add(change);
        self.value = self.value.wrapping_add(self.delta);
    }
}

impl CountCodec for DeltaOfDelta {
    type Raw = i64;

    const MIN_BITS: usize = 1;

    #[inline]
    fn push_first(sink: &mut BitWriter<'_>, raw: i64) -> Self {
        varbit::push_signed(sink, raw);
        Self { value: raw, delta: 0 }
    }

    fn push_first_total(sink: &mut BitWriter<'_>, raw: i64) -> Self {
        varbit::push_unsigned(sink, raw as u64);
        Self { value: raw, delta: 0 }
    }

    #[inline]
    fn push_next(&mut self, sink: &mut BitWriter<'_>, raw: i64) {
        let change = raw.wrapping_sub(self.value).wrapping_sub(self.delta);
        varbit::push_signed(sink, change);
        self.advance(change);
    }

    fn push_stale_total(&mut self, sink: &mut BitWriter<'_>) {
        sink.push_zeros(1);
        self.advance(0);
    }

    #[inline]
    fn read_first(bits: &mut BitReader<'_>) -> Self {
        Self { value: varbit::read_signed(bits), delta: 0 }
    }

    fn read_first_total(bits: &mut BitReader<'_>) -> Self {
        Self { value: varbit::read_unsigned(bits) as i64, delta: 0 }
    }

    #[inline]
    fn read_next(&mut self, bits: &mut BitReader<'_>) -> Result<(), XorWindowError> {
        self.advance(varbit::read_signed(bits));
        Ok(())
    }

    fn raw(self) -> i64 {
        self.value
    }

    fn to_absolute(previous: i64, stored: i64) -> i64 {
        previous.wrapping_add(stored)
    }

    fn to_stored(previous: i64, count: i64) -> i64 {
        count.wrapping_sub(previous)
    }

    fn has_decreased(from: i64, to: i64) -> bool {
        to < from
    }

    fn has_total_decreased(from: i64, to: i64) -> bool {
        (to as u64) < from as u64
    }

    fn is_zero(count: i64) -> bool {
        count == 0
    }
}

/// Codec of a sum or a float count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XorFloat {
    bits: u64,
    window: XorWindow,
}

impl Default for XorFloat {
    fn default() -> Self {
        Self { bits: 0, window: XorWindow::NONE }
    }
}

impl CountCodec for XorFloat {
    type Raw = f64;

    const MIN_BITS: usize = 64;

    #[inline]
    fn push_first(sink: &mut BitWriter<'_>, raw: f64) -> Self {
        sink.push(raw.to_bits(), 64);
        Self { bits: raw.to_bits(), window: XorWindow::NONE }
    }

    fn push_first_total(sink: &mut BitWriter<'_>, raw: f64) -> Self {
        Self::push_first(sink, raw)
    }

    #[inline]
    fn push_next(&mut self, sink: &mut BitWriter<'_>, raw: f64) {
        let xor = raw.to_bits() ^ self.bits;
        self.bits = raw.to_bits();
        if xor == 0 {
            return sink.push_zeros(1);
        }
        let best = XorWindow::fitting(xor);
        if self.window.contains(best) {
            sink.push(0b10, 2);
        } else {
            self.window = best;
            sink.push(0b11 << 11 | u64::from(best.leading) << 6 | u64::from(best.width() & 63), 13);
        }
        sink.push(xor >> self.window.trailing, self.window.width());
    }

    fn push_stale_total(&mut self, sink: &mut BitWriter<'_>) {
        self.push_next(sink, 0.0);
    }

    #[inline]
    fn read_first(bits: &mut BitReader<'_>) -> Self {
        Self { bits: bits.read(64), window: XorWindow::NONE }
    }

    fn read_first_total(bits: &mut BitReader<'_>) -> Self {
        Self::read_first(bits)
    }

    #[inline]
    fn read_next(&mut self, bits: &mut BitReader<'_>) -> Result<(), XorWindowError> {
        let ahead = bits.peek();
        match ahead.leading_ones() {
            0 => {
                bits.skip(1);
                return Ok(());
            }
            1 => {
                bits.skip(2);
                // Prometheus's appender, if reopened before the number changed, writes all 64 bits
                // without a window.
                if self.window == XorWindow::NONE {
                    self.bits ^= bits.read(64);
                    return Ok(());
                }
            }
            _ => {
                bits.skip(13);
                let leading = (ahead >> 57) as u8 & 31;
                let width = ((ahead >> 51) as u8).wrapping_sub(1) % 64 + 1;
                if leading + width > 64 {
                    return Err(XorWindowError { leading, width });
                }
                self.window = XorWindow { leading, trailing: 64 - leading - width };
            }
        }
        self.bits ^= bits.read(self.window.width()) << self.window.trailing;
        Ok(())
    }

    fn raw(self) -> f64 {
        f64::from_bits(self.bits)
    }

    fn to_absolute(_previous: f64, stored: f64) -> f64 {
        stored
    }

    fn to_stored(_previous: f64, count: f64) -> f64 {
        count
    }

    fn has_decreased(from: f64, to: f64) -> bool {
        to < from
    }

    fn has_total_decreased(from: f64, to: f64) -> bool {
        to < from
    }

    fn is_zero(count: f64) -> bool {
        count == 0.0
    }
}
