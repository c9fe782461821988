//! The thread that keeps the database in order: a round a minute, and one at once when the head has grown long enough.

use crate::tsdb::db::Db;
use std::time::{Duration, Instant};

/// A round comes at the latest after this time.
const INTERVAL: Duration = Duration::from_secs(60);
/// After a failure the next round waits, each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Db {
    /// Keeps the database in order until [`Db::cancel_maintenance`] or [`Db::close`]; blocks its thread. `now_ms` is asked for the time, ms since the epoch.
    pub fn run_maintenance(&self, now_ms: impl Fn() -> i64) {
        let mut pause = Duration::ZERO;
        while !self.is_stopping() {
            let done = if self.is_ready() { self.maintain(now_ms()) } else { Ok(()) };
            pause = match done {
                Ok(()) => Duration::ZERO,
                Err(_) => (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE),
            };
            if pause.is_zero() {
                self.bell.wait(INTERVAL);
            } else {
                self.sleep(pause);
            }
        }
    }

    /// Sleeps whatever is called for, but not beyond the end.
    fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopping() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.bell.wait(left.min(Duration::from_millis(200)));
        }
    }
}
