//! One number of the histograms of a chunk, followed from sample to sample: [`DeltaOfDelta`] by the change of its step, [`XorFloat`] by the bits
//! that change.
//!
//! What is remembered is the same for who writes and who reads. The forms stand in the module above.

use crate::tsdb::chunk::varbit;
use crate::tsdb::chunk::xor::XorWindow;
use crate::tsdb::encoding::bits::{BitReader, BitWriter};

/// A number of one bucket, or of all of them, as the newest sample has it.
pub trait CountCodec: Copy + std::fmt::Debug {
    /// The number by itself.
    type Raw: Copy + Default + std::fmt::Debug;

    /// How many bits a bucket of the first sample takes at least.
    const MIN_BITS: usize;

    /// Writes a bucket of the first sample.
    fn push_first(sink: &mut BitWriter<'_>, plain: Self::Raw) -> Self;

    /// Writes a count or a zero count of the first sample.
    fn push_first_total(sink: &mut BitWriter<'_>, plain: Self::Raw) -> Self;

    /// Writes what the number is now.
    fn push_next(&mut self, sink: &mut BitWriter<'_>, plain: Self::Raw);

    /// Writes the count or zero count of a stale marker that is not the first sample.
    fn push_stale_total(&mut self, sink: &mut BitWriter<'_>);

    /// Reads a bucket of the first sample.
    fn read_first(bits: &mut BitReader<'_>) -> Self;

    /// Reads a count or a zero count of the first sample.
    fn read_first_total(bits: &mut BitReader<'_>) -> Self;

    /// Reads what the number is now.
    ///
    /// # Errors
    /// [`XorWindowError`] where the bits can't be those of a number.
    fn read_next(&mut self, bits: &mut BitReader<'_>) -> Result<(), XorWindowError>;

    /// What the number is.
    fn raw(self) -> Self::Raw;

    /// The count of a bucket that is listed as `to_stored`, behind one with the count `before`.
    fn to_absolute(before: Self::Raw, listed: Self::Raw) -> Self::Raw;

    /// How a bucket with this count is listed behind one with the count `before`.
    fn to_stored(before: Self::Raw, count: Self::Raw) -> Self::Raw;

    /// Whether a bucket's count is less than it was.
    fn has_decreased(from: Self::Raw, to: Self::Raw) -> bool;

    /// Whether the count of all observations, or of those in the zero bucket, is less than it was.
    fn has_total_decreased(from: Self::Raw, to: Self::Raw) -> bool;

    /// Whether a bucket has a count of 0.
    fn is_zero(count: Self::Raw) -> bool;
}

/// A window of bits that reaches beyond the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XorWindowError {
    /// Number of leading zeros as read.
    pub leading: u8,
    /// Number of significant bits as read.
    pub width: u8,
}

/// A time, a whole count, or the difference of a bucket's count to that of the one before. Unsigned ones are kept wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaOfDelta {
    /// The number.
    pub value: i64,
    /// Its step to here.
    step: i64,
}

impl DeltaOfDelta {
    fn advance(&mut self, change: i64) {
        self.step = self.step.wrapping_add(change);
        self.value = self.value.wrapping_add(self.step);
    }
}

impl CountCodec for DeltaOfDelta {
    type Raw = i64;

    const MIN_BITS: usize = 1;

    #[inline]
    fn push_first(sink: &mut BitWriter<'_>, plain: i64) -> Self {
        varbit::push_signed(sink, plain);
        Self { value: plain, step: 0 }
    }

    fn push_first_total(sink: &mut BitWriter<'_>, plain: i64) -> Self {
        varbit::push_unsigned(sink, plain as u64);
        Self { value: plain, step: 0 }
    }

    #[inline]
    fn push_next(&mut self, sink: &mut BitWriter<'_>, plain: i64) {
        let change = plain.wrapping_sub(self.value).wrapping_sub(self.step);
        varbit::push_signed(sink, change);
        self.advance(change);
    }

    fn push_stale_total(&mut self, sink: &mut BitWriter<'_>) {
        sink.push_zeros(1);
        self.advance(0);
    }

    #[inline]
    fn read_first(bits: &mut BitReader<'_>) -> Self {
        Self { value: varbit::read_signed(bits), step: 0 }
    }

    fn read_first_total(bits: &mut BitReader<'_>) -> Self {
        Self { value: varbit::read_unsigned(bits) as i64, step: 0 }
    }

    #[inline]
    fn read_next(&mut self, bits: &mut BitReader<'_>) -> Result<(), XorWindowError> {
        self.advance(varbit::read_signed(bits));
        Ok(())
    }

    fn raw(self) -> i64 {
        self.value
    }

    fn to_absolute(before: i64, listed: i64) -> i64 {
        before.wrapping_add(listed)
    }

    fn to_stored(before: i64, count: i64) -> i64 {
        count.wrapping_sub(before)
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

/// A sum, or a count that is a float.
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
    fn push_first(sink: &mut BitWriter<'_>, plain: f64) -> Self {
        sink.push(plain.to_bits(), 64);
        Self { bits: plain.to_bits(), window: XorWindow::NONE }
    }

    fn push_first_total(sink: &mut BitWriter<'_>, plain: f64) -> Self {
        Self::push_first(sink, plain)
    }

    #[inline]
    fn push_next(&mut self, sink: &mut BitWriter<'_>, plain: f64) {
        let xor = plain.to_bits() ^ self.bits;
        self.bits = plain.to_bits();
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
                // Prometheus's appender, continued before the number changed, writes all 64 bits without a window.
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

    fn to_absolute(_before: f64, listed: f64) -> f64 {
        listed
    }

    fn to_stored(_before: f64, count: f64) -> f64 {
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
