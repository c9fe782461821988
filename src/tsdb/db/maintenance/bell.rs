//! The bell by which the thread of [`super::background`] is called before its time.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// By which the thread is called.
#[derive(Debug, Default)]
pub struct Bell {
    has_rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Calls for a round now.
    pub fn ring(&self) {
        *self.has_rung.lock() = true;
        self.changed.notify_all();
    }

    /// Returns when somebody has rung, or at the end of the time.
    pub(super) fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut has_rung = self.has_rung.lock();
        while !*has_rung && !self.changed.wait_until(&mut has_rung, until).timed_out() {}
        *has_rung = false;
    }
}
