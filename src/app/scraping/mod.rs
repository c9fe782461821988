//! Scraping within the application: the scraper, the discovery of its targets, and their
//! configuration.
//!
//! # Ordering
//! 1. A configuration is prepared: everything that can fail is created, such as HTTP clients. An
//!    invalid one changes nothing.
//! 2. It is applied. Until the database is ready it only waits; a later one replaces it.
//! 3. Found targets reach the scraper through [`Scraping::run_updates`].
//!
//! | module | contents |
//! |---|---|
//! | `error` | errors of preparing a configuration |
//! | `prepare` | jobs of a configuration, ready to be applied |
//! | `self_scrape` | the job that scrapes narthex itself |

pub(crate) mod error;
mod prepare;
pub(crate) mod self_scrape;

use crate::app::scraping::error::PrepareScrapingError;
use crate::app::scraping::prepare::{JobParts, PreparedJobs};
use crate::app::scraping::self_scrape::SelfScrape;
use crate::config::file::contents::ConfigFile;
use crate::discovery::providers::Providers;
use crate::discovery::providers::updates::TargetUpdates;
use crate::scrape::pool::job::{JobSettings, TargetSet};
use crate::scrape::scraper::Scraper;
use crate::scrape::unit::settings::StartTimestamps;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Scraper and discovery with one configuration.
pub(crate) struct Scraping {
    scraper: Arc<Scraper>,
    providers: Providers,
    start_timestamps: StartTimestamps,
    self_scrape: Option<SelfScrape>,
    /// Generation of the providers of the current jobs. Older updates are not for these jobs.
    generation: AtomicU64,
    state: Mutex<State>,
}

/// Part that a reload changes.
#[derive(Default)]
struct State {
    /// Jobs of the configuration, by name. Their HTTP clients can be used again.
    jobs: BTreeMap<String, JobSettings>,
    is_started: bool,
    /// Configuration that waits for the start.
    waiting: Option<PreparedJobs>,
}

impl std::fmt::Debug for Scraping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scraping").finish_non_exhaustive()
    }
}

impl Scraping {
    /// Creates scraping without jobs.
    pub(crate) fn new(
        scraper: Arc<Scraper>,
        providers: Providers,
        start_timestamps: StartTimestamps,
        self_scrape: Option<SelfScrape>,
    ) -> Self {
        let (generation, state) = (AtomicU64::new(0), Mutex::default());
        Self { scraper, providers, start_timestamps, self_scrape, generation, state }
    }

    /// Creates everything that the configuration needs. Blocks on files. Call it within a runtime.
    ///
    /// # Errors
    /// [`PrepareScrapingError`] of the first job that cannot work.
    pub(crate) fn prepare(&self, file: &ConfigFile) -> Result<PreparedJobs, PrepareScrapingError> {
        let old = self.state.lock().jobs.clone();
        let parts = JobParts {
            providers: &self.providers,
            start_timestamps: self.start_timestamps,
            self_scrape: self.self_scrape.as_ref(),
        };
        PreparedJobs::new(file, &old, &parts)
    }

    /// Makes a configuration the current one. Unchanged jobs and providers are not touched. Call it
    /// within a runtime.
    pub(crate) fn apply(&self, prepared: PreparedJobs) {
        let mut state = self.state.lock();
        state.jobs = prepared.jobs.iter().map(|job| (job.name.to_string(), job.clone())).collect();
        if state.is_started {
            self.activate(prepared);
        } else {
            state.waiting = Some(prepared);
        }
    }

    /// Starts scraping: the database is ready. Call it within a runtime.
    pub(crate) fn start(&self) {
        let mut state = self.state.lock();
        state.is_started = true;
        if let Some(prepared) = state.waiting.take() {
            self.activate(prepared);
        }
    }

    fn activate(&self, prepared: PreparedJobs) {
        self.scraper.shared().reopen_failure_logs();
        // Before the jobs, so that no new job gets the targets of an old configuration.
        self.generation.store(self.providers.generation() + 1, Ordering::SeqCst);
        // Before the providers, whose next update is for the new jobs.
        self.scraper.apply(prepared.jobs);
        self.providers.apply(prepared.providers);
    }

    /// Stops discovery and all scrapes. Returns when all appends in progress have ended.
    pub(crate) async fn stop(&self) {
        self.providers.stop();
        self.scraper.stop().await;
    }

    /// Hands found targets to the scraper, until discovery ends.
    pub(crate) async fn run_updates(self: Arc<Self>, mut updates: TargetUpdates) {
        while let Some(targets) = updates.next().await {
            let (scraping, generation) = (Arc::clone(&self), updates.generation());
            // Relabeling of many targets takes a while.
            let update = tokio::task::spawn_blocking(move || {
                scraping.scraper.update(|job| {
                    if generation < scraping.generation.load(Ordering::SeqCst) {
                        return None;
                    }
                    let groups = targets.get(&*job.name)?.iter().map(Arc::as_ref);
                    Some(TargetSet::resolve(&job.targets, groups, job.kept_dropped()))
                });
            });
            if let Err(error) = update.await {
                tracing::error!(%error, "update of the targets panicked");
            }
        }
    }
}
