//! Maintenance thread: one run per minute, and one at once when a head compaction is due.
//!
//! A run that panics is a bug. The next one follows after a pause, because without maintenance the
//! head grows until memory is exhausted. [`crate::tsdb::db::state::panic_watch`] reports several
//! panics in a row to the health endpoint.

use crate::tsdb::db::Db;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Maximum time between two runs.
const INTERVAL: Duration = Duration::from_secs(60);
/// Pause after a failed run. It doubles with each further failure.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

impl Db {
    /// Runs maintenance until [`Db::cancel_maintenance`] or [`Db::close`]. Blocks the calling
    /// thread. `now_ms` returns the current time, ms since the epoch.
    pub fn run_maintenance_loop(&self, now_ms: impl Fn() -> i64) {
        let mut pause = Duration::ZERO;
        while !self.is_stopping() {
            // A panic releases all locks (parking_lot does not poison them), and the next run
            // checks everything again.
            let run = || if self.is_ready() { self.run_maintenance_once(now_ms()) } else { Ok(()) };
            let is_done = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(done) => {
                    self.panic_watch.returned();
                    done.is_ok()
                }
                Err(payload) => {
                    let cause = cause_of(&*payload);
                    tracing::error!(cause, "maintenance run panicked, restarting");
                    self.stats.maintenance_panics.fetch_add(1, Ordering::Relaxed);
                    self.panic_watch.panicked(cause);
                    false
                }
            };
            if is_done {
                pause = Duration::ZERO;
                self.notifier.wait_timeout(INTERVAL);
            } else {
                pause = (pause * 2).clamp(MIN_BACKOFF, MAX_BACKOFF);
                self.sleep_until_closed(pause);
            }
        }
    }

    /// Error of maintenance runs that panic repeatedly; `None` while maintenance works. Reads and
    /// writes work regardless.
    #[must_use]
    pub fn maintenance_fault(&self) -> Option<String> {
        self.panic_watch.fault()
    }

    /// Sleeps, also through notifications, but not beyond a shutdown.
    fn sleep_until_closed(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopping() {
            let remaining = until.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return;
            }
            self.notifier.wait_timeout(remaining.min(Duration::from_millis(200)));
        }
    }
}

/// Message of a panic.
fn cause_of(payload: &(dyn std::any::Any + Send)) -> &str {
    let message = payload.downcast_ref::<&str>().copied();
    message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}
