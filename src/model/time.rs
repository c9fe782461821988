//! Time ranges in ms since the Unix epoch, and the text form of times.

use std::time::{SystemTime, UNIX_EPOCH};

/// Time range from `mint` to `maxt`, both inclusive. Empty if `mint > maxt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First timestamp of the range, ms.
    pub mint: i64,
    /// Last timestamp of the range, ms.
    pub maxt: i64,
}

impl TimeRange {
    /// All timestamps of 64 bits.
    pub const ALL: Self = Self { mint: i64::MIN, maxt: i64::MAX };

    /// Timestamps that a sample may have: those that Prometheus's HTTP API can express (`MinTime`
    /// and `MaxTime` in `web/api/v1/api.go`).
    ///
    /// About 1969 years remain to the limits of `i64` on either side. So a Prometheus that takes
    /// over the directory can add block ranges and windows without overflow.
    pub const STORABLE: Self =
        Self { mint: -9_223_309_901_257_974_000, maxt: 9_223_309_901_257_974_999 };

    /// Returns the range of `width` ms, aligned to timestamp 0, that contains `t`. The range is
    /// clamped to the limits of `i64`.
    #[must_use]
    pub fn aligned(t: i64, width: i64) -> Self {
        let width = i128::from(width.max(1));
        let mint = i128::from(t).div_euclid(width) * width;
        let clamp = |t: i128| t.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Self { mint: clamp(mint), maxt: clamp(mint + width - 1) }
    }

    /// Returns the exclusive end of the range, ms; `i64::MAX` if `maxt` is `i64::MAX`.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.maxt.saturating_add(1)
    }

    /// Returns the range from `mint` to `maxt`, both inclusive.
    #[must_use]
    pub fn new(mint: i64, maxt: i64) -> Self {
        Self { mint, maxt }
    }

    /// Returns `true` if the range contains `t`.
    #[must_use]
    pub fn contains(&self, t: i64) -> bool {
        self.mint <= t && t <= self.maxt
    }

    /// Returns `true` if the ranges have a common timestamp. An empty range overlaps nothing.
    #[must_use]
    pub fn overlaps(&self, other: Self) -> bool {
        self.mint.max(other.mint) <= self.maxt.min(other.maxt)
    }
}

/// Formats ms since the Unix epoch as RFC 3339.
///
/// Source of the calendar arithmetic: Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`.
#[must_use]
pub fn format_rfc3339(millis: i64) -> String {
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

/// Formats a time as RFC 3339, UTC, with milliseconds. Times before the epoch count as the epoch.
#[must_use]
pub fn format_system_time(time: SystemTime) -> String {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format_rfc3339(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{TimeRange, format_rfc3339};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn timestamps_are_formatted_as_rfc_3339() {
        assert_eq!(format_rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format_rfc3339(1_762_300_800_123), "2025-11-05T00:00:00.123Z");
        assert_eq!(format_rfc3339(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(format_rfc3339(951_868_800_000), "2000-03-01T00:00:00.000Z");
        assert_eq!(format_rfc3339(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_rfc3339(TimeRange::STORABLE.mint), "-292273086-05-16T16:47:06.000Z");
        assert_eq!(format_rfc3339(TimeRange::STORABLE.maxt), "292277025-08-18T07:12:54.999Z");
    }

    #[test]
    fn empty_range_overlaps_nothing() {
        let wide = TimeRange::new(0, 100);
        assert!(wide.overlaps(TimeRange::new(100, 200)) && wide.overlaps(TimeRange::new(-5, 0)));
        assert!(!wide.overlaps(TimeRange::new(101, 200)));
        assert!(!wide.overlaps(TimeRange::new(60, 40)) && !TimeRange::new(60, 40).overlaps(wide));
    }

    #[test]
    fn aligned_range_is_clamped_to_i64() {
        assert_eq!(TimeRange::aligned(-1, 100), TimeRange::new(-100, -1));
        assert_eq!(TimeRange::aligned(i64::MIN, 100), TimeRange::new(i64::MIN, i64::MIN + 7));
        assert_eq!(TimeRange::aligned(i64::MAX, 100), TimeRange::new(i64::MAX - 7, i64::MAX));
        assert_eq!(TimeRange::aligned(i64::MAX, 100).end(), i64::MAX);
    }

    proptest! {
        #[test]
        fn aligned_ranges_are_contiguous(t in any::<i64>(), width in 1..i64::MAX) {
            let range = TimeRange::aligned(t, width);
            prop_assert!(range.contains(t));
            prop_assert_eq!(TimeRange::aligned(range.mint, width), range);
            prop_assert_eq!(TimeRange::aligned(range.maxt, width), range);
            if let Some(next) = range.maxt.checked_add(1) {
                prop_assert_eq!(TimeRange::aligned(next, width).mint, next);
            }
            let _ = format_rfc3339(t);
        }
    }
}
