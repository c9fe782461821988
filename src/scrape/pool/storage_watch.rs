//! Watches how long small scrapes take to be stored.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Time to store a small scrape from which on storage counts as slow: the scrape must have waited
/// for the disk or for other requests.
const SLOW_SCRAPE: Duration = Duration::from_millis(10);
/// Time after a slow scrape until storage counts as fast again.
const SLOW_FOR: Duration = Duration::from_secs(5);

/// Tells whether the next small scrape is expected to wait, from the last ones. All loops share it.
#[derive(Debug)]
pub(super) struct StorageWatch {
    /// Whether each scrape waits for the disk.
    waits_for_sync: bool,
    last_slow: Mutex<Option<Instant>>,
}

impl StorageWatch {
    /// Creates a watch. `waits_for_sync` tells whether each scrape waits for the disk, so that none
    /// is fast.
    pub(super) fn new(waits_for_sync: bool) -> Self {
        Self { waits_for_sync, last_slow: Mutex::default() }
    }

    /// Returns `true` if the next small scrape is expected to be stored without a wait.
    pub(super) fn is_fast(&self) -> bool {
        !self.waits_for_sync && self.last_slow.lock().is_none_or(|last| last.elapsed() >= SLOW_FOR)
    }

    /// Takes note of the time that a small scrape took.
    pub(super) fn observe(&self, time: Duration) {
        if time >= SLOW_SCRAPE {
            *self.last_slow.lock() = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SLOW_FOR, StorageWatch};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn slow_scrape_makes_storage_slow_for_a_while() {
        let watch = StorageWatch::new(false);
        assert!(watch.is_fast());
        watch.observe(Duration::from_millis(9));
        assert!(watch.is_fast());
        watch.observe(Duration::from_millis(10));
        watch.observe(Duration::from_millis(1));
        assert!(!watch.is_fast());
        tokio::time::advance(SLOW_FOR - Duration::from_millis(1)).await;
        assert!(!watch.is_fast());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(watch.is_fast());
    }

    #[test]
    fn storage_that_waits_for_the_disk_is_never_fast() {
        assert!(!StorageWatch::new(true).is_fast());
    }
}
