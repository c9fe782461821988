//! Plain scalars as the YAML 1.1 library of Prometheus resolves them.
//!
//! Source: `resolve.go` of go-yaml 2.

use crate::config::yaml::tree::Scalar;

/// Value of a scalar. Text that looks like a date is text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    /// Integer or float; an integer beyond 64 bits is a float.
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    Text,
}

/// Returns the value of a scalar.
pub(super) fn resolve(scalar: &Scalar) -> Resolved {
    if !scalar.is_plain {
        return Resolved::Text;
    }
    match scalar.text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        text => number(text),
    }
}

fn number(text: &str) -> Resolved {
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return Resolved::Text;
    }
    let digits = text.replace('_', "");
    let (negative, magnitude) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    if let Some(number) = integer(magnitude) {
        return match (negative, i64::try_from(number)) {
            (false, _) => Resolved::Unsigned(number),
            (true, Ok(number)) => Resolved::Negative(-number),
            (true, Err(_)) => Resolved::Float(-(number as f64)),
        };
    }
    // Rust also parses words such as "inf", which have another form in YAML.
    let is_float = magnitude.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && magnitude.bytes().any(|b| b.is_ascii_digit());
    match digits.parse::<f64>() {
        Ok(number) if is_float => Resolved::Float(number),
        _ => Resolved::Text,
    }
}

/// Parses an integer without a sign: decimal, or with the prefixes of Go.
fn integer(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', b'b' | b'B', ..] => (&text[2..], 2),
        [b'0', b'o' | b'O', ..] => (&text[2..], 8),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // A second sign is not a number.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::{Resolved, resolve};
    use crate::config::yaml::tree::Scalar;

    #[test]
    fn scalars_resolve_like_yaml_1_1() {
        for (text, expected) in [
            ("", Resolved::Null),
            ("~", Resolved::Null),
            ("null", Resolved::Null),
            ("nil", Resolved::Text),
            ("yes", Resolved::Bool(true)),
            ("On", Resolved::Bool(true)),
            ("oN", Resolved::Text),
            ("off", Resolved::Bool(false)),
            ("0", Resolved::Unsigned(0)),
            ("+7", Resolved::Unsigned(7)),
            ("-7", Resolved::Negative(-7)),
            ("0x1F", Resolved::Unsigned(31)),
            ("-0x1F", Resolved::Negative(-31)),
            ("0b101", Resolved::Unsigned(5)),
            ("0o17", Resolved::Unsigned(15)),
            ("017", Resolved::Unsigned(15)),
            ("09", Resolved::Float(9.0)),
            ("1_000", Resolved::Unsigned(1000)),
            ("18446744073709551615", Resolved::Unsigned(u64::MAX)),
            ("18446744073709551616", Resolved::Float(18_446_744_073_709_551_616.0)),
            ("1.5", Resolved::Float(1.5)),
            (".5", Resolved::Float(0.5)),
            ("1.", Resolved::Float(1.0)),
            ("1e3", Resolved::Float(1000.0)),
            ("-.inf", Resolved::Float(f64::NEG_INFINITY)),
            ("inf", Resolved::Text),
            ("+inf", Resolved::Text),
            ("+-1", Resolved::Text),
            ("--1", Resolved::Text),
            ("-", Resolved::Text),
            (".", Resolved::Text),
            ("1.2.3", Resolved::Text),
            ("15s", Resolved::Text),
            ("2001-01-01", Resolved::Text),
            ("é", Resolved::Text),
        ] {
            let scalar = Scalar { text: text.to_owned(), is_plain: true };
            assert_eq!(resolve(&scalar), expected, "{text}");
        }
        let quoted = Scalar { text: "5".to_owned(), is_plain: false };
        assert_eq!(resolve(&quoted), Resolved::Text);
    }
}
