//! Groups of the running providers.
//!
//! # Locking
//! A mutex protects all groups. It is held while the groups of a provider are replaced, while the
//! groups of all jobs are collected (clones of `Arc`s), and while a reload exchanges providers.

use crate::config::file::discovery::DiscoveryConfig;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::target_group::TargetGroup;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Groups of each job. A job without targets has an empty list.
pub type JobTargets = BTreeMap<String, Vec<Arc<TargetGroup>>>;

/// Identifier of a provider, unique for the lifetime of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::discovery) struct ProviderId(pub(in crate::discovery) u64);

/// State that the providers share with the receiver of the updates.
#[derive(Debug)]
pub(in crate::discovery) struct Shared {
    pub(in crate::discovery) state: Mutex<State>,
    /// Wakes the receiver. A permit is stored if it does not wait.
    pub(in crate::discovery) changed: Notify,
    pub(in crate::discovery) metrics: DiscoveryMetrics,
}

#[derive(Debug, Default)]
pub(in crate::discovery) struct State {
    pub(in crate::discovery) jobs: BTreeSet<String>,
    pub(in crate::discovery) providers: Vec<Provider>,
    pub(in crate::discovery) last_id: u64,
    /// Number of configurations that were applied.
    pub(in crate::discovery) generation: u64,
    /// Time of the oldest change that the receiver has not seen.
    pub(in crate::discovery) pending_since: Option<Instant>,
    pub(in crate::discovery) is_closed: bool,
}

/// Running provider. Its task stops when this is dropped.
#[derive(Debug)]
pub(in crate::discovery) struct Provider {
    pub(in crate::discovery) id: ProviderId,
    pub(in crate::discovery) config: DiscoveryConfig,
    /// Jobs that use the provider.
    pub(in crate::discovery) jobs: BTreeSet<String>,
    /// Groups by source; each has targets.
    pub(in crate::discovery) groups: BTreeMap<String, Arc<TargetGroup>>,
    /// Whether the groups are those of the provider that this one replaces.
    pub(in crate::discovery) is_inherited: bool,
    pub(in crate::discovery) task: AbortHandle,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Applies groups of a provider.
    pub(in crate::discovery) fn update(&self, provider: ProviderId, groups: Vec<TargetGroup>) {
        let mut state = self.state.lock();
        // A task may still be running for a moment after its provider was removed.
        let Some(provider) = state.providers.iter_mut().find(|p| p.id == provider) else { return };
        self.metrics.received_updates.inc();
        let mut is_changed = std::mem::take(&mut provider.is_inherited);
        if is_changed {
            provider.groups.clear();
        }
        for group in groups {
            is_changed |= provider.replace(group);
        }
        if is_changed {
            state.mark_changed();
            drop(state);
            self.changed.notify_one();
        }
    }
}

impl Provider {
    /// Replaces the jobs that use the provider.
    pub(in crate::discovery) fn with_jobs(mut self, jobs: BTreeSet<String>) -> Self {
        self.jobs = jobs;
        self
    }

    /// Replaces the group with the same source. Returns `false` if it is equal.
    fn replace(&mut self, group: TargetGroup) -> bool {
        if group.targets.is_empty() {
            return self.groups.remove(&group.source).is_some();
        }
        match self.groups.get_mut(&group.source) {
            Some(old) if **old == group => false,
            Some(old) => {
                *old = Arc::new(group);
                true
            }
            None => self.groups.insert(group.source.clone(), Arc::new(group)).is_none(),
        }
    }
}

impl State {
    /// Notes that the receiver has to see the groups again.
    pub(in crate::discovery) fn mark_changed(&mut self) {
        self.pending_since.get_or_insert_with(Instant::now);
    }

    /// Returns the groups of all jobs, in the order of providers and sources.
    pub(in crate::discovery) fn job_targets(&self) -> JobTargets {
        let mut targets: JobTargets =
            self.jobs.iter().map(|job| (job.clone(), Vec::new())).collect();
        for provider in &self.providers {
            for job in &provider.jobs {
                if let Some(groups) = targets.get_mut(job) {
                    groups.extend(provider.groups.values().cloned());
                }
            }
        }
        targets
    }
}
