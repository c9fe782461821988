//! Watches how long scrapes wait for the WAL.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Time to write to the WAL from which on it counts as slow. A write to the page cache takes some
/// microseconds.
const SLOW_WRITE: Duration = Duration::from_millis(5);
/// Time after a slow write until the WAL counts as fast again.
const SLOW_FOR: Duration = Duration::from_secs(5);

/// Tells whether a write to the WAL is expected to be fast, from the last ones. All loops share it.
#[derive(Debug)]
pub(super) struct LogWatch {
    /// Whether each write waits for the disk.
    waits_for_sync: bool,
    last_slow: Mutex<Option<Instant>>,
}

impl LogWatch {
    /// Creates a watch. `waits_for_sync` tells whether each write waits for the disk, so that none
    /// is fast.
    pub(super) fn new(waits_for_sync: bool) -> Self {
        Self { waits_for_sync, last_slow: Mutex::default() }
    }

    /// Returns `true` if the next write is expected to be fast.
    pub(super) fn is_fast(&self) -> bool {
        !self.waits_for_sync && self.last_slow.lock().is_none_or(|last| last.elapsed() >= SLOW_FOR)
    }

    /// Takes note of the time that a write took.
    pub(super) fn observe(&self, time: Duration) {
        if time >= SLOW_WRITE {
            *self.last_slow.lock() = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LogWatch, SLOW_FOR};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn slow_write_makes_the_log_slow_for_a_while() {
        let watch = LogWatch::new(false);
        assert!(watch.is_fast());
        watch.observe(Duration::from_millis(4));
        assert!(watch.is_fast());
        watch.observe(Duration::from_millis(5));
        watch.observe(Duration::from_millis(1));
        assert!(!watch.is_fast());
        tokio::time::advance(SLOW_FOR - Duration::from_millis(1)).await;
        assert!(!watch.is_fast());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(watch.is_fast());
    }

    #[test]
    fn log_that_waits_for_the_disk_is_never_fast() {
        assert!(!LogWatch::new(true).is_fast());
    }
}
