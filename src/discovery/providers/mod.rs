//! Running providers of targets.
//!
//! Equal configurations share one provider, also across jobs and reloads: an unchanged provider is
//! not restarted and keeps its groups.
//!
//! # Reload
//! [`Providers::prepare`] creates everything that can fail, so that an invalid configuration is
//! rejected as a whole. [`Providers::apply`] cannot fail. A provider that no job uses any more is
//! stopped, and its groups are removed. A provider with new settings has the groups of the one that
//! it replaces until its first update. The receiver gets an update after every reload.
//!
//! | module | content |
//! |---|---|
//! | `throttle` | delays between updates |
//! | [`updates`] | receiver of the targets of all jobs |

mod throttle;
pub mod updates;

use crate::config::file::discovery::DiscoveryConfig;
use crate::discovery::error::CreateProviderError;
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::groups::state::{Provider, ProviderId, Shared, State};
use crate::discovery::kinds;
use crate::discovery::kinds::StartProvider;
use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::providers::updates::TargetUpdates;
use crate::discovery::target_group::TargetGroup;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Discovery configurations of each job.
pub type JobConfigs = BTreeMap<String, Vec<DiscoveryConfig>>;

/// Running providers of all jobs. They stop when this is dropped.
#[derive(Debug)]
pub struct Providers {
    shared: Arc<Shared>,
    environment: Environment,
}

/// Providers of a configuration that is ready to be applied.
#[derive(Debug)]
pub struct PreparedProviders {
    jobs: BTreeSet<String>,
    providers: Vec<Prepared>,
}

/// Provider that is ready to run.
struct Prepared {
    config: DiscoveryConfig,
    jobs: BTreeSet<String>,
    start: StartProvider,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl Providers {
    /// Returns no providers, and the receiver of the updates. `interval` is the maximum delay of
    /// an update (`--scrape.discovery-reload-interval`).
    #[must_use]
    pub fn new(
        interval: Duration,
        environment: Environment,
        metrics: DiscoveryMetrics,
    ) -> (Self, TargetUpdates) {
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { state, changed: Notify::new(), metrics });
        let updates = TargetUpdates::new(Arc::clone(&shared), interval);
        (Self { shared, environment }, updates)
    }

    /// Creates the providers of a configuration without starting them.
    ///
    /// # Errors
    /// [`CreateProviderError`] of the first provider that cannot be created.
    pub fn prepare(&self, configs: &JobConfigs) -> Result<PreparedProviders, CreateProviderError> {
        PreparedProviders::new(configs, |config, job| {
            kinds::create(config, job, &self.environment, &self.shared.metrics)
        })
    }

    /// Starts new providers, keeps unchanged ones and stops the others. Call it within a runtime.
    pub fn apply(&self, prepared: PreparedProviders) {
        let mut state = self.shared.state.lock();
        if state.is_closed {
            return;
        }
        let mut old = std::mem::take(&mut state.providers);
        let mut new = Vec::new();
        for prepared in prepared.providers {
            match old.iter().position(|provider| provider.config == prepared.config) {
                Some(at) => state.providers.push(old.swap_remove(at).with_jobs(prepared.jobs)),
                None => new.push(prepared),
            }
        }
        for Prepared { config, jobs, start } in new {
            state.last_id += 1;
            let id = ProviderId(state.last_id);
            let sink = GroupSink::new(Arc::clone(&self.shared), id);
            let task = tokio::spawn(start(sink)).abort_handle();
            let groups = inherited_groups(&old, &config, &jobs);
            let is_inherited = !groups.is_empty();
            state.providers.push(Provider { id, config, jobs, groups, is_inherited, task });
        }
        let removed: Vec<_> = state.jobs.difference(&prepared.jobs).cloned().collect();
        state.jobs = prepared.jobs;
        state.generation += 1;
        state.mark_changed();
        drop(state);
        for job in removed {
            self.shared.metrics.remove_job(&job);
        }
        self.shared.changed.notify_one();
    }

    /// Returns the number of configurations that were applied. Updates that were taken before the
    /// last one have a lower [`TargetUpdates::generation`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.state.lock().generation
    }

    /// Stops all providers, for good.
    pub fn stop(&self) {
        let providers = {
            let mut state = self.shared.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.providers)
        };
        drop(providers);
        self.shared.changed.notify_one();
    }
}

impl PreparedProviders {
    /// Creates one provider for each distinct configuration. `create` gets it and its first job.
    fn new<E>(
        configs: &JobConfigs,
        create: impl Fn(&DiscoveryConfig, &str) -> Result<StartProvider, E>,
    ) -> Result<Self, E> {
        let mut providers: Vec<Prepared> = Vec::new();
        for (job, config) in configs.iter().flat_map(|(job, all)| all.iter().map(move |c| (job, c)))
        {
            if let Some(equal) = providers.iter_mut().find(|prepared| prepared.config == *config) {
                equal.jobs.insert(job.clone());
                continue;
            }
            let start = create(config, job)?;
            let (config, jobs) = (config.clone(), BTreeSet::from([job.clone()]));
            providers.push(Prepared { config, jobs, start });
        }
        Ok(Self { jobs: configs.keys().cloned().collect(), providers })
    }
}

/// Returns the groups of removed providers of the same kind and job. A provider with new settings
/// has them until its first update, so that a reload loses no target while a source is gone.
fn inherited_groups(
    removed: &[Provider],
    config: &DiscoveryConfig,
    jobs: &BTreeSet<String>,
) -> BTreeMap<String, Arc<TargetGroup>> {
    removed
        .iter()
        .filter(|old| old.config.mechanism() == config.mechanism() && !old.jobs.is_disjoint(jobs))
        .flat_map(|old| old.groups.iter().map(|(source, group)| (source.clone(), group.clone())))
        .collect()
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
