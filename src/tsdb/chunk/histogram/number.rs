//! One number of the histograms of a chunk, followed from sample to sample: [`Whole`] by the change of its step, [`Real`] by the bits
//! that change.
//!
//! What is remembered is the same for who writes and who reads. The forms stand in the module above.

use crate::tsdb::chunk::varbit;
use crate::tsdb::chunk::xor::Window;
use crate::tsdb::encoding::bits::{BitReader, BitSink};

/// A number of one bucket, or of all of them, as the newest sample has it.
pub trait Number: Copy + std::fmt::Debug {
    /// The number by itself.
    type Plain: Copy + Default + std::fmt::Debug;

    /// How many bits a bucket of the first sample takes at least.
    const LEAST_BITS: usize;

    /// Writes a bucket of the first sample.
    fn push_first(sink: &mut BitSink<'_>, plain: Self::Plain) -> Self;

    /// Writes a count or a zero count of the first sample.
    fn push_first_total(sink: &mut BitSink<'_>, plain: Self::Plain) -> Self;

    /// Writes what the number is now.
    fn push_next(&mut self, sink: &mut BitSink<'_>, plain: Self::Plain);

    /// Writes the count or zero count of a stale marker that is not the first sample.
    fn push_stale_total(&mut self, sink: &mut BitSink<'_>);

    /// Reads a bucket of the first sample.
    fn read_first(bits: &mut BitReader<'_>) -> Self;

    /// Reads a count or a zero count of the first sample.
    fn read_first_total(bits: &mut BitReader<'_>) -> Self;

    /// Reads what the number is now.
    ///
    /// # Errors
    /// [`BadWindow`] where the bits can't be those of a number.
    fn read_next(&mut self, bits: &mut BitReader<'_>) -> Result<(), BadWindow>;

    /// What the number is.
    fn plain(self) -> Self::Plain;

    /// The count of a bucket that is listed as `listed`, behind one with the count `before`.
    fn count(before: Self::Plain, listed: Self::Plain) -> Self::Plain;

    /// How a bucket with this count is listed behind one with the count `before`.
    fn listed(before: Self::Plain, count: Self::Plain) -> Self::Plain;

    /// Whether a bucket's count is less than it was.
    fn has_fallen(from: Self::Plain, to: Self::Plain) -> bool;

    /// Whether the count of all observations, or of those in the zero bucket, is less than it was.
    fn has_total_fallen(from: Self::Plain, to: Self::Plain) -> bool;

    /// Whether a bucket has a count of 0.
    fn is_zero(count: Self::Plain) -> bool;
}

/// A window of bits that reaches beyond the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadWindow {
    /// Number of leading zeros as read.
    pub leading: u8,
    /// Number of significant bits as read.
    pub width: u8,
}

/// A time, a whole count, or the difference of a bucket's count to that of the one before. Unsigned ones are kept wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// The number.
    pub value: i64,
    /// Its step to here.
    step: i64,
}

impl Whole {
    fn advance(&mut self, change: i64) {
        self.step = self.step.wrapping_add(change);
        self.value = self.value.wrapping_add(self.step);
    }
}

impl Number for Whole {
    type Plain = i64;

    const LEAST_BITS: usize = 1;

    #[inline]
    fn push_first(sink: &mut BitSink<'_>, plain: i64) -> Self {
        varbit::push_signed(sink, plain);
        Self { value: plain, step: 0 }
    }

    fn push_first_total(sink: &mut BitSink<'_>, plain: i64) -> Self {
        varbit::push_unsigned(sink, plain as u64);
        Self { value: plain, step: 0 }
    }

    #[inline]
    fn push_next(&mut self, sink: &mut BitSink<'_>, plain: i64) {
        let change = plain.wrapping_sub(self.value).wrapping_sub(self.step);
        varbit::push_signed(sink, change);
        self.advance(change);
    }

    fn push_stale_total(&mut self, sink: &mut BitSink<'_>) {
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
    fn read_next(&mut self, bits: &mut BitReader<'_>) -> Result<(), BadWindow> {
        self.advance(varbit::read_signed(bits));
        Ok(())
    }

    fn plain(self) -> i64 {
        self.value
    }

    fn count(before: i64, listed: i64) -> i64 {
        before.wrapping_add(listed)
    }

    fn listed(before: i64, count: i64) -> i64 {
        count.wrapping_sub(before)
    }

    fn has_fallen(from: i64, to: i64) -> bool {
        to < from
    }

    fn has_total_fallen(from: i64, to: i64) -> bool {
        (to as u64) < from as u64
    }

    fn is_zero(count: i64) -> bool {
        count == 0
    }
}

/// A sum, or a count that is a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Real {
    bits: u64,
    window: Window,
}

impl Default for Real {
    fn default() -> Self {
        Self { bits: 0, window: Window::NONE }
    }
}

impl Number for Real {
    type Plain = f64;

    const LEAST_BITS: usize = 64;

    #[inline]
    fn push_first(sink: &mut BitSink<'_>, plain: f64) -> Self {
        sink.push(plain.to_bits(), 64);
        Self { bits: plain.to_bits(), window: Window::NONE }
    }

    fn push_first_total(sink: &mut BitSink<'_>, plain: f64) -> Self {
        Self::push_first(sink, plain)
    }

    #[inline]
    fn push_next(&mut self, sink: &mut BitSink<'_>, plain: f64) {
        let xor = plain.to_bits() ^ self.bits;
        self.bits = plain.to_bits();
        if xor == 0 {
            return sink.push_zeros(1);
        }
        let best = Window::around(xor);
        if self.window.holds(best) {
            sink.push(0b10, 2);
        } else {
            self.window = best;
            sink.push(0b11 << 11 | u64::from(best.leading) << 6 | u64::from(best.width() & 63), 13);
        }
        sink.push(xor >> self.window.trailing, self.window.width());
    }

    fn push_stale_total(&mut self, sink: &mut BitSink<'_>) {
        self.push_next(sink, 0.0);
    }

    #[inline]
    fn read_first(bits: &mut BitReader<'_>) -> Self {
        Self { bits: bits.read(64), window: Window::NONE }
    }

    fn read_first_total(bits: &mut BitReader<'_>) -> Self {
        Self::read_first(bits)
    }

    #[inline]
    fn read_next(&mut self, bits: &mut BitReader<'_>) -> Result<(), BadWindow> {
        let ahead = bits.peek();
        match ahead.leading_ones() {
            0 => {
                bits.skip(1);
                return Ok(());
            }
            1 => {
                bits.skip(2);
                // Prometheus's appender, continued before the number changed, writes all 64 bits without a window.
                if self.window == Window::NONE {
                    self.bits ^= bits.read(64);
                    return Ok(());
                }
            }
            _ => {
                bits.skip(13);
                let leading = (ahead >> 57) as u8 & 31;
                let width = ((ahead >> 51) as u8).wrapping_sub(1) % 64 + 1;
                if leading + width > 64 {
                    return Err(BadWindow { leading, width });
                }
                self.window = Window { leading, trailing: 64 - leading - width };
            }
        }
        self.bits ^= bits.read(self.window.width()) << self.window.trailing;
        Ok(())
    }

    fn plain(self) -> f64 {
        f64::from_bits(self.bits)
    }

    fn count(_before: f64, listed: f64) -> f64 {
        listed
    }

    fn listed(_before: f64, count: f64) -> f64 {
        count
    }

    fn has_fallen(from: f64, to: f64) -> bool {
        to < from
    }

    fn has_total_fallen(from: f64, to: f64) -> bool {
        to < from
    }

    fn is_zero(count: f64) -> bool {
        count == 0.0
    }
}
