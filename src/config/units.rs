//! Durations, sizes and counts in Prometheus's formats: `1h30m`, `128MB`, `5e7`.

use std::time::Duration;

/// Milliseconds per unit of a duration, from the longest. A duration has each unit at most once, in
/// this order.
const DURATION_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Binary logarithm of each size unit: as in Prometheus, 1KB is 1024B.
const SIZE_UNITS: [(&str, u32); 14] = [
    ("B", 0),
    ("KB", 10),
    ("KiB", 10),
    ("MB", 20),
    ("MiB", 20),
    ("GB", 30),
    ("GiB", 30),
    ("TB", 40),
    ("TiB", 40),
    ("PB", 50),
    ("PiB", 50),
    ("EB", 60),
    ("EiB", 60),
    ("", 0),
];

/// Number of bytes, as parsed from a flag or the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Returns the size as `usize`, or `usize::MAX` if it is larger.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Parses a duration such as `5m`, `1h30m` or `0`.
///
/// # Errors
/// A message that names the string and shows valid examples.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("{text:?} is not a duration; write for example 1h30m or 500ms");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut units = DURATION_UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        let name_len = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = &rest[digits..digits + name_len];
        let (_, millis) = units.by_ref().find(|(unit, _)| *unit == name).ok_or_else(invalid)?;
        total = number
            .checked_mul(*millis)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(invalid)?;
        rest = &rest[digits + name_len..];
    }
    // Prometheus stores durations as nanoseconds in an i64.
    if text.is_empty() || total > i64::MAX as u64 / 1_000_000 {
        return Err(invalid());
    }
    Ok(Duration::from_millis(total))
}

/// Parses a size such as `128MB` or a plain number of bytes.
///
/// # Errors
/// A message that names the string and shows valid examples.
pub fn parse_bytes(text: &str) -> Result<ByteSize, String> {
    let invalid = || format!("{text:?} is not a size; write for example 512KB, 128MB or 2GB");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| invalid())?;
    let unit = text[digits..].trim_start();
    let (_, shift) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
    number.checked_mul(1 << shift).map(ByteSize).ok_or_else(invalid)
}

/// Parses a size as Prometheus parses its retention size: parts such as `1GB512MB` or `1.5TB`, each
/// with a unit; `0` needs none.
///
/// # Errors
/// A message that names the string and shows valid examples.
pub fn parse_bytes_with_unit(text: &str) -> Result<ByteSize, String> {
    let invalid =
        || format!("{text:?} is not a size with a unit; write for example 512MB, 1.5TB or 0");
    if text == "0" {
        return Ok(ByteSize(0));
    }
    let (mut rest, mut total) = (text, 0f64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        let name_len = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = &rest[digits..digits + name_len];
        let (_, shift) = SIZE_UNITS
            .iter()
            .find(|(unit, _)| !unit.is_empty() && *unit == name)
            .ok_or_else(invalid)?;
        total += number * (1u64 << shift) as f64;
        rest = &rest[digits + name_len..];
    }
    // Prometheus stores sizes in an i64.
    if text.is_empty() || total >= i64::MAX as f64 {
        Err(invalid())
    } else {
        Ok(ByteSize(total as u64))
    }
}

/// Parses a count such as `1000` or `5e7`.
///
/// # Errors
/// A message that names the string.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let invalid = || format!("{text:?} is not an integer of at least 0");
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let number: f64 = text.parse().map_err(|_| invalid())?;
    // 2^53: a float cannot represent every larger integer.
    if number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number) {
        Ok(number as u64)
    } else {
        Err(invalid())
    }
}

/// Formats a duration in the syntax of [`parse_duration`], with days as the largest unit.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    // Without years and weeks: operators write 15d, not 2w1d.
    for (unit, length) in &DURATION_UNITS[2..] {
        if millis >= *length {
            out.push_str(&format!("{}{unit}", millis / length));
            millis %= length;
        }
    }
    out
}

/// Formats a duration as Prometheus does: `15d`, `2w`, `1d12h`.
#[must_use]
pub fn format_prometheus_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, length) in &DURATION_UNITS {
        // 90d reads better than 12w6d.
        let is_exact_only = matches!(*unit, "y" | "w");
        if millis >= *length && (!is_exact_only || millis.is_multiple_of(*length)) {
            out.push_str(&format!("{}{unit}", millis / length));
            millis %= length;
        }
    }
    out
}

/// Formats a size as Prometheus does: `512MiB`, `1GiB512MiB`, `0B`.
#[must_use]
pub fn format_prometheus_bytes(ByteSize(mut size): ByteSize) -> String {
    if size == 0 {
        return "0B".to_owned();
    }
    let mut out = String::new();
    for (unit, shift) in
        SIZE_UNITS.iter().rev().filter(|(unit, _)| *unit == "B" || unit.ends_with("iB"))
    {
        if size >> shift > 0 {
            out.push_str(&format!("{}{unit}", size >> shift));
            size &= (1 << shift) - 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{
        ByteSize, format_duration, format_prometheus_bytes, format_prometheus_duration,
        parse_bytes, parse_bytes_with_unit, parse_count, parse_duration,
    };
    use std::time::Duration;

    #[test]
    fn durations_parse_like_prometheus() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("15d"), Ok(Duration::from_secs(15 * 86400)));
        assert_eq!(parse_duration("1m5ms"), Ok(Duration::from_millis(60_005)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for invalid in
            ["", "1", "m", "5m1h", "1h1h", "-1h", "1.5h", "1 h", "99999999999999y", "1µs"]
        {
            assert!(parse_duration(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn size_units_are_powers_of_two() {
        assert_eq!(parse_bytes("128MB"), Ok(ByteSize(128 << 20)));
        assert_eq!(parse_bytes("1KiB"), Ok(ByteSize(1024)));
        assert_eq!(parse_bytes("77"), Ok(ByteSize(77)));
        for invalid in ["", "MB", "1XB", "-1MB", "16EB", "1mb"] {
            assert!(parse_bytes(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn retention_sizes_need_units_and_may_have_parts() {
        assert_eq!(parse_bytes_with_unit("0"), Ok(ByteSize(0)));
        assert_eq!(parse_bytes_with_unit("1.5GB"), Ok(ByteSize(3 << 29)));
        assert_eq!(parse_bytes_with_unit("1GB512MiB"), Ok(ByteSize(3 << 29)));
        for invalid in ["", "1024", "-1GB", "GB", "1 GB", "1.2.3GB", "9EB", "1gb"] {
            assert!(parse_bytes_with_unit(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn counts_may_have_exponents() {
        assert_eq!(parse_count("5e7"), Ok(50_000_000));
        assert_eq!(parse_count("0"), Ok(0));
        for invalid in ["", "-1", "1.5", "1e40", "NaN", "inf"] {
            assert!(parse_count(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn durations_and_sizes_are_formatted_like_prometheus() {
        for (given, written) in [
            ("0", "0s"),
            ("120m", "2h"),
            ("36h", "1d12h"),
            ("14d", "2w"),
            ("365d", "1y"),
            ("15d", "15d"),
            ("90061001ms", "1d1h1m1s1ms"),
        ] {
            assert_eq!(format_prometheus_duration(parse_duration(given).unwrap()), written);
        }
        for (given, written) in
            [(0, "0B"), (512 << 20, "512MiB"), (3 << 29, "1GiB512MiB"), (1025, "1KiB1B")]
        {
            assert_eq!(format_prometheus_bytes(ByteSize(given)), written);
        }
    }

    #[test]
    fn formatted_duration_parses_back() {
        for text in ["0s", "1h30m", "15d", "1m5ms", "400d"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }
}
