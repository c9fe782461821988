//! Time range of the head, and the times that it accepts.
//!
//! As in Prometheus, an in-order sample must not be older than half a chunk range before the newest
//! sample, nor older than what blocks contain. The range of the next block is closed to appends
//! before the block is written. Out-of-order samples have a window of their own
//! ([`OutOfOrderWindow`]).

use crate::model::time::TimeRange;
use crate::tsdb::head::out_of_order::window::OutOfOrderWindow;
use std::sync::atomic::{AtomicI64, Ordering};

/// Timestamps of the oldest and newest sample of the head, ms, and the bounds of new samples.
#[derive(Debug)]
pub struct HeadTimes {
    /// `i64::MAX` while the head is empty.
    min: AtomicI64,
    /// `i64::MIN` while the head is empty.
    max: AtomicI64,
    /// Samples before this time belong to blocks.
    min_valid: AtomicI64,
    /// Oldest sample since [`HeadTimes::watch_min`], for [`HeadTimes::set_min`]; `i64::MAX` if
    /// there is none.
    min_since_watch: AtomicI64,
    /// Length of the head's block range, ms.
    chunk_range_ms: i64,
    ooo_window: OutOfOrderWindow,
}

impl HeadTimes {
    /// Creates the times of an empty head that accepts nothing before `min_valid` (ms). Its block
    /// range has `chunk_range_ms`.
    #[must_use]
    pub fn new(min_valid: i64, chunk_range_ms: i64) -> Self {
        Self {
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(i64::MIN),
            min_valid: AtomicI64::new(min_valid),
            min_since_watch: AtomicI64::new(i64::MAX),
            chunk_range_ms,
            ooo_window: OutOfOrderWindow::default(),
        }
    }

    /// Returns the timestamp of the oldest sample, ms; `None` for an empty head.
    pub fn min(&self) -> Option<i64> {
        Some(self.min.load(Ordering::Relaxed)).filter(|min| *min != i64::MAX)
    }

    /// Returns the timestamp of the newest sample, ms; `None` for an empty head.
    pub fn max(&self) -> Option<i64> {
        Some(self.max.load(Ordering::Relaxed)).filter(|max| *max != i64::MIN)
    }

    /// Returns the time before which no in-order sample is accepted, ms.
    pub fn min_valid(&self) -> i64 {
        self.min_valid.load(Ordering::Relaxed)
    }

    /// Out-of-order window, and time range of the out-of-order samples.
    pub fn ooo_window(&self) -> &OutOfOrderWindow {
        &self.ooo_window
    }

    /// Returns `true` if the head may have samples in `range`.
    pub fn overlaps(&self, range: TimeRange) -> bool {
        let in_order = self.min().zip(self.max());
        in_order.is_some_and(|(min, max)| range.overlaps(TimeRange::new(min, max)))
            || self.ooo_window.times().is_some_and(|ooo| range.overlaps(ooo))
    }

    /// Returns `true` if the head spans more than 1.5 block ranges, so that its first range can be
    /// compacted to a block.
    pub fn is_compactable(&self) -> bool {
        let (Some(min), Some(max)) = (self.min(), self.max()) else { return false };
        max.saturating_sub(min) > (self.chunk_range_ms / 2).saturating_mul(3)
    }

    /// Extends the range to these times. `(i64::MAX, i64::MIN)`, the range of an empty set, changes
    /// nothing.
    pub fn extend(&self, min: i64, max: i64) {
        // Before `min`: if `set_min` overwrites `min`, it finds the value here.
        self.min_since_watch.fetch_min(min, Ordering::SeqCst);
        self.min.fetch_min(min, Ordering::SeqCst);
        self.max.fetch_max(max, Ordering::Relaxed);
    }

    /// Rejects in-order samples before `time` (ms), except those of requests that started earlier.
    pub fn raise_min_valid(&self, time: i64) {
        self.min_valid.fetch_max(time, Ordering::Relaxed);
    }

    /// Starts to record the oldest new sample, for [`Self::set_min`].
    pub fn watch_min(&self) {
        self.min_since_watch.store(i64::MAX, Ordering::SeqCst);
    }

    /// Sets the minimum to `time` (ms), or to an older sample that arrived since
    /// [`Self::watch_min`]. Everything before is in a block.
    pub fn set_min(&self, time: i64) {
        self.min.store(time, Ordering::SeqCst);
        // A sample that lowered the overwritten minimum is in `min_since_watch` already.
        self.min.fetch_min(self.min_since_watch.load(Ordering::SeqCst), Ordering::SeqCst);
        self.max.fetch_max(time, Ordering::Relaxed);
    }

    /// Returns the minimum time that is accepted, ms; `None` while the head is empty.
    pub fn min_appendable_time(&self) -> Option<i64> {
        self.max().map(|max| self.min_valid().max(max.saturating_sub(self.chunk_range_ms / 2)))
    }

    /// Returns the minimum time of out-of-order samples that is accepted, ms; `None` if none are.
    ///
    /// As in Prometheus, it is counted from the newest sample; on an empty head, from the end of
    /// the blocks.
    pub fn min_ooo_time(&self) -> Option<i64> {
        let newest = self.max().unwrap_or(self.min_valid());
        self.ooo_window.length().map(|length| newest.saturating_sub(length))
    }

    /// Initializes an empty head at `first` if that can be accepted. Returns the minimum time that
    /// is accepted, ms.
    pub fn init_at(&self, first: i64) -> i64 {
        if first < self.min_valid() {
            return self.min_appendable_time().unwrap_or(self.min_valid());
        }
        let exchanged =
            self.max.compare_exchange(i64::MIN, first, Ordering::Relaxed, Ordering::Relaxed);
        let max = exchanged.err().unwrap_or(first);
        self.min.fetch_min(max, Ordering::Relaxed);
        self.min_valid().max(max.saturating_sub(self.chunk_range_ms / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::HeadTimes;

    const RANGE: i64 = 7_200_000;

    #[test]
    fn first_sample_initializes_empty_head() {
        let times = HeadTimes::new(i64::MIN, RANGE);
        assert_eq!(times.min_appendable_time(), None);
        assert_eq!(times.init_at(10_000_000), 10_000_000 - RANGE / 2);
        assert_eq!(times.init_at(90_000_000), 10_000_000 - RANGE / 2);
        assert_eq!((times.min(), times.max()), (Some(10_000_000), Some(10_000_000)));
    }

    #[test]
    fn sample_before_min_valid_leaves_head_empty() {
        let times = HeadTimes::new(5_000_000, RANGE);
        assert_eq!(times.init_at(4_999_999), 5_000_000);
        assert_eq!(times.max(), None);
    }

    #[test]
    fn min_appendable_time_is_larger_of_both_bounds() {
        let times = HeadTimes::new(5_000_000, RANGE);
        times.extend(6_000_000, 7_000_000);
        assert_eq!(times.min_appendable_time(), Some(5_000_000));
        times.extend(i64::MAX, i64::MIN);
        times.extend(8_000_000, 9_000_000);
        assert_eq!(times.min_appendable_time(), Some(9_000_000 - RANGE / 2));
    }

    #[test]
    fn set_min_keeps_samples_since_watch_min() {
        let times = HeadTimes::new(i64::MIN, RANGE);
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
