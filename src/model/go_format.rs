//! Texts of numbers and strings as Go writes them, for responses and messages that equal
//! Prometheus's.
//!
//! Source: Go's `strconv` (`FormatFloat`, `Quote`) and the `encoding` of numbers in Prometheus's
//! HTTP API.

use std::fmt;
use std::sync::LazyLock;

/// Displays the shortest decimal number with the same value, never with an exponent: Go's format
/// `f`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal(pub f64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match special(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Displays the shortest number with the same value, with an exponent below 1e-4 and from 1e6 on:
/// Go's verb `%v`.
#[derive(Clone, Copy, Debug)]
pub struct General(pub f64);

impl fmt::Display for General {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_exponent(f, self.0, 1e-4..1e6)
    }
}

/// Displays the shortest number with the same value, with an exponent below 1e-6 and from 1e21 on:
/// a sample in Prometheus's HTTP API.
#[derive(Clone, Copy, Debug)]
pub struct SampleText(pub f64);

impl fmt::Display for SampleText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_exponent(f, self.0, 1e-6..1e21)
    }
}

/// Writes a number whose size is outside of `plain` with an exponent of at least two digits.
fn write_with_exponent(
    f: &mut fmt::Formatter<'_>,
    value: f64,
    plain: std::ops::Range<f64>,
) -> fmt::Result {
    let size = value.abs();
    if !size.is_finite() || size == 0.0 || plain.contains(&size) {
        return write!(f, "{}", Decimal(value));
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    write!(f, "{digits}e{sign}{exponent:0>2}")
}

/// Returns the name of a number that is not finite.
fn special(value: f64) -> Option<&'static str> {
    match value {
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ if value.is_nan() => Some("NaN"),
        _ => None,
    }
}

/// Displays bytes as a Go string literal in double quotes. Bytes that are not UTF-8 are `\xff`,
/// characters that are not printable have escapes.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                write_escaped(f, c, '"')?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str("\"")
    }
}

/// Displays a character as a Go character literal in single quotes.
#[derive(Clone, Copy, Debug)]
pub struct QuotedChar(pub char);

impl fmt::Display for QuotedChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        write_escaped(f, self.0, '\'')?;
        f.write_str("'")
    }
}

/// Displays the code point of a character and, if it is printable, the character: Go's verb `%#U`.
#[derive(Clone, Copy, Debug)]
pub struct CodePoint(pub char);

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))?;
        if is_printable(self.0) { write!(f, " '{}'", self.0) } else { Ok(()) }
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, c: char, quote: char) -> fmt::Result {
    match c {
        '\\' => f.write_str("\\\\"),
        _ if c == quote => write!(f, "\\{c}"),
        _ if is_printable(c) => write!(f, "{c}"),
        '\u{7}' => f.write_str("\\a"),
        '\u{8}' => f.write_str("\\b"),
        '\u{c}' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\u{b}' => f.write_str("\\v"),
        ..'\u{80}' if c < ' ' || c == '\u{7f}' => write!(f, "\\x{:02x}", u32::from(c)),
        ..'\u{10000}' => write!(f, "\\u{:04x}", u32::from(c)),
        _ => write!(f, "\\U{:08x}", u32::from(c)),
    }
}

/// Returns `true` for the ASCII space, and for letters, marks, numbers, punctuation and symbols of
/// the version of Unicode that Go knows.
fn is_printable(c: char) -> bool {
    static PRINTABLE: LazyLock<Option<regex::Regex>> =
        LazyLock::new(|| regex::Regex::new(r"^[[\p{L}\p{M}\p{N}\p{P}\p{S}]&&\p{age:15.0}]$").ok());
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    let class = PRINTABLE.as_ref();
    class.is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use super::{CodePoint, Decimal, General, Quoted, QuotedChar, SampleText};

    const VALUES: [f64; 12] = [
        1e21,
        1e20,
        123_456_789.125,
        -1.5e-7,
        1e-6,
        1e-5,
        0.1,
        -0.0,
        5e-324,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];

    #[test]
    fn decimal_never_has_an_exponent() {
        let texts = VALUES.map(|value| Decimal(value).to_string());
        assert_eq!(
            texts[..4],
            ["1000000000000000000000", "100000000000000000000", "123456789.125", "-0.00000015"]
        );
        assert_eq!(texts[4..8], ["0.000001", "0.00001", "0.1", "-0"]);
        assert_eq!(texts[8].len(), 326);
        assert_eq!(texts[9..], ["+Inf", "-Inf", "NaN"]);
    }

    #[test]
    fn exponents_begin_where_go_has_them() {
        let general = VALUES.map(|value| General(value).to_string());
        let sample = VALUES.map(|value| SampleText(value).to_string());
        assert_eq!(sample[..4], ["1e+21", "100000000000000000000", "123456789.125", "-1.5e-07"]);
        assert_eq!(sample[4..8], ["0.000001", "0.00001", "0.1", "-0"]);
        assert_eq!(sample[8..], ["5e-324", "+Inf", "-Inf", "NaN"]);
        assert_eq!(general[1..3], ["1e+20", "1.23456789125e+08"]);
        assert_eq!(general[4..8], ["1e-06", "1e-05", "0.1", "-0"]);
        let near_limits = [1e-4, 999_999.5, 1e6].map(|value| General(value).to_string());
        assert_eq!(near_limits, ["0.0001", "999999.5", "1e+06"]);
    }

    #[test]
    fn strings_are_quoted_as_in_go() {
        let quoted = |bytes: &[u8]| Quoted(bytes).to_string();
        assert_eq!(quoted(b"a\"b\\'"), r#""a\"b\\'""#);
        assert_eq!(
            quoted(b"\x00\x07\x08\t\n\x0b\x0c\r\x1b\x7f"),
            r#""\x00\a\b\t\n\v\f\r\x1b\x7f""#
        );
        assert_eq!(
            quoted("é\u{fffd}🔥\u{a0}\u{200b}\u{e000}".as_bytes()),
            "\"é\u{fffd}🔥\\u00a0\\u200b\\ue000\""
        );
        assert_eq!(quoted("\u{10ffff}".as_bytes()), r#""\U0010ffff""#);
        assert_eq!(quoted(b"a\xff\xed\xa0\x80"), r#""a\xff\xed\xa0\x80""#);
        assert_eq!(QuotedChar('\'').to_string(), r"'\''");
        assert_eq!(QuotedChar('"').to_string(), "'\"'");
        assert_eq!(CodePoint('}').to_string(), "U+007D '}'");
        assert_eq!(CodePoint('\n').to_string(), "U+000A");
    }
}
