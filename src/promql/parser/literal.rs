//! Values of numbers and durations.
//!
//! Source: Go's `strconv.ParseInt` and `ParseFloat`; `ParseDuration` in `model/time.go` of
//! Prometheus's common library.

use super::tokens::Tokens;
use crate::promql::ast::expr::NumberLiteral;
use crate::promql::error::{DurationError, NumberError, ParseError, Problem};
use crate::promql::lexer::token::{Token, TokenKind};

/// Maximum length of a duration, nanoseconds.
const MAX_NANOS: u64 = i64::MAX as u64;
/// Units of durations in the order in which they must occur, nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000_000_000),
    ("w", 7 * 24 * 3_600_000_000_000),
    ("d", 24 * 3_600_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Returns the value of a number or duration.
pub(super) fn number(tokens: &Tokens<'_>, token: Token) -> Result<NumberLiteral, ParseError> {
    let text = tokens.word(token);
    let is_duration = token.kind == TokenKind::Duration;
    let value = if is_duration { duration_seconds(text) } else { number_value(text) };
    let value = value.map_err(|problem| tokens.error(token.span, problem))?;
    Ok(NumberLiteral { value, is_duration })
}

/// Returns the value of a number: an integer, which is octal with a leading zero, or a float.
fn number_value(text: &str) -> Result<f64, Problem> {
    if let Some(integer) = integer(text) {
        return Ok(integer as f64);
    }
    let error = |reason| Problem::Number { text: text.to_owned(), reason };
    let value = without_underscores(text).and_then(|digits| digits.parse::<f64>().ok());
    let value = value.ok_or_else(|| error(NumberError::Syntax))?;
    let is_named = text.starts_with(|first: char| first.is_ascii_alphabetic());
    if value.is_infinite() && !is_named { Err(error(NumberError::Range)) } else { Ok(value) }
}

/// Returns the value of a number that is an integer.
fn integer(text: &str) -> Option<i64> {
    let digits = without_underscores(text)?;
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (&*digits, 10),
    };
    i64::from_str_radix(digits, radix).ok()
}

/// Returns the number without the underscores between its digits; `None` if one is elsewhere. The
/// prefix of a hexadecimal number counts as a digit.
fn without_underscores(text: &str) -> Option<String> {
    let is_hex = text.starts_with("0x") || text.starts_with("0X");
    let is_digit =
        |byte: &u8| if is_hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    let bytes = text.as_bytes();
    let is_between_digits = |at: usize| {
        let follows_digit = bytes[..at].last().is_some_and(is_digit) || is_hex && at == 2;
        follows_digit && bytes.get(at + 1).is_some_and(is_digit)
    };
    let mut underscores = (0..bytes.len()).filter(|at| bytes[*at] == b'_');
    underscores.all(is_between_digits).then(|| text.replace('_', ""))
}

/// Returns the length of a duration, seconds.
fn duration_seconds(text: &str) -> Result<f64, Problem> {
    let nanos = duration_nanos(text)?;
    // Prometheus adds seconds and the rest as floats.
    Ok((nanos / 1_000_000_000) as f64 + (nanos % 1_000_000_000) as f64 / 1e9)
}

fn duration_nanos(text: &str) -> Result<u64, DurationError> {
    let invalid = || DurationError::Invalid { text: text.to_owned() };
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit_len = rest.bytes().take_while(|b| !b.is_ascii_digit()).count();
        let (unit, behind) = rest.split_at(unit_len);
        rest = behind;
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(DurationError::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            });
        }
        let (_, nanos) = units.by_ref().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let sum = number.checked_mul(*nanos).and_then(|part| total.checked_add(part));
        total = sum.filter(|sum| *sum <= MAX_NANOS).ok_or(DurationError::OutOfRange)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::{duration_nanos, number_value};
    use crate::promql::error::DurationError;

    #[test]
    fn numbers_have_the_values_of_go() {
        for (text, expected) in [
            ("1", 1.0),
            ("017", 15.0),
            ("018", 18.0),
            ("1_000", 1000.0),
            ("0x1F", 31.0),
            ("0X_ff", 255.0),
            ("0_17", 15.0),
            (".5", 0.5),
            ("1.", 1.0),
            ("1_0.5e1_0", 10.5e10),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("1e-400", 0.0),
            ("INF", f64::INFINITY),
        ] {
            assert_eq!(number_value(text), Ok(expected), "{text}");
        }
        assert!(number_value("nAn").is_ok_and(f64::is_nan));
    }

    #[test]
    fn invalid_number_has_the_message_of_go() {
        let message = |text| number_value(text).map_err(|problem| problem.to_string());
        let prefix = "error parsing number: strconv.ParseFloat: parsing";
        for (text, reason) in [
            ("1e", "invalid syntax"),
            ("1e+", "invalid syntax"),
            ("1_", "invalid syntax"),
            ("0._1", "invalid syntax"),
            ("0x1_", "invalid syntax"),
            ("1e1.5", "invalid syntax"),
            ("0x", "invalid syntax"),
            ("0x10000000000000000", "invalid syntax"),
            ("1e309", "value out of range"),
        ] {
            assert_eq!(message(text), Err(format!("{prefix} \"{text}\": {reason}")));
        }
    }

    #[test]
    fn durations_have_ordered_units() {
        assert_eq!(duration_nanos("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(duration_nanos("1s5ms"), Ok(1_005_000_000));
        assert_eq!(duration_nanos("292y"), Ok(9_208_512_000_000_000_000));
        let invalid = |text: &str| DurationError::Invalid { text: text.to_owned() };
        assert_eq!(duration_nanos("30m1h"), Err(invalid("30m1h")));
        assert_eq!(duration_nanos("1m1m"), Err(invalid("1m1m")));
        let text = "99999999999999999999s";
        assert_eq!(duration_nanos(text), Err(invalid(text)));
        assert_eq!(duration_nanos("293y"), Err(DurationError::OutOfRange));
        let (unit, text) = ("hs".to_owned(), "1hs".to_owned());
        assert_eq!(duration_nanos("1hs"), Err(DurationError::UnknownUnit { unit, text }));
    }
}
