//! The bell by which the thread of [`super::background`] is called before its time.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// By which the thread is called.
#[derive(Debug, Default)]
pub struct Notifier {
    is_notified: Mutex<bool>,
    changed: Condvar,
}

impl Notifier {
    /// Calls for a round now.
    pub fn notify(&self) {
        *self.is_notified.lock() = true;
        self.changed.notify_all();
    }

    /// Returns when somebody has rung, or at the end of the time.
    pub(super) fn wait_timeout(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut has_rung = self.is_notified.lock();
        while !*has_rung && !self.changed.wait_until(&mut has_rung, until).timed_out() {}
        *has_rung = false;
    }
}
