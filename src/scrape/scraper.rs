//! Entry of the scraper: the pools of all jobs.
//!
//! # Locking
//! A mutex guards the pools. It is held while targets are compared and loops are started, never
//! during a scrape. The API copies references under it.

use crate::config::file::scrape::job::ScrapeJob;
use crate::scrape::cache::metadata::MetadataSize;
use crate::scrape::pool::equal_labels;
use crate::scrape::pool::job::{JobSettings, TargetSet};
use crate::scrape::pool::scrape_pool::{EndingLoop, ScrapePool};
use crate::scrape::pool::shared::ScrapeShared;
use crate::scrape::pool::status::PoolSnapshot;
use crate::scrape::threads::ScrapeThreads;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Scraper of all jobs. It scrapes until [`Scraper::stop`]; create it when the database is ready.
pub struct Scraper {
    shared: Arc<ScrapeShared>,
    threads: Arc<ScrapeThreads>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pools: BTreeMap<Arc<str>, ScrapePool>,
    /// Loops of removed jobs that wait for their markers, by job.
    ending: BTreeMap<Arc<str>, Vec<EndingLoop>>,
    is_stopped: bool,
}

impl Scraper {
    /// Creates a scraper without jobs, whose loops will run on `threads`.
    #[must_use]
    pub fn new(shared: Arc<ScrapeShared>, threads: ScrapeThreads) -> Self {
        Self { shared, threads: Arc::new(threads), state: Mutex::default() }
    }

    /// Makes `jobs` the jobs of the scraper. Unchanged jobs are not touched; a job that is not in
    /// the list ends, as its targets would. New jobs have targets after [`Scraper::update`].
    pub fn apply(&self, jobs: Vec<JobSettings>) {
        let mut state = self.state.lock();
        if state.is_stopped {
            return;
        }
        state.ending.retain(|_, ending| !ending.iter().all(EndingLoop::is_finished));
        let mut old = std::mem::take(&mut state.pools);
        for job in jobs {
            let name = Arc::clone(&job.name);
            let pool = match old.remove(&name) {
                Some(mut pool) => {
                    pool.reload(job);
                    pool
                }
                None => {
                    let ending = state.ending.remove(&name).unwrap_or_default();
                    let (shared, threads) = (Arc::clone(&self.shared), Arc::clone(&self.threads));
                    ScrapePool::new(shared, threads, job, ending)
                }
            };
            state.pools.insert(name, pool);
        }
        for (name, pool) in old {
            state.ending.insert(name, pool.end());
        }
    }

    /// Makes the targets of the jobs those that `targets_of` returns for them; `None` leaves the
    /// targets of a job as they are. It is called without the lock.
    pub fn update(&self, mut targets_of: impl FnMut(&JobSettings) -> Option<TargetSet>) {
        let jobs: Vec<JobSettings> =
            self.state.lock().pools.values().map(|pool| pool.job().clone()).collect();
        for job in jobs {
            let started = Instant::now();
            let Some(targets) = targets_of(&job) else { continue };
            let mut state = self.state.lock();
            // A job that was reloaded in the meantime has an update of its own.
            if let Some(pool) = state.pools.get_mut(&job.name)
                && Arc::ptr_eq(&pool.job().config, &job.config)
            {
                pool.sync(targets, started);
            }
        }
        let mut state = self.state.lock();
        equal_labels::report(state.pools.values_mut());
    }

    /// Stops all loops without stale markers. Exchanges are cancelled; returns when all
    /// appends in progress have ended.
    pub async fn stop(&self) {
        let tasks: Vec<_> = {
            let mut state = self.state.lock();
            state.is_stopped = true;
            let pools = std::mem::take(&mut state.pools);
            let ending = std::mem::take(&mut state.ending);
            let pools = pools.into_values().flat_map(ScrapePool::stop);
            pools.chain(ending.into_values().flatten().map(EndingLoop::stop)).collect()
        };
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "scrape loop panicked");
            }
        }
    }

    /// Returns the targets of all jobs, sorted by the name of the job.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PoolSnapshot> {
        self.state.lock().pools.values().map(ScrapePool::snapshot).collect()
    }

    /// Returns the number of metadata entries of each job and the bytes of their texts.
    #[must_use]
    pub fn metadata_sizes(&self) -> Vec<(Arc<str>, MetadataSize)> {
        let size = |pool: PoolSnapshot| {
            let sizes = pool.active.iter().map(|target| target.state.metadata().lock().size());
            (pool.job, sizes.fold(MetadataSize::default(), MetadataSize::plus))
        };
        self.snapshot().into_iter().map(size).collect()
    }

    /// Returns the configuration of a job; `None` if there is none of this name.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<Arc<ScrapeJob>> {
        self.state.lock().pools.get(name).map(|pool| Arc::clone(&pool.job().config))
    }

    /// Returns the names of all jobs, sorted.
    #[must_use]
    pub fn job_names(&self) -> Vec<Arc<str>> {
        self.state.lock().pools.keys().cloned().collect()
    }

    /// Returns the state that all loops share.
    #[must_use]
    pub fn shared(&self) -> &Arc<ScrapeShared> {
        &self.shared
    }
}
