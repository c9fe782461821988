//! Delays between updates of the receiver.
//!
//! As in Prometheus 3.14, an update after a quiet interval is handed over almost immediately, which
//! also merges the first results of many providers. While updates continue, the delays grow up to
//! the interval. Prometheus adds jitter, which one receiver does not need.

use std::time::Duration;
use tokio::time::Instant;

/// First delay.
const FIRST: Duration = Duration::from_millis(100);

/// Schedule of the updates. A plain value: the caller passes the times.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Maximum delay between a change and its update.
    interval: Duration,
    /// Delay after the last update.
    delay: Duration,
    /// Time of the last update.
    last: Option<Instant>,
}

impl Throttle {
    /// Returns a throttle before the first update.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, delay: FIRST.min(interval), last: None }
    }

    /// Returns the time of the update for a change.
    pub(super) fn due(&self, changed: Instant) -> Instant {
        let prompt = changed + FIRST.min(self.interval);
        match self.last {
            Some(last) if changed <= last + self.interval => prompt.max(last + self.delay),
            _ => prompt,
        }
    }

    /// Returns `true` if an update at `now` is later than it could have been.
    pub(super) fn is_late(&self, changed: Instant, now: Instant) -> bool {
        now > self.due(changed) + FIRST
    }

    /// Notes an update for a change.
    pub(super) fn sent(&mut self, changed: Instant, now: Instant) {
        let is_quiet = self.last.is_none_or(|last| changed > last + self.interval);
        let last = if is_quiet { FIRST } else { self.delay };
        self.delay = (last * 3 / 2).min(self.interval);
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::Throttle;
    use std::time::Duration;
    use tokio::time::Instant;

    /// Returns the times of the updates, in ms after the start, if targets change all the time.
    fn updates(interval: Duration, count: usize) -> Vec<u128> {
        let start = Instant::now();
        let (mut throttle, mut now) = (Throttle::new(interval), start);
        let times = (0..count).map(|_| {
            let due = throttle.due(now);
            throttle.sent(now, due);
            now = due;
            (due - start).as_millis()
        });
        times.collect()
    }

    #[test]
    fn delays_grow_to_the_interval() {
        let times = updates(Duration::from_secs(5), 14);
        let delays: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(times[0], 100);
        assert_eq!(
            delays,
            [150, 225, 337, 506, 760, 1139, 1708, 2563, 3845, 5000, 5000, 5000, 5000]
        );
    }

    #[test]
    fn quiet_interval_makes_the_next_update_prompt() {
        let (start, interval) = (Instant::now(), Duration::from_secs(5));
        let mut throttle = Throttle::new(interval);
        for _ in 0..20 {
            throttle.sent(start, start);
        }
        assert_eq!(throttle.due(start), start + interval);
        let quiet = start + interval + Duration::from_millis(1);
        assert_eq!(throttle.due(quiet), quiet + Duration::from_millis(100));
        throttle.sent(quiet, quiet);
        assert_eq!(throttle.due(quiet), quiet + Duration::from_millis(150));
    }

    #[test]
    fn short_interval_is_the_delay() {
        assert_eq!(updates(Duration::from_millis(10), 4), [10, 20, 30, 40]);
        assert_eq!(updates(Duration::ZERO, 2), [0, 0]);
    }
}
