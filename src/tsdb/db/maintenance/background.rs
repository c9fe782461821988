//! Maintenance thread: one run per minute, and one at once when a head compaction is due.
//!
//! A run that panics is a bug. The next one follows after a pause, because without maintenance the
//! head grows until memory is exhausted. [`crate::tsdb::db::state::panic_watch`] reports several
//! panics in a row to the health endpoint.

use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::state::shared::DbShared;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Maximum time between two runs.
const INTERVAL: Duration = Duration::from_secs(60);
/// Pause after a failed run. It doubles with each further failure.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Loop of the maintenance thread.
pub(super) struct MaintenanceLoop<'a> {
    pub(super) shared: &'a DbShared,
}

impl MaintenanceLoop<'_> {
    /// Calls `run` until a shutdown begins.
    pub(super) fn run(&self, run: impl Fn() -> Result<(), MaintenanceError>) {
        let shared = self.shared;
        let mut pause = Duration::ZERO;
        while !shared.is_stopping() {
            // A panic releases all locks (parking_lot does not poison them), and the next run
            // checks everything again.
            let is_done = match catch_unwind(AssertUnwindSafe(&run)) {
                Ok(done) => {
                    shared.panic_watch().returned();
                    done.is_ok()
                }
                Err(payload) => {
                    let cause = cause_of(&*payload);
                    tracing::error!(cause, "maintenance run panicked, restarting");
                    shared.stats().maintenance_panics.fetch_add(1, Ordering::Relaxed);
                    shared.panic_watch().panicked(cause);
                    false
                }
            };
            if is_done {
                pause = Duration::ZERO;
                shared.notifier().wait_timeout(INTERVAL);
            } else {
                pause = (pause * 2).clamp(MIN_BACKOFF, MAX_BACKOFF);
                self.sleep_until_stopped(pause);
            }
        }
    }

    /// Sleeps, also through notifications, but not beyond a shutdown.
    fn sleep_until_stopped(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.shared.is_stopping() {
            let remaining = until.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return;
            }
            self.shared.notifier().wait_timeout(remaining.min(Duration::from_millis(200)));
        }
    }
}

/// Message of a panic.
fn cause_of(payload: &(dyn std::any::Any + Send)) -> &str {
    let message = payload.downcast_ref::<&str>().copied();
    message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}
