//! Canonical text of bucket bounds and quantiles.

use std::fmt::Write;

/// Smallest decimal exponent that is written with `e`; the same as in Go.
const MIN_LARGE_EXPONENT: i32 = 6;
/// Smallest decimal exponent that is written without `e`.
const MIN_PLAIN_EXPONENT: i32 = -4;

/// Appends the shortest text that parses to the same number, in the form of Go's `%g`. Whole
/// numbers without an exponent end with `.0`. Zero has no sign.
///
/// Allocates nothing if `out` has space.
pub(crate) fn push_canonical_number(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    if value == 0.0 {
        return out.push_str("0.0");
    }
    let start = out.len();
    // Writing to a string cannot fail.
    let _ = write!(out, "{value:e}");
    let Some(mantissa_len) = out.get(start..).and_then(|text| text.find('e')) else { return };
    let exponent: i32 = out
        .get(start + mantissa_len + 1..)
        .and_then(|exponent| exponent.parse().ok())
        .unwrap_or_default();
    if (MIN_PLAIN_EXPONENT..MIN_LARGE_EXPONENT).contains(&exponent) {
        out.truncate(start);
        let _ = write!(out, "{value}");
        if !out.get(start..).unwrap_or_default().contains('.') {
            out.push_str(".0");
        }
    } else {
        out.truncate(start + mantissa_len);
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use super::push_canonical_number;

    #[test]
    fn numbers_look_like_those_of_go() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (2.5, "2.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_123, "0.000123"),
            (0.000_01, "1e-05"),
            (-0.000_012_5, "-1.25e-05"),
            (100_000.0, "100000.0"),
            (123_456.75, "123456.75"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1e21, "1e+21"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            let mut out = "le=".to_owned();
            push_canonical_number(&mut out, value);
            assert_eq!(out, format!("le={text}"));
        }
    }
}
