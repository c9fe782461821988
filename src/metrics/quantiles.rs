//! Quantiles of durations over the last ten minutes, in bounded memory.
//!
//! Durations are counted in buckets of at most 1/16 of their value, so a quantile is exact to about
//! 3 %. The window is a ring of five parts of two minutes, as in Prometheus's client library: a
//! quantile covers the last eight to ten minutes. One mutex, held over a few additions.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Duration of a part of the window.
const PART: Duration = Duration::from_secs(120);
const PARTS: usize = 5;
/// Shorter durations share the first bucket: 1.024 µs.
const MIN_BITS: u32 = 10;
/// Longer durations share the last bucket: 2^41 ns, 37 minutes.
const MAX_BITS: u32 = 41;
/// Number of buckets per power of two, as bits.
const SUB_BITS: u32 = 4;
const BUCKETS: usize = ((MAX_BITS - MIN_BITS) as usize) << SUB_BITS;

/// Sliding-window quantiles of durations.
#[derive(Debug)]
pub struct DurationQuantiles {
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    /// Counts by part and bucket.
    counts: Box<[[u32; BUCKETS]]>,
    current: usize,
    /// End of the current part.
    end: Instant,
}

impl DurationQuantiles {
    /// Returns a window without observations that starts at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let counts = vec![[0; BUCKETS]; PARTS].into_boxed_slice();
        Self { window: Mutex::new(Window { counts, current: 0, end: now + PART }) }
    }

    /// Counts a duration that ended at `now`.
    pub fn observe(&self, duration: Duration, now: Instant) {
        let mut window = self.window.lock();
        window.advance(now);
        let current = window.current;
        let count = &mut window.counts[current][bucket_of(duration)];
        *count = count.saturating_add(1);
    }

    /// Returns the quantiles of the window at `now`, s; NaN if it has no observations. A rank is
    /// between 0 and 1.
    #[must_use]
    pub fn quantiles<const N: usize>(&self, ranks: [f64; N], now: Instant) -> [f64; N] {
        let mut window = self.window.lock();
        window.advance(now);
        let totals: Vec<u64> = (0..BUCKETS)
            .map(|bucket| window.counts.iter().map(|part| u64::from(part[bucket])).sum())
            .collect();
        drop(window);
        let all: u64 = totals.iter().sum();
        ranks.map(|rank| {
            let target = ((rank * all as f64).ceil() as u64).max(1);
            let mut below = 0;
            let bucket = totals.iter().position(|count| {
                below += count;
                below >= target
            });
            bucket.map_or(f64::NAN, middle_of)
        })
    }
}

impl Window {
    /// Empties the parts that are over.
    fn advance(&mut self, now: Instant) {
        for _ in 0..PARTS {
            if now < self.end {
                return;
            }
            self.current = (self.current + 1) % PARTS;
            self.counts[self.current].fill(0);
            self.end += PART;
        }
        // All parts have ended, possibly long ago.
        self.end = self.end.max(now + PART);
    }
}

fn bucket_of(duration: Duration) -> usize {
    let nanos = u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .clamp(1 << MIN_BITS, (1 << MAX_BITS) - 1);
    let bits = nanos.ilog2();
    let sub = (nanos >> (bits - SUB_BITS)) as usize & ((1 << SUB_BITS) - 1);
    ((bits - MIN_BITS) as usize) << SUB_BITS | sub
}

/// Middle of a bucket, s.
fn middle_of(bucket: usize) -> f64 {
    let power = f64::from(1u32 << SUB_BITS);
    let (bits, sub) = (bucket >> SUB_BITS, bucket & ((1 << SUB_BITS) - 1));
    let lower = 2f64.powi(bits as i32 + MIN_BITS as i32) * (1.0 + sub as f64 / power);
    lower * (1.0 + 0.5 / (power + sub as f64)) / 1e9
}

#[cfg(test)]
mod tests {
    use super::{DurationQuantiles, PART};
    use std::time::{Duration, Instant};

    fn is_near(quantile: f64, expected: f64) -> bool {
        (quantile - expected).abs() <= expected * 0.04
    }

    #[test]
    fn quantile_is_within_four_percent() {
        let now = Instant::now();
        let quantiles = DurationQuantiles::new(now);
        assert!(quantiles.quantiles([0.5], now)[0].is_nan());
        (1..=1000).for_each(|millis| quantiles.observe(Duration::from_millis(millis), now));
        let quantile = quantiles.quantiles([0.5, 0.9, 0.99], now);
        assert!(
            quantile
                .iter()
                .zip([0.5, 0.9, 0.99])
                .all(|(quantile, expected)| is_near(*quantile, expected)),
            "{quantile:?}"
        );
    }

    #[test]
    fn extreme_durations_are_counted_at_the_ends() {
        let now = Instant::now();
        let quantiles = DurationQuantiles::new(now);
        quantiles.observe(Duration::ZERO, now);
        assert!(is_near(quantiles.quantiles([1.0], now)[0], 1.024e-6));
        quantiles.observe(Duration::MAX, now);
        assert!(is_near(quantiles.quantiles([1.0], now)[0], 2199.0));
    }

    #[test]
    fn old_durations_leave_the_window() {
        let start = Instant::now();
        let quantiles = DurationQuantiles::new(start);
        quantiles.observe(Duration::from_secs(1), start);
        let later = start + 4 * PART;
        quantiles.observe(Duration::from_secs(3), later);
        let both = quantiles.quantiles([0.1, 1.0], later);
        assert!(is_near(both[0], 1.0) && is_near(both[1], 3.0), "{both:?}");
        assert!(is_near(quantiles.quantiles([0.1], start + 5 * PART)[0], 3.0));
        assert!(quantiles.quantiles([0.1], start + 100 * PART)[0].is_nan());
        quantiles.observe(Duration::from_secs(2), start + 100 * PART);
        assert!(is_near(quantiles.quantiles([0.5], start + 104 * PART)[0], 2.0));
    }
}
