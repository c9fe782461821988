//! Timestamps in parameters of Prometheus's HTTP API: seconds since the Unix epoch, or RFC 3339.

/// Smallest and largest time of Prometheus's clients, whose years have more than four digits.
const FIRST: &str = "-292273086-05-16T16:47:06Z";
const LAST: &str = "292277025-08-18T07:12:54.999999999Z";

/// Parses a timestamp into milliseconds since the Unix epoch.
///
/// # Errors
/// Message for the client.
pub(crate) fn parse_millis(text: &str) -> Result<i64, String> {
    let invalid = || format!("{text:?} is not a timestamp: use Unix seconds or RFC 3339");
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        // The conversion saturates at the bounds of i64.
        return if millis.is_nan() { Err(invalid()) } else { Ok(millis as i64) };
    }
    match text {
        FIRST => Ok(i64::MIN),
        LAST => Ok(i64::MAX),
        _ => parse_rfc3339(text).ok_or_else(invalid),
    }
}

fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, time) = (text.get(..10)?, text.get(10..)?.strip_prefix(['T', 't'])?);
    let mut date = date.split('-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, rest) = (time.get(..8)?, time.get(8..)?);
    let mut clock = clock.split(':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("0", rest),
    };
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61
        && !fraction.is_empty();
    let days = in_range.then(|| days_since_epoch(year, month, day))?;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - zone_seconds(zone)?;
    let millis = fraction
        .bytes()
        .chain(*b"000")
        .take(3)
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(seconds * 1000 + millis)
}

/// Parses a number of exactly two or four digits.
fn digits(text: &str) -> Option<i64> {
    let right = matches!(text.len(), 2 | 4) && text.bytes().all(|b| b.is_ascii_digit());
    if right { text.parse().ok() } else { None }
}

/// Parses `Z`, `+hh:mm` or `-hh:mm` into seconds east of UTC.
fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse_millis;

    #[test]
    fn timestamps_are_parsed_as_in_prometheus() {
        assert_eq!(parse_millis("1762300800"), Ok(1_762_300_800_000));
        assert_eq!(parse_millis("1762300800.123"), Ok(1_762_300_800_123));
        assert_eq!(parse_millis("-1.5"), Ok(-1500));
        assert_eq!(parse_millis("2025-11-05T00:00:00Z"), Ok(1_762_300_800_000));
        assert_eq!(parse_millis("2025-11-05T01:00:00.5+01:00"), Ok(1_762_300_800_500));
        assert_eq!(parse_millis("2024-02-29T23:59:59.9999Z"), Ok(1_709_251_199_999));
        assert_eq!(parse_millis("1969-12-31T23:59:59Z"), Ok(-1000));
        assert_eq!(parse_millis("-292273086-05-16T16:47:06Z"), Ok(i64::MIN));
        assert_eq!(parse_millis("292277025-08-18T07:12:54.999999999Z"), Ok(i64::MAX));
    }

    #[test]
    fn invalid_timestamp_is_rejected() {
        for text in [
            "",
            "now",
            "NaN",
            "2025-11-05",
            "2025-13-05T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-11-05T24:00:00Z",
            "2025-11-05T00:00:00",
            "2025-11-05T00:00:00.Z",
            "2025-11-05T00:00:00+1",
            "é025-11-05T00:00:00Z",
        ] {
            assert!(parse_millis(text).is_err(), "{text}");
        }
    }
}
