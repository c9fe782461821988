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

    /// The times that a sample may have: those for which Prometheus's HTTP API has a text
    /// (`MinTime` and `MaxTime` in `web/api/v1/api.go`).
    ///
    /// At either end 1969 years of 64 bits are left, so that a Prometheus that takes the directory
    /// over can add block ranges and windows to them without an overflow.
    pub const STORABLE: Self =
        Self { mint: -9_223_309_901_257_974_000, maxt: 9_223_309_901_257_974_999 };

    /// The range of `width` ms, counted from time 0, that `t` belongs to. A range that reaches
    /// beyond the times of 64 bits is cut there.
    #[must_use]
    pub fn aligned(t: i64, width: i64) -> Self {
        let width = i128::from(width.max(1));
        let mint = i128::from(t).div_euclid(width) * width;
        let cut = |t: i128| t.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Self { mint: cut(mint), maxt: cut(mint + width - 1) }
    }

    /// Time at which the range has ended, ms; `i64::MAX` for a range that includes it.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.maxt.saturating_add(1)
    }

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

#[cfg(test)]
mod tests {
    use super::{TimeRange, format_rfc3339};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(format_rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format_rfc3339(1_762_300_800_123), "2025-11-05T00:00:00.123Z");
        assert_eq!(format_rfc3339(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(format_rfc3339(951_868_800_000), "2000-03-01T00:00:00.000Z");
        assert_eq!(format_rfc3339(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_rfc3339(TimeRange::STORABLE.mint), "-292273086-05-16T16:47:06.000Z");
        assert_eq!(format_rfc3339(TimeRange::STORABLE.maxt), "292277025-08-18T07:12:54.999Z");
    }

    #[test]
    fn an_empty_range_overlaps_nothing_not_even_what_is_around_it() {
        let wide = TimeRange::new(0, 100);
        assert!(wide.overlaps(TimeRange::new(100, 200)) && wide.overlaps(TimeRange::new(-5, 0)));
        assert!(!wide.overlaps(TimeRange::new(101, 200)));
        assert!(!wide.overlaps(TimeRange::new(60, 40)) && !TimeRange::new(60, 40).overlaps(wide));
    }

    #[test]
    fn aligned_range_is_cut_at_either_end_of_time() {
        assert_eq!(TimeRange::aligned(-1, 100), TimeRange::new(-100, -1));
        assert_eq!(TimeRange::aligned(i64::MIN, 100), TimeRange::new(i64::MIN, i64::MIN + 7));
        assert_eq!(TimeRange::aligned(i64::MAX, 100), TimeRange::new(i64::MAX - 7, i64::MAX));
        assert_eq!(TimeRange::aligned(i64::MAX, 100).end(), i64::MAX);
    }

    proptest! {
        #[test]
        fn aligned_ranges_follow_each_other_over_all_times(t in any::<i64>(), width in 1..i64::MAX) {
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
