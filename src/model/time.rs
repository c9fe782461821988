//! Ranges of time, in milliseconds since the Unix epoch, both ends included.

/// From `mint` to `maxt`, both included. Empty where `mint > maxt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First millisecond that belongs to the range.
    pub mint: i64,
    /// Last millisecond that belongs to the range.
    pub maxt: i64,
}

impl TimeRange {
    /// Every time there is.
    pub const ALL: Self = Self { mint: i64::MIN, maxt: i64::MAX };

    /// The range between two times, both included.
    #[must_use]
    pub fn new(mint: i64, maxt: i64) -> Self {
        Self { mint, maxt }
    }

    /// Whether `t` lies in the range.
    #[must_use]
    pub fn contains(&self, t: i64) -> bool {
        self.mint <= t && t <= self.maxt
    }

    /// Whether the two ranges share a millisecond; an empty one shares none.
    #[must_use]
    pub fn overlaps(&self, other: Self) -> bool {
        self.mint.max(other.mint) <= self.maxt.min(other.maxt)
    }
}

/// Milliseconds since the Unix epoch as RFC 3339.
///
/// Source of the calendar: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
#[must_use]
pub fn rfc3339(millis: i64) -> String {
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

#[cfg(test)]
mod tests {
    use super::{TimeRange, rfc3339};

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_762_300_800_123), "2025-11-05T00:00:00.123Z");
        assert_eq!(rfc3339(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(951_868_800_000), "2000-03-01T00:00:00.000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn an_empty_range_overlaps_nothing_not_even_what_is_around_it() {
        let wide = TimeRange::new(0, 100);
        assert!(wide.overlaps(TimeRange::new(100, 200)) && wide.overlaps(TimeRange::new(-5, 0)));
        assert!(!wide.overlaps(TimeRange::new(101, 200)));
        assert!(!wide.overlaps(TimeRange::new(60, 40)) && !TimeRange::new(60, 40).overlaps(wide));
    }
}
