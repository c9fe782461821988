//! The thread that keeps the database in order: a round a minute, and one at once when the head has
//! grown long.
//!
//! A run that panics is a bug of ours. Another one follows after a pause, since without maintenance
//! the head grows until the memory is full. [`super::panic_watch`] tells health once several runs
//! in a row have panicked.

use crate::tsdb::db::Db;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A round comes at the latest after this time.
const INTERVAL: Duration = Duration::from_secs(60);
/// After a failure the next round waits, each time twice as long.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

impl Db {
    /// Keeps the database in order until [`Db::cancel_maintenance`] or [`Db::close`]; blocks its
    /// thread. `now_ms` is asked for the time, ms since the epoch.
    pub fn run_maintenance_loop(&self, now_ms: impl Fn() -> i64) {
        let mut pause = Duration::ZERO;
        while !self.is_stopping() {
            // What a panic unwinds through keeps nothing locked; the next run looks at everything
            // again.
            let run = || if self.is_ready() { self.run_maintenance_once(now_ms()) } else { Ok(()) };
            let is_done = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(done) => {
                    self.panic_watch.returned();
                    done.is_ok()
                }
                Err(payload) => {
                    let cause = cause_of(&*payload);
                    tracing::error!(cause, "maintenance run panicked, another one follows");
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

    /// Why maintenance does not run any more; `None` while it does. Reads and writes go on
    /// meanwhile.
    #[must_use]
    pub fn maintenance_fault(&self) -> Option<String> {
        self.panic_watch.fault()
    }

    /// Sleeps whatever is called for, but not beyond the end.
    fn sleep_until_closed(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopping() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.notifier.wait_timeout(left.min(Duration::from_millis(200)));
        }
    }
}

/// The message of a panic.
fn cause_of(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}
