//! Bounds of the times that a request may append.

use crate::model::time::TimeRange;
use crate::tsdb::head::append::sample_rejection::SampleRejection;
use crate::tsdb::head::times::HeadTimes;

/// Accepted times, fixed at the start of the request, or at its first sample if the head was empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct AppendBounds {
    /// Minimum time of in-order samples, ms.
    pub(super) min_valid: i64,
    /// Minimum time of out-of-order samples, ms; `None` if none are accepted.
    pub(super) min_ooo_time: Option<i64>,
}

/// Bounds of one request.
#[derive(Debug)]
pub(super) struct RequestBounds<'a> {
    times: &'a HeadTimes,
    /// Whether the request can log out-of-order samples.
    has_wbl: bool,
    fixed: Option<AppendBounds>,
}

impl<'a> RequestBounds<'a> {
    /// Fixes the bounds unless the head is empty.
    pub(super) fn new(times: &'a HeadTimes, has_wbl: bool) -> Self {
        let min_valid = times.min_appendable_time();
        let mut bounds = Self { times, has_wbl, fixed: None };
        bounds.fixed = min_valid.map(|min_valid| bounds.starting_at(min_valid));
        bounds
    }

    /// Returns the accepted times. On an empty head, a sample at `first` initializes them.
    pub(super) fn at(&mut self, first: i64) -> AppendBounds {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        *self.fixed.insert(self.starting_at(self.times.init_at(first)))
    }

    /// Returns the reason to reject every sample at `t` ms, whatever the series contains. A sample
    /// outside of [`TimeRange::STORABLE`] must not initialize the times of an empty head.
    pub(super) fn rejection_for(&mut self, t: i64) -> Option<SampleRejection> {
        if !TimeRange::STORABLE.contains(t) {
            return Some(SampleRejection::OutOfRange);
        }
        self.at(t).rejection_for(t)
    }

    fn starting_at(&self, min_valid: i64) -> AppendBounds {
        let min_ooo_time = if self.has_wbl { self.times.min_ooo_time() } else { None };
        AppendBounds { min_valid, min_ooo_time }
    }
}

impl AppendBounds {
    /// Returns `true` if an out-of-order sample at `t` ms is accepted.
    pub(super) fn accepts_ooo(&self, t: i64) -> bool {
        self.min_ooo_time.is_some_and(|since| t >= since)
    }

    /// Returns the reason to reject every sample at `t` ms, whatever the series contains.
    pub(super) fn rejection_for(&self, t: i64) -> Option<SampleRejection> {
        let is_accepted = t >= self.min_valid || self.accepts_ooo(t);
        (!is_accepted).then_some(if self.min_ooo_time.is_some() {
            SampleRejection::TooOld
        } else {
            SampleRejection::OutOfBounds
        })
    }
}
