//! Receiver of the targets of all jobs.

use crate::discovery::groups::state::{JobTargets, Shared};
use crate::discovery::providers::throttle::Throttle;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep_until};

/// Receiver of the targets of all jobs. There is one, held by the scraper.
#[derive(Debug)]
pub struct TargetUpdates {
    shared: Arc<Shared>,
    throttle: Throttle,
    generation: u64,
}

impl TargetUpdates {
    pub(super) fn new(shared: Arc<Shared>, interval: Duration) -> Self {
        Self { shared, throttle: Throttle::new(interval), generation: 0 }
    }

    /// Returns the generation of the configuration to which the last update belongs.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Waits until targets have changed or the configuration was applied, and until an update is
    /// due. Returns the groups of all jobs at that time, changed or not. `None` after
    /// [`Providers`](crate::discovery::providers::Providers) was dropped.
    ///
    /// # Cancellation
    /// No update is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<JobTargets> {
        loop {
            let pending = {
                let state = self.shared.state.lock();
                if state.is_closed {
                    return None;
                }
                state.pending_since
            };
            let Some(changed) = pending else {
                self.shared.changed.notified().await;
                continue;
            };
            tokio::select! {
                () = sleep_until(self.throttle.due(changed)) => {}
                // A further change does not move the time; the end of the providers does.
                () = self.shared.changed.notified() => continue,
            }
            return self.take(changed);
        }
    }

    fn take(&mut self, changed: Instant) -> Option<JobTargets> {
        let targets = {
            let mut state = self.shared.state.lock();
            if state.is_closed {
                return None;
            }
            state.pending_since = None;
            self.generation = state.generation;
            state.job_targets()
        };
        let now = Instant::now();
        let metrics = &self.shared.metrics;
        if self.throttle.is_late(changed, now) {
            metrics.delayed_updates.inc();
        }
        self.throttle.sent(changed, now);
        metrics.sent_updates.inc();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for (job, groups) in &targets {
            let count = groups.iter().map(|group| group.targets.len()).sum();
            metrics.set_job(job, count, since_epoch.as_secs_f64());
        }
        Some(targets)
    }
}
