//! The out-of-order window as a setting of the head, and what follows from it.

use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use std::sync::atomic::Ordering;

impl Head {
    /// How late a sample may be, counted from the newest of the head, ms; 0 where a sample must be newer than those of its series.
    #[must_use]
    pub fn out_of_order_window(&self) -> i64 {
        self.ooo_window.length().unwrap_or(0)
    }

    /// Sets how late a sample may be (ms), for requests that begin from now on. What has come late before stays.
    pub fn set_out_of_order_window(&self, length_ms: i64) {
        self.ooo_window.set_length(length_ms);
    }

    /// The times of all late samples that this head ever had, ms; `None` where it had none: then there are none to be made blocks of.
    #[must_use]
    pub fn out_of_order_range(&self) -> Option<TimeRange> {
        self.ooo_window.times()
    }

    /// A number that changes before late samples are dropped because blocks have them.
    #[must_use]
    pub fn ooo_truncation_epoch(&self) -> u64 {
        self.ooo_window.drops.load(Ordering::SeqCst)
    }

    /// The oldest late sample that is taken now, ms; `None` where none is.
    ///
    /// Counted from the newest sample, as Prometheus does it; while there is none, from where the blocks end.
    pub(in crate::tsdb::head) fn min_ooo_time(&self) -> Option<i64> {
        let newest = self.times.max().unwrap_or(self.times.min_valid());
        self.ooo_window.length().map(|length| newest.saturating_sub(length))
    }
}
