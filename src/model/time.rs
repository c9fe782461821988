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

#[cfg(test)]
mod tests {
    use super::TimeRange;

    #[test]
    fn an_empty_range_overlaps_nothing_not_even_what_is_around_it() {
        let wide = TimeRange::new(0, 100);
        assert!(wide.overlaps(TimeRange::new(100, 200)) && wide.overlaps(TimeRange::new(-5, 0)));
        assert!(!wide.overlaps(TimeRange::new(101, 200)));
        assert!(!wide.overlaps(TimeRange::new(60, 40)) && !TimeRange::new(60, 40).overlaps(wide));
    }
}
