//! Loop of one target: waits for a tick, scrapes, stores, and waits again.
//!
//! The exchange runs in the task of the loop, and so do the check and the appends of a small body.
//! A large body or a slow disk uses a blocking thread, so that other targets keep their ticks
//! (`storing`).
//!
//! # End
//! - A target that is gone: the scrape in progress finishes, and delayed stale markers follow.
//! - A stop of the server: an exchange is cancelled, appends finish, and no markers are written.

use crate::scrape::plan::offset::offset;
use crate::scrape::plan::schedule::{Schedule, ScrapeTime, tolerance};
use crate::scrape::pool::loop_config::LoopConfig;
use crate::scrape::pool::shared::ScrapeShared;
use crate::scrape::pool::status::{TargetHealth, TargetState, TargetStatus};
use crate::scrape::pool::storing::{Exchanged, Permits, Stored, Storing, now_ms};
use crate::scrape::request::fetch::{FetchLimits, fetch};
use crate::scrape::sample_limit_fill::TargetFill;
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::store::{Storage, TargetStore};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Command to a loop.
#[derive(Clone)]
pub(super) enum LoopCommand {
    /// Scrape with this configuration.
    Run(Arc<LoopConfig>),
    /// The target is gone: write stale markers when they are due.
    End,
    /// The server stops.
    Stop,
}

/// Progress of a loop, for the loop that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopProgress {
    /// It may scrape.
    Scraping,
    /// It will not scrape any more. Markers may follow.
    Ended,
}

/// Loop of one target.
pub(super) struct ScrapeLoop {
    pub(super) shared: Arc<ScrapeShared>,
    pub(super) commands: watch::Receiver<LoopCommand>,
    pub(super) progress: watch::Sender<LoopProgress>,
    pub(super) state: Arc<TargetState>,
    /// State between scrapes; `None` while a thread uses it.
    pub(super) store: Option<TargetStore>,
    /// Loop of the same target that must end before this one scrapes.
    pub(super) predecessor: Option<watch::Receiver<LoopProgress>>,
    /// Expected size of the next body, bytes.
    pub(super) expected_body: usize,
    pub(super) fill: TargetFill,
}

/// Reason for which a wait ended.
enum Wake {
    Tick,
    Changed,
    End,
    Stop,
}

impl ScrapeLoop {
    /// Runs until the target is gone or the server stops.
    pub(super) async fn run(mut self) {
        if let Some(mut predecessor) = self.predecessor.take() {
            // An error means that it has ended, too.
            let _ = predecessor.wait_for(|progress| *progress == LoopProgress::Ended).await;
        }
        let Some(mut config) = self.config() else { return };
        let mut schedule = self.schedule(&config);
        let mut last: Option<Instant> = None;
        loop {
            let tick = self.shared.clock.instant(schedule.next_tick());
            match self.wait_until(tick).await {
                Wake::Tick => {}
                Wake::Changed => {
                    let Some(new) = self.config() else { continue };
                    if new.target.interval != config.target.interval {
                        schedule = self.schedule(&new);
                    }
                    config = new;
                    continue;
                }
                Wake::End => break,
                Wake::Stop => return,
            }
            let now = self.shared.clock.now();
            let time = schedule.start(now);
            if time.clock_step_ns != 0 {
                self.shared.clock.report_step(now);
            }
            let started = Instant::now();
            if let Some(last) = last.replace(started) {
                self.shared.metrics.observe_interval(schedule.interval(), started - last);
            }
            let Some(exchanged) = self.exchange(&config, time, started).await else { return };
            self.store(exchanged).await;
            let missed = schedule.finish(self.shared.clock.now().monotonic);
            self.shared.metrics.missed_ticks.inc_by(missed);
        }
        self.fill.clear();
        // The receiver is gone if no loop follows.
        let _ = self.progress.send(LoopProgress::Ended);
        if last.is_some() {
            self.end(&schedule).await;
        }
    }

    fn config(&self) -> Option<Arc<LoopConfig>> {
        match &*self.commands.borrow() {
            LoopCommand::Run(config) => Some(Arc::clone(config)),
            LoopCommand::End | LoopCommand::Stop => None,
        }
    }

    fn schedule(&self, config: &LoopConfig) -> Schedule {
        let interval = config.target.interval;
        let options = &self.shared.options;
        let position = offset(config.target.hash, options.server_seed, interval);
        let tolerance = tolerance(interval, options.timestamp_tolerance);
        Schedule::new(self.shared.clock.now(), interval, position, tolerance)
    }

    async fn wait_until(&mut self, tick: Instant) -> Wake {
        tokio::select! {
            // A command that is already there comes before a tick.
            biased;
            changed = self.commands.changed() => match (changed, &*self.commands.borrow()) {
                (Err(_), _) | (_, LoopCommand::Stop) => Wake::Stop,
                (_, LoopCommand::End) => Wake::End,
                (_, LoopCommand::Run(_)) => Wake::Changed,
            },
            () = tokio::time::sleep_until(tick) => Wake::Tick,
        }
    }

    /// Returns `None` if the server stops.
    async fn exchange(
        &mut self,
        config: &Arc<LoopConfig>,
        time: ScrapeTime,
        started: Instant,
    ) -> Option<Exchanged> {
        let config = Arc::clone(config);
        if let Some(error) = &config.forced_error {
            let body = Err(error.clone());
            return Some(Exchanged { config, time, started, body });
        }
        let options = &self.shared.options;
        let request = config.job.request(&config.target, options.accept_zstd);
        let limits = FetchLimits {
            body_size: config.job.body_size(options.max_body_size),
            accepts_zstd: options.accept_zstd,
            budget: Arc::clone(&self.shared.budget),
        };
        let exchange = &*config.job.exchange;
        let stopped = stopped(self.commands.clone());
        let fetched = tokio::select! {
            biased;
            () = stopped => return None,
            fetched = fetch(exchange, request, &limits, &mut self.expected_body) => fetched,
        };
        let body = fetched.map_err(|error| ScrapeError::Fetch(Arc::new(error)));
        Some(Exchanged { config, time, started, body })
    }

    /// Stores a scrape, and updates state and metrics.
    async fn store(&mut self, exchanged: Exchanged) {
        let Some(store) = self.store.take() else { return };
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        let config = Arc::clone(&exchanged.config);
        match (Storing { shared, store, state, exchanged }).run().await {
            Some(Stored { store, samples }) => {
                self.store = Some(store);
                self.note_samples(&config, samples);
            }
            None => {
                tracing::error!(url = &*config.target.url, "scrape panicked");
                let status = TargetStatus {
                    health: TargetHealth::Down,
                    last_error: "internal error while the scrape was stored".to_owned(),
                    ..TargetStatus::default()
                };
                self.state.set_status(status);
                let extra = config.unit.extra_metrics;
                self.store = Some(TargetStore::new(&config.target.labels, extra));
            }
        }
    }

    /// Compares the number of samples with the limit; `None` if the body was not read to its end.
    fn note_samples(&mut self, config: &LoopConfig, samples: Option<u64>) {
        let sample_limit = config.unit.sample_limit;
        if samples.is_some_and(|samples| self.fill.set(samples, sample_limit)) {
            tracing::warn!(
                job = &*config.job.name,
                url = &*config.target.url,
                samples,
                sample_limit,
                "target uses 80 % of its sample_limit or more"
            );
        }
    }

    /// Waits until the stale markers are due, and stores them.
    async fn end(mut self, schedule: &Schedule) {
        let markers = schedule.end_markers(self.shared.clock.now());
        let due = self.shared.clock.instant(markers.due);
        loop {
            match self.wait_until(due).await {
                Wake::Tick => break,
                Wake::Changed | Wake::End => {}
                Wake::Stop => return,
            }
        }
        let Some(mut store) = self.store.take() else { return };
        let Some(permits) = Permits::acquire(&self.shared, 0).await else { return };
        let shared = Arc::clone(&self.shared);
        let storing = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            let now_ms = now_ms(&shared);
            let storage = Storage { db: &shared.db, limits: &shared.limits, now_ms };
            if let Err(error) = store.store_end_markers(markers.timestamp_ms, storage) {
                shared.metrics.observe_storage_error(&error);
                tracing::debug!(%error, "cannot store stale markers of a target");
            }
        });
        if let Err(error) = storing.await {
            tracing::error!(%error, "storing stale markers panicked");
        }
    }
}

/// Waits until the server stops.
async fn stopped(mut commands: watch::Receiver<LoopCommand>) {
    // An error means that the pool is gone.
    let _ = commands.wait_for(|command| matches!(command, LoopCommand::Stop)).await;
}
