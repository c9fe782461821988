//! Timeouts and delays of watches.

use std::time::Duration;

/// Timeouts and delays of watches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WatchTimes {
    /// Minimum time of a watch; the maximum is twice as long.
    pub(crate) watch: Duration,
    /// Minimum time of a watch without events. A shorter one counts as a failure.
    pub(crate) shortest_watch: Duration,
    /// Delay after the first failure; it doubles with each further one.
    pub(crate) first_delay: Duration,
    /// Maximum delay, without jitter.
    pub(crate) max_delay: Duration,
    /// Time without a failure after which the delay is the first one again.
    pub(crate) calm: Duration,
    /// Time in which changes are collected before targets are made of them.
    pub(crate) collect: Duration,
}

impl Default for WatchTimes {
    /// Returns the times of Kubernetes' own client; it does not collect.
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(300),
            shortest_watch: Duration::from_secs(1),
            first_delay: Duration::from_millis(800),
            max_delay: Duration::from_secs(30),
            calm: Duration::from_secs(120),
            collect: Duration::from_millis(50),
        }
    }
}

impl WatchTimes {
    /// Returns the time of a watch, spread so that not all end at once. `fraction` is from 0 to 1.
    pub(super) fn watch_timeout(&self, fraction: f64) -> Duration {
        self.watch.mul_f64(1.0 + fraction)
    }
}

/// Returns a random number from 0 to 1, excluding 1.
pub(super) fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness, all processes have the same delays, and everything else works.
    if getrandom::fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
