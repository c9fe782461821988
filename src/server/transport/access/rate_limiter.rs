//! Token bucket: one request per interval on average, and a burst at once.
//!
//! The bucket starts full. It is kept as the time at which it would be full again: a request moves
//! that time by one interval, and is rejected if it would then be more than a burst ahead. That is
//! exact, while a number of tokens would be rounded.

use crate::config::web::contents::RateLimit;
use parking_lot::Mutex;
use std::time::Instant;

/// Limit for the rate of all requests.
#[derive(Debug)]
pub struct RateLimiter {
    interval_ns: u128,
    /// Interval times burst.
    capacity_ns: u128,
    started: Instant,
    /// Time since `started` at which the bucket is full, nanoseconds.
    full_at_ns: Mutex<u128>,
}

impl RateLimiter {
    /// Creates a full bucket.
    #[must_use]
    pub(crate) fn new(limit: RateLimit, now: Instant) -> Self {
        let interval_ns = limit.interval.as_nanos();
        Self {
            interval_ns,
            // Below 2^32 times 2^94, which fits.
            capacity_ns: interval_ns * u128::from(limit.burst),
            started: now,
            full_at_ns: Mutex::default(),
        }
    }

    /// Takes a token. Returns `false` if the bucket is empty.
    pub(super) fn allow(&self, now: Instant) -> bool {
        let now_ns = now.saturating_duration_since(self.started).as_nanos();
        let mut full_at_ns = self.full_at_ns.lock();
        let next = now_ns.max(*full_at_ns) + self.interval_ns;
        let is_allowed = next <= now_ns + self.capacity_ns;
        if is_allowed {
            *full_at_ns = next;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::RateLimiter;
    use crate::config::web::contents::RateLimit;
    use std::time::{Duration, Instant};

    fn limiter(interval: Duration, burst: u32) -> (RateLimiter, Instant) {
        let now = Instant::now();
        (RateLimiter::new(RateLimit { interval, burst }, now), now)
    }

    #[test]
    fn burst_is_allowed_at_once_and_refilled_by_interval() {
        let second = Duration::from_secs(1);
        let (limiter, start) = limiter(second, 3);
        let allowed = |at: Duration| (0..9).filter(|_| limiter.allow(start + at)).count();
        assert_eq!(allowed(Duration::ZERO), 3);
        assert_eq!(allowed(second - Duration::from_nanos(1)), 0);
        assert_eq!(allowed(second), 1);
        assert_eq!(allowed(second * 5 / 2), 1);
        assert_eq!(allowed(second * 3), 1);
        // Never more than the burst.
        assert_eq!(allowed(second * 1000), 3);
    }

    #[test]
    fn extreme_limits_do_not_overflow() {
        let (limiter, start) = limiter(Duration::MAX, u32::MAX);
        assert!((0..100).all(|_| limiter.allow(start)));
        let (limiter, start) = self::limiter(Duration::from_nanos(1), 1);
        assert!(limiter.allow(start) && !limiter.allow(start));
        assert!(limiter.allow(start + Duration::from_nanos(1)));
    }
}
