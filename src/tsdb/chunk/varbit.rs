//! Variable-width integers of XOR2 and histogram chunks, in the format of Prometheus.
//!
//! ```text
//! signed                                               unsigned
//! 0                  0                                 0
//! 10       +  3 bits  -3..=4                           0..=7
//! 110      +  6 bits  -31..=32                         0..=63
//! 1110     +  9 bits  -255..=256                       0..=511
//! 11110    + 12 bits  -2047..=2048                     0..=4095
//! 111110   + 18 bits  -131071..=131072                 0..=262143
//! 1111110  + 25 bits  -16777215..=16777216             0..=33554431
//! 11111110 + 56 bits  -(2^55 - 1)..=2^55               0..=2^56 - 1
//! 11111111 + 64 bits  any other                        any other
//! ```
//!
//! Every number is written in its shortest form. After the last bit a reader sees zeros, so that
//! every read ends.
//!
//! Source: `tsdb/chunkenc/varbit.go` of Prometheus.

use crate::tsdb::encoding::bits::{BitReader, BitWriter};

/// Payload widths of the forms with 1 to 7 leading ones, bits.
const WIDTHS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

/// Writes a signed number.
#[inline]
pub(super) fn push_signed(sink: &mut BitWriter<'_>, value: i64) {
    if value == 0 {
        return sink.push_zeros(1);
    }
    let fits = |width: u32| {
        let half = 1 << (width - 1);
        (1 - half..=half).contains(&value)
    };
    push(sink, value as u64, fits);
}

/// Writes an unsigned number.
#[inline]
pub(super) fn push_unsigned(sink: &mut BitWriter<'_>, value: u64) {
    if value == 0 {
        return sink.push_zeros(1);
    }
    push(sink, value, |width| value >> width == 0);
}

/// Writes the low bits of `value` in the first form that fits.
#[inline]
fn push(sink: &mut BitWriter<'_>, value: u64, fits: impl Fn(u32) -> bool) {
    for (ones, width) in (1..).zip(WIDTHS) {
        if fits(width) {
            let code = (1 << (ones + 1)) - 2;
            return sink.push(code << width | value & ((1 << width) - 1), ones + 1 + width);
        }
    }
    sink.push(0xff, 8);
    sink.push(value, 64);
}

/// Reads a signed number.
#[inline]
pub(super) fn read_signed(bits: &mut BitReader<'_>) -> i64 {
    let raw = read(bits);
    // The range is -(2^(n-1) - 1)..=2^(n-1), not that of two's complement.
    let negative = raw.width < 64 && raw.value > 1 << raw.width >> 1;
    if negative { raw.value.wrapping_sub(1 << raw.width) as i64 } else { raw.value as i64 }
}

/// Reads an unsigned number.
#[inline]
pub(super) fn read_unsigned(bits: &mut BitReader<'_>) -> u64 {
    read(bits).value
}

/// Number as encoded, without sign extension.
struct VarbitCode {
    value: u64,
    /// Number of payload bits after the code; 0 for the number 0.
    width: u32,
}

#[inline]
fn read(bits: &mut BitReader<'_>) -> VarbitCode {
    let ahead = bits.peek();
    let ones = ahead.leading_ones().min(8);
    match ones {
        0 => {
            bits.skip(1);
            VarbitCode { value: 0, width: 0 }
        }
        1..=6 => {
            let width = WIDTHS[ones as usize - 1];
            bits.skip(ones + 1 + width);
            VarbitCode { value: ahead << (ones + 1) >> (64 - width), width }
        }
        _ => {
            bits.skip(8);
            let width = if ones == 7 { 56 } else { 64 };
            VarbitCode { value: bits.read(width), width }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{push_signed, push_unsigned, read_signed, read_unsigned};
    use crate::tsdb::encoding::bits::{BitReader, BitWriter};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn encoded_length_matches_the_format() {
        let limits = [
            (4, 5),
            (32, 9),
            (256, 13),
            (2048, 17),
            (131_072, 24),
            (16_777_216, 32),
            (1 << 55, 64),
        ];
        let len = |push: &dyn Fn(&mut BitWriter<'_>)| {
            let (mut buffer, mut len) = (Box::default(), 0);
            push(&mut BitWriter { buffer: &mut buffer, len: &mut len });
            len
        };
        assert_eq!(
            (len(&|sink| push_signed(sink, 0)), len(&|sink| push_unsigned(sink, 0))),
            (1, 1)
        );
        for (i, &(limit, bits)) in limits.iter().enumerate() {
            let next = limits.get(i + 1).map_or(72, |&(_, bits)| bits);
            for (value, expected) in
                [(limit, bits), (1 - limit, bits), (limit + 1, next), (-limit, next)]
            {
                assert_eq!(len(&|sink| push_signed(sink, value)), expected, "{value}");
            }
            let max = (limit as u64) * 2 - 1;
            assert_eq!(len(&|sink| push_unsigned(sink, max)), bits, "{max}");
            assert_eq!(len(&|sink| push_unsigned(sink, max + 1)), next, "{max}");
        }
    }

    proptest! {
        #[test]
        fn numbers_round_trip(
            values in proptest::collection::vec((any::<i64>(), 0..64u32), 0..50),
        ) {
            let values: Vec<i64> =
                values.into_iter().map(|(value, shift)| value >> shift).collect();
            let (mut buffer, mut len) = (Box::default(), 0);
            for &value in &values {
                push_signed(&mut BitWriter { buffer: &mut buffer, len: &mut len }, value);
                push_unsigned(&mut BitWriter { buffer: &mut buffer, len: &mut len }, value as u64);
            }
            let mut bits = BitReader::new(&buffer[..len.div_ceil(8) as usize]);
            for value in values {
                prop_assert_eq!(read_signed(&mut bits), value);
                prop_assert_eq!(read_unsigned(&mut bits), value as u64);
            }
            prop_assert_eq!(bits.position(), len as usize);
        }
    }
}
