//! Out-of-order window as a setting of the head, and the times that follow from it.

use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use std::sync::atomic::Ordering;

impl Head {
    /// Returns the out-of-order window, counted from the newest sample of the head, ms; 0 if a
    /// sample must be newer than those of its series.
    #[must_use]
    pub fn out_of_order_window(&self) -> i64 {
        self.ooo_window.length().unwrap_or(0)
    }

    /// Sets the out-of-order window (ms) for requests that start from now on. Stored samples stay.
    pub fn set_out_of_order_window(&self, length_ms: i64) {
        self.ooo_window.set_length(length_ms);
    }

    /// Returns the time range of all out-of-order samples that the head ever had; `None` if it had
    /// none, so that there is nothing to compact.
    #[must_use]
    pub fn out_of_order_range(&self) -> Option<TimeRange> {
        self.ooo_window.times()
    }

    /// Returns a number that changes before out-of-order samples are dropped because blocks contain
    /// them.
    #[must_use]
    pub fn ooo_truncation_epoch(&self) -> u64 {
        self.ooo_window.drops.load(Ordering::SeqCst)
    }

    /// Returns the minimum time of out-of-order samples that is accepted, ms; `None` if none are.
    ///
    /// As in Prometheus, it is counted from the newest sample; on an empty head, from the end of
    /// the blocks.
    pub(in crate::tsdb::head) fn min_ooo_time(&self) -> Option<i64> {
        let newest = self.times.max().unwrap_or(self.times.min_valid());
        self.ooo_window.length().map(|length| newest.saturating_sub(length))
    }
}
