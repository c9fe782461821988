//! How late a sample may be, and the times that late samples have in the head.

use crate::model::time::TimeRange;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The window and what came within it.
#[derive(Debug)]
pub struct OutOfOrderWindow {
    /// ms; 0 where no late sample is taken.
    length: AtomicI64,
    /// Oldest and newest late sample, ms; `i64::MAX` and `i64::MIN` while there was none.
    min: AtomicI64,
    max: AtomicI64,
    /// How often chunks of late samples were about to be dropped because blocks have them.
    pub drops: AtomicU64,
}

impl Default for OutOfOrderWindow {
    fn default() -> Self {
        let (min, max) = (AtomicI64::new(i64::MAX), AtomicI64::new(i64::MIN));
        Self { length: AtomicI64::new(0), min, max, drops: AtomicU64::new(0) }
    }
}

impl OutOfOrderWindow {
    /// How late a sample may be, ms; `None` where none may.
    pub fn length(&self) -> Option<i64> {
        Some(self.length.load(Ordering::Relaxed)).filter(|length| *length > 0)
    }

    /// Sets how late a sample may be, ms.
    pub fn set_length(&self, length_ms: i64) {
        self.length.store(length_ms.max(0), Ordering::Relaxed);
    }

    /// From the oldest to the newest late sample that there ever was.
    pub fn times(&self) -> Option<TimeRange> {
        let (min, max) = (self.min.load(Ordering::Relaxed), self.max.load(Ordering::Relaxed));
        (min <= max).then(|| TimeRange::new(min, max))
    }

    /// Widens the times; those of an empty set (`i64::MAX`, `i64::MIN`) change nothing.
    pub fn extend(&self, min: i64, max: i64) {
        if min <= max {
            self.min.fetch_min(min, Ordering::Relaxed);
            self.max.fetch_max(max, Ordering::Relaxed);
        }
    }
}
