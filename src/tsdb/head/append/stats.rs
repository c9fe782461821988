//! Counts of one request.

use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::head::series::state::SeriesState;
use crate::tsdb::head::stats::HeadStats;
use std::sync::atomic::Ordering;

/// Counts of the samples of a request, for the head's shared counters.
#[derive(Debug)]
pub(super) struct AppendStats {
    /// Number of appended samples, in order and out of order.
    pub(super) appended: u64,
    /// Native histograms among the in-order samples.
    histograms: u64,
    pub(super) duplicates: u64,
    /// Timestamp of the oldest in-order sample, ms; `i64::MAX` if there are none.
    pub(super) min_time: i64,
    /// Timestamp of the newest in-order sample, ms; `i64::MIN` if there are none.
    pub(super) max_time: i64,
    /// Number of series that became stale, minus those that became active again.
    stale: i64,
}

impl Default for AppendStats {
    fn default() -> Self {
        Self {
            appended: 0,
            histograms: 0,
            duplicates: 0,
            min_time: i64::MAX,
            max_time: i64::MIN,
            stale: 0,
        }
    }
}

impl AppendStats {
    /// Counts an in-order sample before it is pushed to its series.
    #[inline]
    pub(super) fn count(&mut self, state: &SeriesState, sample: &Sample) {
        self.appended += 1;
        self.histograms += u64::from(!matches!(sample.value, SampleValue::Float(_)));
        self.stale += i64::from(sample.value.is_stale()) - i64::from(state.is_stale());
        self.min_time = self.min_time.min(sample.t);
        self.max_time = self.max_time.max(sample.t);
    }

    /// Adds the counts to those of the head.
    pub(super) fn flush_to(&self, stats: &HeadStats) {
        let floats = self.appended - self.histograms;
        stats.floats_appended.fetch_add(floats, Ordering::Relaxed);
        stats.histograms_appended.fetch_add(self.histograms, Ordering::Relaxed);
        if self.stale != 0 {
            stats.stale_series.fetch_add(self.stale, Ordering::Relaxed);
        }
    }
}
