//! Numbers of the text formats, and the canonical form of bucket bounds and quantiles.

use crate::exposition::canonical_number::push_canonical_number;
use crate::exposition::parse_error::TextProblem;

/// Bits of every NaN that a text body can express.
const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;
/// Maximum number of digits of an integer that every float can hold.
const EXACT_DIGITS: usize = 15;

/// Parses a value. Accepts decimal notation, `NaN`, and `Inf` or `Infinity` with a sign, all in any
/// case. Every NaN has the same bits.
pub(crate) fn parse_value(text: &[u8]) -> Result<f64, TextProblem> {
    if let Some(integer) = parse_short_integer(text) {
        return Ok(integer);
    }
    if text.iter().any(|byte| matches!(byte, b'p' | b'P' | b'_')) {
        return Err(TextProblem::FloatCharacter);
    }
    let text = std::str::from_utf8(text).map_err(|_| TextProblem::InvalidFloat)?;
    parse_decimal(text)
}

fn parse_short_integer(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text.len() > EXACT_DIGITS {
        return None;
    }
    let mut integer = 0u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        integer = integer * 10 + u64::from(digit);
    }
    Some(integer as f64)
}

fn parse_decimal(text: &str) -> Result<f64, TextProblem> {
    let value: f64 = text.parse().map_err(|_| TextProblem::InvalidFloat)?;
    let is_signed = text.starts_with(['+', '-']);
    if value.is_nan() {
        // Rust parses a NaN with a sign, the formats do not have one.
        return if is_signed {
            Err(TextProblem::InvalidFloat)
        } else {
            Ok(f64::from_bits(NORMAL_NAN_BITS))
        };
    }
    let is_word = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    if value.is_infinite() && !is_word {
        return Err(TextProblem::FloatRange);
    }
    Ok(value)
}

/// Parses a timestamp of the text format: digits, ms.
pub(crate) fn parse_millis(text: &[u8]) -> Result<i64, TextProblem> {
    let digits = std::str::from_utf8(text).map_err(|_| TextProblem::InvalidTimestamp)?;
    digits.parse().map_err(|_| TextProblem::InvalidTimestamp)
}

/// Parses a timestamp of OpenMetrics, seconds, and returns milliseconds without a fraction.
pub(crate) fn parse_seconds(text: &[u8]) -> Result<i64, TextProblem> {
    let seconds = parse_value(text)?;
    if seconds.is_finite() {
        Ok(seconds_to_millis(seconds))
    } else {
        Err(TextProblem::InvalidTimestamp)
    }
}

/// Converts seconds to milliseconds without a fraction. Values outside of the range become the
/// smallest integer, as in Prometheus on x86.
pub(crate) fn seconds_to_millis(seconds: f64) -> i64 {
    let millis = seconds * 1000.0;
    // The upper bound is 2^63, which is no i64.
    if millis >= i64::MIN as f64 && millis < i64::MAX as f64 { millis as i64 } else { i64::MIN }
}

/// Appends the canonical form of a bound or quantile: the shortest decimal notation, with `.0` if
/// it would look like an integer. Text that is not a number is appended unchanged.
///
/// Hexadecimal numbers and numbers with underscores count as text.
pub(crate) fn push_canonical(out: &mut String, text: &str) {
    let value = match parse_decimal(text) {
        Ok(value) => value,
        Err(_) => return out.push_str(text),
    };
    push_canonical_number(out, value);
}

#[cfg(test)]
mod tests {
    use super::{TextProblem, parse_millis, parse_seconds, parse_value, push_canonical};

    #[test]
    fn values_have_decimal_notation() {
        for (text, bits) in [
            ("0", 0),
            ("-0", (-0.0f64).to_bits()),
            ("+0", 0),
            ("1", 1.0f64.to_bits()),
            ("00000000000000001", 1.0f64.to_bits()),
            ("999999999999999", 999_999_999_999_999.0f64.to_bits()),
            ("9007199254740993", 9_007_199_254_740_992.0f64.to_bits()),
            ("1e3", 1000.0f64.to_bits()),
            ("1E+3", 1000.0f64.to_bits()),
            (".5", 0.5f64.to_bits()),
            ("5.", 5.0f64.to_bits()),
            ("-1.5e-3", (-0.0015f64).to_bits()),
            ("1e-400", 0),
            ("4.9e-324", 1),
            ("1.7976931348623157e308", f64::MAX.to_bits()),
            ("NaN", 0x7ff8_0000_0000_0001),
            ("nan", 0x7ff8_0000_0000_0001),
            ("Inf", f64::INFINITY.to_bits()),
            ("+iNf", f64::INFINITY.to_bits()),
            ("-INFINITY", f64::NEG_INFINITY.to_bits()),
        ] {
            assert_eq!(parse_value(text.as_bytes()).map(f64::to_bits), Ok(bits), "{text}");
        }
    }

    #[test]
    fn other_notations_are_errors() {
        for (text, problem) in [
            ("", TextProblem::InvalidFloat),
            ("one", TextProblem::InvalidFloat),
            ("0x10", TextProblem::InvalidFloat),
            ("0b1", TextProblem::InvalidFloat),
            ("1,5", TextProblem::InvalidFloat),
            ("+NaN", TextProblem::InvalidFloat),
            ("-nan", TextProblem::InvalidFloat),
            ("NaN(2)", TextProblem::InvalidFloat),
            ("infin", TextProblem::InvalidFloat),
            ("1e", TextProblem::InvalidFloat),
            ("e1", TextProblem::InvalidFloat),
            (".", TextProblem::InvalidFloat),
            ("+", TextProblem::InvalidFloat),
            ("--1", TextProblem::InvalidFloat),
            ("1\r", TextProblem::InvalidFloat),
            ("\u{661}", TextProblem::InvalidFloat),
            ("1e309", TextProblem::FloatRange),
            ("-1e309", TextProblem::FloatRange),
            ("1_000", TextProblem::FloatCharacter),
            ("0x1p3", TextProblem::FloatCharacter),
            ("P", TextProblem::FloatCharacter),
        ] {
            assert_eq!(parse_value(text.as_bytes()), Err(problem), "{text}");
        }
        assert_eq!(parse_value(b"1\xff"), Err(TextProblem::InvalidFloat));
    }

    #[test]
    fn timestamps_are_integers_or_seconds() {
        assert_eq!(parse_millis(b"0"), Ok(0));
        assert_eq!(parse_millis(b"9223372036854775807"), Ok(i64::MAX));
        assert_eq!(parse_millis(b"9223372036854775808"), Err(TextProblem::InvalidTimestamp));
        for (text, millis) in [
            ("1.5", Ok(1500)),
            ("-1.5", Ok(-1500)),
            ("1520879607.789", Ok(1_520_879_607_789)),
            ("0.0019", Ok(1)),
            ("-0.0019", Ok(-1)),
            ("1e30", Ok(i64::MIN)),
            ("-1e30", Ok(i64::MIN)),
            ("9223372036854775.807", Ok(i64::MIN)),
            ("NaN", Err(TextProblem::InvalidTimestamp)),
            ("+Inf", Err(TextProblem::InvalidTimestamp)),
            ("x", Err(TextProblem::InvalidFloat)),
        ] {
            assert_eq!(parse_seconds(text.as_bytes()), millis, "{text}");
        }
    }

    #[test]
    fn bounds_are_canonical() {
        for (text, canonical) in [
            ("0", "0.0"),
            ("-0", "0.0"),
            ("1", "1.0"),
            ("-1", "-1.0"),
            ("1.50", "1.5"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("100000", "100000.0"),
            ("999999.5", "999999.5"),
            ("1000000", "1e+06"),
            ("1234567", "1.234567e+06"),
            ("1e6", "1e+06"),
            ("1e-7", "1e-07"),
            ("1e100", "1e+100"),
            ("+Inf", "+Inf"),
            ("inf", "+Inf"),
            ("-Infinity", "-Inf"),
            ("nan", "NaN"),
            ("0.1", "0.1"),
            ("", ""),
            ("x", "x"),
            ("1e309", "1e309"),
            (" 1", " 1"),
            ("0x1p3", "0x1p3"),
            ("1_0", "1_0"),
        ] {
            let mut out = String::from("le=");
            push_canonical(&mut out, text);
            assert_eq!(out, format!("le={canonical}"));
        }
    }
}
