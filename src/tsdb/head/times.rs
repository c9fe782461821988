//! The times that the head spans, and which times it takes.
//!
//! As in Prometheus, a sample must not be older than half a chunk range before the newest sample of the head, nor older than what
//! blocks already hold: so the range that becomes the next block is closed to appends before it is written.

use std::sync::atomic::{AtomicI64, Ordering};

/// Oldest and newest sample of the head, in ms.
#[derive(Debug)]
pub struct HeadTimes {
    /// `i64::MAX` while there is no sample.
    min: AtomicI64,
    /// `i64::MIN` while there is no sample.
    max: AtomicI64,
    /// Samples before this time belong to blocks.
    min_valid: AtomicI64,
    /// The oldest sample that came since [`HeadTimes::watch_min`], for [`HeadTimes::set_min`]; `i64::MAX` where none did.
    min_since_watch: AtomicI64,
}

impl HeadTimes {
    /// The times of an empty head that takes nothing before `min_valid`.
    #[must_use]
    pub fn new(min_valid: i64) -> Self {
        Self {
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(i64::MIN),
            min_valid: AtomicI64::new(min_valid),
            min_since_watch: AtomicI64::new(i64::MAX),
        }
    }

    /// Time of the oldest sample, ms; `None` for an empty head.
    pub fn min(&self) -> Option<i64> {
        Some(self.min.load(Ordering::Relaxed)).filter(|min| *min != i64::MAX)
    }

    /// Time of the newest sample, ms; `None` for an empty head.
    pub fn max(&self) -> Option<i64> {
        Some(self.max.load(Ordering::Relaxed)).filter(|max| *max != i64::MIN)
    }

    /// Nothing before this time is taken, whatever the head holds; ms.
    pub fn min_valid(&self) -> i64 {
        self.min_valid.load(Ordering::Relaxed)
    }

    /// Widens the span to the given times; those of an empty set (`i64::MAX`, `i64::MIN`) change nothing.
    pub fn extend(&self, min: i64, max: i64) {
        // In this order, for `set_min`.
        self.min_since_watch.fetch_min(min, Ordering::SeqCst);
        self.min.fetch_min(min, Ordering::SeqCst);
        self.max.fetch_max(max, Ordering::Relaxed);
    }

    /// Nothing before `time` is taken from now on, but by requests that have begun; ms.
    pub fn raise_min_valid(&self, time: i64) {
        self.min_valid.fetch_max(time, Ordering::Relaxed);
    }

    /// From now on samples that come are noted, until [`Self::set_min`] tells where the head begins.
    pub fn watch_min(&self) {
        self.min_since_watch.store(i64::MAX, Ordering::SeqCst);
    }

    /// The head begins at `time` now (ms), or at an older sample that came since [`Self::watch_min`]: what was before is in a block.
    pub fn set_min(&self, time: i64) {
        self.min.store(time, Ordering::SeqCst);
        // Whoever lowered the time that was just overwritten had told this one first.
        self.min.fetch_min(self.min_since_watch.load(Ordering::SeqCst), Ordering::SeqCst);
        self.max.fetch_max(time, Ordering::Relaxed);
    }

    /// The oldest time that is taken now, ms; `None` while the head is empty.
    pub fn min_appendable_time(&self, chunk_range_ms: i64) -> Option<i64> {
        self.max().map(|max| self.min_valid().max(max.saturating_sub(chunk_range_ms / 2)))
    }

    /// Opens an empty head at `first`, if that may be taken at all, and returns the oldest time that is taken, ms.
    pub fn init_at(&self, first: i64, chunk_range_ms: i64) -> i64 {
        if first < self.min_valid() {
            return self.min_appendable_time(chunk_range_ms).unwrap_or(self.min_valid());
        }
        let begun =
            self.max.compare_exchange(i64::MIN, first, Ordering::Relaxed, Ordering::Relaxed);
        let max = begun.err().unwrap_or(first);
        self.min.fetch_min(max, Ordering::Relaxed);
        self.min_valid().max(max.saturating_sub(chunk_range_ms / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::HeadTimes;

    const RANGE: i64 = 7_200_000;

    #[test]
    fn the_first_sample_opens_an_empty_head() {
        let times = HeadTimes::new(i64::MIN);
        assert_eq!(times.min_appendable_time(RANGE), None);
        assert_eq!(times.init_at(10_000_000, RANGE), 10_000_000 - RANGE / 2);
        assert_eq!(times.init_at(90_000_000, RANGE), 10_000_000 - RANGE / 2);
        assert_eq!((times.min(), times.max()), (Some(10_000_000), Some(10_000_000)));
    }

    #[test]
    fn a_sample_that_belongs_to_a_block_does_not_open_the_head() {
        let times = HeadTimes::new(5_000_000);
        assert_eq!(times.init_at(4_999_999, RANGE), 5_000_000);
        assert_eq!(times.max(), None);
    }

    #[test]
    fn nothing_is_taken_that_blocks_hold_or_that_is_half_a_range_behind() {
        let times = HeadTimes::new(5_000_000);
        times.extend(6_000_000, 7_000_000);
        assert_eq!(times.min_appendable_time(RANGE), Some(5_000_000));
        times.extend(i64::MAX, i64::MIN);
        times.extend(8_000_000, 9_000_000);
        assert_eq!(times.min_appendable_time(RANGE), Some(9_000_000 - RANGE / 2));
    }

    #[test]
    fn the_beginning_is_not_set_behind_a_sample_that_came_meanwhile() {
        let times = HeadTimes::new(i64::MIN);
        times.extend(1_000_000, 9_000_000);
        times.watch_min();
        times.extend(3_000_000, 3_000_000);
        times.set_min(5_000_000);
        assert_eq!(times.min(), Some(3_000_000));
        times.watch_min();
        times.set_min(5_000_000);
        assert_eq!((times.min(), times.max()), (Some(5_000_000), Some(9_000_000)));
    }
}
