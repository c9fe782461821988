//! How late a sample may be, and the times that late samples have in the head.

use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The window and what came within it.
#[derive(Debug)]
pub struct Window {
    /// ms; 0 where no late sample is taken.
    length: AtomicI64,
    /// Oldest and newest late sample, ms; `i64::MAX` and `i64::MIN` while there was none.
    min: AtomicI64,
    max: AtomicI64,
    /// How often chunks of late samples were about to be dropped because blocks have them.
    pub(in crate::tsdb::head) drops: AtomicU64,
}

impl Default for Window {
    fn default() -> Self {
        let (min, max) = (AtomicI64::new(i64::MAX), AtomicI64::new(i64::MIN));
        Self { length: AtomicI64::new(0), min, max, drops: AtomicU64::new(0) }
    }
}

impl Window {
    /// How late a sample may be, ms; `None` where none may.
    pub(in crate::tsdb::head) fn length(&self) -> Option<i64> {
        Some(self.length.load(Ordering::Relaxed)).filter(|length| *length > 0)
    }

    /// Widens the times; those of an empty set (`i64::MAX`, `i64::MIN`) change nothing.
    pub(in crate::tsdb::head) fn include(&self, min: i64, max: i64) {
        if min <= max {
            self.min.fetch_min(min, Ordering::Relaxed);
            self.max.fetch_max(max, Ordering::Relaxed);
        }
    }
}

impl Head {
    /// How late a sample may be, counted from the newest of the head, ms; 0 where a sample must be newer than those of its series.
    #[must_use]
    pub fn out_of_order_window(&self) -> i64 {
        self.window.length().unwrap_or(0)
    }

    /// Sets how late a sample may be (ms), for requests that begin from now on. What has come late before stays.
    pub fn set_out_of_order_window(&self, length_ms: i64) {
        self.window.length.store(length_ms.max(0), Ordering::Relaxed);
    }

    /// The times of all late samples that this head ever had, ms; `None` where it had none: then there are none to be made blocks of.
    #[must_use]
    pub fn out_of_order_times(&self) -> Option<TimeRange> {
        let (min, max) = (self.window.min.load(Ordering::Relaxed), self.window.max.load(Ordering::Relaxed));
        (min <= max).then(|| TimeRange::new(min, max))
    }

    /// A number that changes before late samples are dropped because blocks have them.
    #[must_use]
    pub fn late_drops(&self) -> u64 {
        self.window.drops.load(Ordering::SeqCst)
    }

    /// The oldest late sample that is taken now, ms; `None` where none is.
    ///
    /// Counted from the newest sample, as Prometheus does it; while there is none, from where the blocks end.
    pub(in crate::tsdb::head) fn takes_late_since(&self) -> Option<i64> {
        let newest = self.times.max().unwrap_or(self.times.min_valid());
        self.window.length().map(|length| newest.saturating_sub(length))
    }
}
