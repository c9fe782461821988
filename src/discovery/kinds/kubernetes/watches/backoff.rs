//! Delays between attempts.

use crate::discovery::kinds::kubernetes::watches::times::WatchTimes;
use std::time::Duration;
use tokio::time::Instant;

/// Maximum delay for which a server can ask.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Schedule of the attempts. A plain value: the caller passes times and random numbers.
#[derive(Debug)]
pub(super) struct Backoff {
    times: WatchTimes,
    /// Next delay without jitter.
    delay: Duration,
    /// Time of the last failure.
    last: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(times: WatchTimes) -> Self {
        Self { times, delay: times.first_delay, last: None }
    }

    /// Returns the delay after a failure. `requested`: the delay for which the server asks.
    /// `fraction` is a random number from 0 to 1.
    pub(super) fn after_failure(
        &mut self,
        now: Instant,
        requested: Option<Duration>,
        fraction: f64,
    ) -> Duration {
        if self.last.is_some_and(|last| now.duration_since(last) > self.times.calm) {
            self.delay = self.times.first_delay;
        }
        let delay = self.delay;
        self.delay = (delay * 2).min(self.times.max_delay);
        self.last = Some(now);
        let requested = requested.unwrap_or_default().min(MAX_RETRY_AFTER);
        delay.mul_f64(1.0 + fraction).max(requested + delay.mul_f64(fraction))
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use crate::discovery::kinds::kubernetes::watches::times::WatchTimes;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let mut backoff = Backoff::new(WatchTimes::default());
        let mut now = Instant::now();
        for (pause, fraction, expected) in [
            (0, 0.0, 800),
            (0, 0.0, 1_600),
            (0, 0.0, 3_200),
            (0, 0.5, 9_600),
            (0, 0.5, 19_200),
            (0, 0.5, 38_400),
            (0, 0.5, 45_000),
            (0, 0.0, 30_000),
            (121, 0.0, 800),
            (60, 0.0, 1_600),
        ] {
            now += Duration::from_secs(pause);
            let delay = backoff.after_failure(now, None, fraction);
            assert_eq!(delay, Duration::from_millis(expected));
            now += delay;
        }
    }

    #[test]
    fn delay_of_the_server_is_a_minimum() {
        let mut backoff = Backoff::new(WatchTimes::default());
        let now = Instant::now();
        let mut delay = |seconds, fraction| {
            backoff.after_failure(now, Some(Duration::from_secs(seconds)), fraction)
        };
        assert_eq!(delay(7, 0.5), Duration::from_millis(7_400));
        assert_eq!(delay(1, 0.0), Duration::from_millis(1_600));
        assert_eq!(delay(1_000_000, 0.0), Duration::from_secs(300));
    }
}
