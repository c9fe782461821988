//! Durations in the syntax of Go's `time.ParseDuration`: `1h30m`, `1.5s`, `-250ms`.
//!
//! Source: <https://pkg.go.dev/time#ParseDuration>.

/// Nanoseconds per unit. Both characters for micro are valid.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Maximum number of digits that are used after a decimal point; further ones are below 1 ns.
const MAX_FRACTION_DIGITS: usize = 15;

/// Parses a duration to nanoseconds. Returns `None` if it is invalid or exceeds an `i64`.
pub(super) fn parse_nanos(text: &str) -> Option<i64> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if unsigned == "0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let mut rest = unsigned;
    let mut total = 0i128;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += nanos_of(number, *nanos)?;
        if total > i128::from(i64::MAX) {
            return None;
        }
        rest = tail;
    }
    i64::try_from(sign * total).ok()
}

/// Returns the nanoseconds of a decimal number of units.
fn nanos_of(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = &fraction[..fraction.len().min(MAX_FRACTION_DIGITS)];
    let scale = 10i128.pow(u32::try_from(digits.len()).ok()?);
    let fraction: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(i128::from(whole) * unit + i128::from(fraction) * unit / scale)
}

#[cfg(test)]
mod tests {
    use super::parse_nanos;

    #[test]
    fn durations_parse_like_go() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("0s", 0),
            ("1ns", 1),
            ("2us", 2_000),
            ("2\u{b5}s", 2_000),
            ("2\u{3bc}s", 2_000),
            ("1h30m", 5_400_000_000_000),
            ("1m1h", 3_660_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("-1s", -1_000_000_000),
            ("+1s", 1_000_000_000),
            ("0.1234567891239s", 123_456_789),
            ("2562047h47m16.854775807s", i64::MAX),
        ] {
            assert_eq!(parse_nanos(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn invalid_durations_are_rejected() {
        for text in [
            "",
            "-",
            "1",
            "1d",
            "s",
            ".s",
            "1.2.3s",
            "1 s",
            "1S",
            "often",
            "1h-1m",
            "--1s",
            "1h ",
            "2562047h47m16.854775808s",
            "99999999999999999999h",
            "é",
            "1é",
        ] {
            assert_eq!(parse_nanos(text), None, "{text}");
        }
    }
}
