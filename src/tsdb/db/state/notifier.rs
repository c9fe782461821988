//! Notifier that wakes the maintenance thread ([`crate::tsdb::db::maintenance`]) early.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Wakes the maintenance thread.
#[derive(Debug, Default)]
pub struct Notifier {
    is_notified: Mutex<bool>,
    changed: Condvar,
}

impl Notifier {
    /// Requests a maintenance run now.
    pub fn notify(&self) {
        *self.is_notified.lock() = true;
        self.changed.notify_all();
    }

    /// Waits until [`Self::notify`] is called, at most `time`. Returns at once if it was called
    /// before.
    pub(crate) fn wait_timeout(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut is_notified = self.is_notified.lock();
        while !*is_notified && !self.changed.wait_until(&mut is_notified, until).timed_out() {}
        *is_notified = false;
    }
}
