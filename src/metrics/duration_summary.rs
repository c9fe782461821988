//! Summary of durations: sum, count and quantiles of the last ten minutes.

use crate::metrics::quantiles::DurationQuantiles;
use crate::metrics::registry::SummarySnapshot;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Ranks of the quantiles, as in most summaries of Prometheus.
const RANKS: [f64; 3] = [0.5, 0.9, 0.99];

/// Summary of durations, about 10 kB.
#[derive(Debug)]
pub struct DurationSummary {
    quantiles: DurationQuantiles,
    nanos: AtomicU64,
    count: AtomicU64,
}

impl DurationSummary {
    /// Returns a summary without observations.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let quantiles = DurationQuantiles::new(now);
        Self { quantiles, nanos: AtomicU64::new(0), count: AtomicU64::new(0) }
    }

    /// Counts a duration that ended at `now`.
    pub fn observe(&self, duration: Duration, now: Instant) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.quantiles.observe(duration, now);
    }

    /// Returns the state at `now`, in seconds.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> SummarySnapshot {
        let quantiles = RANKS.into_iter().zip(self.quantiles.quantiles(RANKS, now)).collect();
        SummarySnapshot {
            sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64(),
            count: self.count.load(Ordering::Relaxed),
            quantiles,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DurationSummary;
    use std::time::{Duration, Instant};

    #[test]
    fn summary_has_sum_count_and_quantiles() {
        let now = Instant::now();
        let summary = DurationSummary::new(now);
        assert!(summary.snapshot(now).quantiles.iter().all(|(_, value)| value.is_nan()));
        for millis in [100, 200, 300, 400] {
            summary.observe(Duration::from_millis(millis), now);
        }
        let snapshot = summary.snapshot(now);
        assert_eq!((snapshot.sum, snapshot.count), (1.0, 4));
        assert_eq!(snapshot.quantiles.len(), 3);
        assert_eq!(snapshot.quantiles[0].0, 0.5);
        assert!((snapshot.quantiles[0].1 - 0.2).abs() < 0.01, "{snapshot:?}");
        assert!((snapshot.quantiles[2].1 - 0.4).abs() < 0.02, "{snapshot:?}");
    }
}
