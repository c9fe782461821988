//! Out-of-order window, and the time range of the out-of-order samples in the head.

use crate::model::time::TimeRange;
use std::sync::atomic::{AtomicI64, Ordering};

/// Window length and time range of the samples that it admitted.
#[derive(Debug)]
pub struct OutOfOrderWindow {
    /// Window length, ms; 0 if out-of-order samples are not accepted.
    length: AtomicI64,
    /// Timestamps of the oldest and newest sample, ms; `i64::MAX` and `i64::MIN` before the first.
    min: AtomicI64,
    max: AtomicI64,
}

impl Default for OutOfOrderWindow {
    fn default() -> Self {
        let (min, max) = (AtomicI64::new(i64::MAX), AtomicI64::new(i64::MIN));
        Self { length: AtomicI64::new(0), min, max }
    }
}

impl OutOfOrderWindow {
    /// Returns the window length, ms; `None` if out-of-order samples are not accepted.
    pub fn length(&self) -> Option<i64> {
        Some(self.length.load(Ordering::Relaxed)).filter(|length| *length > 0)
    }

    /// Sets the window length, ms.
    pub fn set_length(&self, length_ms: i64) {
        self.length.store(length_ms.max(0), Ordering::Relaxed);
    }

    /// Returns the range from the oldest to the newest out-of-order sample ever added; `None` if
    /// there was none.
    pub fn times(&self) -> Option<TimeRange> {
        let (min, max) = (self.min.load(Ordering::Relaxed), self.max.load(Ordering::Relaxed));
        (min <= max).then(|| TimeRange::new(min, max))
    }

    /// Extends the range. `(i64::MAX, i64::MIN)`, the range of an empty set, changes nothing.
    pub fn extend(&self, min: i64, max: i64) {
        if min <= max {
            self.min.fetch_min(min, Ordering::Relaxed);
            self.max.fetch_max(max, Ordering::Relaxed);
        }
    }
}
