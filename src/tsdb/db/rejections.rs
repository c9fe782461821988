//! How many samples were refused for their time, by kind of value: counters without names.

use crate::model::value::ValueKind;
use crate::tsdb::head::append::Rejection;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one kind of value.
#[derive(Debug, Default)]
struct Counters {
    out_of_order: AtomicU64,
    out_of_bounds: AtomicU64,
    too_old: AtomicU64,
    duplicate: AtomicU64,
}

/// Samples that were refused for their time.
#[derive(Debug, Default)]
pub struct Rejections {
    floats: Counters,
    histograms: Counters,
}

impl Rejections {
    /// Counts one more.
    pub fn note(&self, kind: ValueKind, why: Rejection) {
        self.counter(kind, why).fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self, kind: ValueKind, why: Rejection) -> u64 {
        self.counter(kind, why).load(Ordering::Relaxed)
    }

    fn counter(&self, kind: ValueKind, why: Rejection) -> &AtomicU64 {
        let counters = match kind {
            ValueKind::Float => &self.floats,
            ValueKind::Histogram | ValueKind::FloatHistogram => &self.histograms,
        };
        match why {
            Rejection::OutOfOrder => &counters.out_of_order,
            Rejection::OutOfBounds => &counters.out_of_bounds,
            Rejection::TooOld => &counters.too_old,
            Rejection::DuplicateTimestamp => &counters.duplicate,
        }
    }
}
