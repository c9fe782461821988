//! Targets of one job.
//!
//! A sync compares the new targets with the running loops. Loops of unchanged targets are not
//! touched. A reload replaces the configuration of the loops, and starts them again only if their
//! caches are no longer valid.

use crate::scrape::pool::job::{JobChange, JobSettings, TargetSet, TargetSpec};
use crate::scrape::pool::loop_config::LoopConfig;
use crate::scrape::pool::scrape_loop::{LoopCommand, LoopProgress, ScrapeLoop};
use crate::scrape::pool::shared::ScrapeShared;
use crate::scrape::pool::status::{ActiveTarget, PoolSnapshot, TargetState};
use crate::scrape::threads::ScrapeThreads;
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::store::TargetStore;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Expected size of the first body of a target, bytes.
const FIRST_BODY: usize = 64 << 10;

/// Targets of one job and their loops.
pub(crate) struct ScrapePool {
    shared: Arc<ScrapeShared>,
    threads: Arc<ScrapeThreads>,
    job: JobSettings,
    /// Running loops by the hash of their target.
    loops: HashMap<u64, RunningLoop>,
    /// Tasks of loops that have ended and still wait for their markers.
    ending: Vec<EndingLoop>,
    dropped: Vec<Arc<[(String, String)]>>,
    dropped_count: usize,
    /// Number of active targets whose labels another one has, too.
    equal_labels: usize,
    /// Whether the job has more targets than `target_limit`.
    is_over_limit: bool,
    /// Error of the first invalid target of the last update.
    invalid: Option<String>,
}

struct RunningLoop {
    target: Arc<TargetSpec>,
    state: Arc<TargetState>,
    commands: watch::Sender<LoopCommand>,
    progress: watch::Receiver<LoopProgress>,
    task: JoinHandle<()>,
}

/// Loop of a target that is gone.
pub(crate) struct EndingLoop {
    hash: u64,
    progress: watch::Receiver<LoopProgress>,
    commands: watch::Sender<LoopCommand>,
    task: JoinHandle<()>,
}

impl ScrapePool {
    /// Creates a pool without targets. Its loops run on `threads`. `ending` are the loops of a
    /// removed job of the same name, which scrape and end before those of the same targets.
    pub(crate) fn new(
        shared: Arc<ScrapeShared>,
        threads: Arc<ScrapeThreads>,
        job: JobSettings,
        ending: Vec<EndingLoop>,
    ) -> Self {
        shared.metrics.pools.inc();
        shared.metrics.set_target_limit(&job.name, job.target_limit);
        Self {
            shared,
            threads,
            job,
            loops: HashMap::new(),
            ending,
            dropped: Vec::new(),
            dropped_count: 0,
            equal_labels: 0,
            is_over_limit: false,
            invalid: None,
        }
    }

    /// Returns the settings of the job.
    pub(crate) fn job(&self) -> &JobSettings {
        &self.job
    }

    /// Replaces the settings of the job. The targets are those of the last sync until the next one.
    pub(crate) fn reload(&mut self, job: JobSettings) {
        let started = Instant::now();
        let change = self.job.change_to(&job);
        if change == JobChange::None {
            return;
        }
        self.shared.metrics.set_target_limit(&job.name, job.target_limit);
        self.job = job;
        self.is_over_limit = self.exceeds_limit(self.loops.len());
        match change {
            JobChange::None => {}
            JobChange::KeepCaches => self.send_configs(),
            JobChange::Restart => {
                let targets: Vec<_> =
                    self.loops.values().map(|running| Arc::clone(&running.target)).collect();
                for target in targets {
                    let predecessor = self.end_loop(target.hash);
                    self.start_loop(target, predecessor);
                }
            }
        }
        self.shared.metrics.observe_reload(self.job.config.interval, started.elapsed());
    }

    /// Makes the loops those of `targets`. `started` is the time before their relabeling.
    pub(crate) fn sync(&mut self, targets: TargetSet, started: Instant) {
        self.ending.retain(|ending| !ending.task.is_finished());
        let TargetSet { active, mut dropped, dropped_count, failed, first_error } = targets;
        self.report_invalid(failed, first_error);
        dropped.truncate(self.job.kept_dropped());
        (self.dropped, self.dropped_count) = (dropped, dropped_count);
        let was_over_limit = self.is_over_limit;
        let mut wanted = HashSet::new();
        let mut new = Vec::new();
        let mut changed = Vec::new();
        for target in active {
            if !wanted.insert(target.hash) {
                continue;
            }
            let Some(running) = self.loops.get_mut(&target.hash) else {
                new.push(Arc::new(target));
                continue;
            };
            if *running.target == target {
                continue;
            }
            if !running.target.is_scraped_like(&target) {
                changed.push(target.hash);
            }
            running.target = Arc::new(target);
        }
        let gone: Vec<u64> =
            self.loops.keys().filter(|hash| !wanted.contains(hash)).copied().collect();
        for hash in gone {
            self.end_loop(hash);
        }
        self.is_over_limit = self.exceeds_limit(wanted.len());
        for target in new {
            let predecessor = self.ending_loop(target.hash);
            self.start_loop(target, predecessor);
        }
        if self.is_over_limit || was_over_limit {
            // The error of every target names the number of targets.
            self.send_configs();
        } else {
            changed.into_iter().for_each(|hash| self.send_config(hash));
        }
        self.shared.metrics.observe_sync(&self.job.name, started.elapsed(), failed, wanted.len());
    }

    /// Ends all loops, with delayed stale markers: the job is gone. Returns the loops that still
    /// have to store markers.
    pub(crate) fn end(mut self) -> Vec<EndingLoop> {
        let hashes: Vec<u64> = self.loops.keys().copied().collect();
        for hash in hashes {
            self.end_loop(hash);
        }
        self.shared.metrics.remove_job(&self.job.name);
        self.ending
    }

    /// Stops all loops without markers, and returns their tasks.
    pub(crate) fn stop(self) -> Vec<JoinHandle<()>> {
        let running = self.loops.into_values().map(|running| {
            // A loop that has ended has no receiver.
            let _ = running.commands.send(LoopCommand::Stop);
            running.task
        });
        let ending = self.ending.into_iter().map(EndingLoop::stop);
        running.chain(ending).collect()
    }

    /// Returns the active targets.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<TargetSpec>> {
        self.loops.values().map(|running| &running.target)
    }

    /// Notes the number of targets whose labels another one has, too, and warns if it is new.
    /// `example` are two of them.
    pub(super) fn note_equal_labels(
        &mut self,
        equal: usize,
        example: Option<&(Arc<TargetSpec>, Arc<TargetSpec>)>,
    ) {
        let job = &*self.job.name;
        self.shared.metrics.set_equal_labels(job, equal);
        if let Some((one, other)) = example.filter(|_| equal != self.equal_labels) {
            tracing::warn!(
                job,
                targets = equal,
                labels = %one.labels,
                url = &*one.url,
                other_url = &*other.url,
                "targets have equal labels, so their samples collide"
            );
        }
        self.equal_labels = equal;
    }

    /// Returns the targets for the API.
    pub(crate) fn snapshot(&self) -> PoolSnapshot {
        let mut active: Vec<ActiveTarget> = self
            .loops
            .values()
            .map(|running| ActiveTarget {
                spec: Arc::clone(&running.target),
                state: Arc::clone(&running.state),
            })
            .collect();
        active.sort_by(|a, b| {
            a.spec.url.cmp(&b.spec.url).then_with(|| a.spec.labels.cmp(&b.spec.labels))
        });
        PoolSnapshot {
            job: Arc::clone(&self.job.name),
            active,
            dropped: self.dropped.clone(),
            dropped_count: self.dropped_count,
        }
    }

    fn exceeds_limit(&self, targets: usize) -> bool {
        let limit = self.job.target_limit;
        let exceeds = limit > 0 && targets as u64 > limit;
        if exceeds {
            self.shared.metrics.exceeded_target_limit.inc();
        }
        exceeds
    }

    fn config(&self, target: &Arc<TargetSpec>, targets: usize) -> Arc<LoopConfig> {
        let limit = self.job.target_limit;
        let forced_error =
            self.is_over_limit.then_some(ScrapeError::TargetLimit { targets, limit });
        Arc::new(LoopConfig {
            target: Arc::clone(target),
            job: self.job.clone(),
            unit: Arc::new(self.job.unit_settings(target)),
            forced_error,
        })
    }

    /// Hands the current configuration to all loops.
    fn send_configs(&self) {
        for hash in self.loops.keys() {
            self.send_config(*hash);
        }
    }

    fn send_config(&self, hash: u64) {
        if let Some(running) = self.loops.get(&hash) {
            let config = self.config(&running.target, self.loops.len());
            // A loop runs until it receives `End`.
            let _ = running.commands.send(LoopCommand::Run(config));
        }
    }

    fn start_loop(
        &mut self,
        target: Arc<TargetSpec>,
        predecessor: Option<watch::Receiver<LoopProgress>>,
    ) {
        let config = self.config(&target, self.loops.len() + 1);
        let store = TargetStore::new(&target.labels, config.unit.extra_metrics);
        let state = Arc::new(TargetState::new(store.metadata()));
        let (commands, receiver) = watch::channel(LoopCommand::Run(config));
        let (sender, progress) = watch::channel(LoopProgress::Scraping);
        let scrape_loop = ScrapeLoop {
            shared: Arc::clone(&self.shared),
            commands: receiver,
            progress: sender,
            state: Arc::clone(&state),
            store: Some(store),
            predecessor,
            expected_body: FIRST_BODY,
            fill: self.shared.metrics.sample_limit_fills.target(&self.job.name),
        };
        let hash = target.hash;
        let task = self.threads.runtime(hash).spawn(scrape_loop.run());
        self.loops.insert(hash, RunningLoop { target, state, commands, progress, task });
    }

    /// Ends the loop of a target that is gone. Returns its progress.
    fn end_loop(&mut self, hash: u64) -> Option<watch::Receiver<LoopProgress>> {
        let running = self.loops.remove(&hash)?;
        let _ = running.commands.send(LoopCommand::End);
        let RunningLoop { commands, progress, task, .. } = running;
        self.ending.push(EndingLoop { hash, commands, progress: progress.clone(), task });
        Some(progress)
    }

    /// Returns the progress of a loop of the same target that may still scrape.
    fn ending_loop(&self, hash: u64) -> Option<watch::Receiver<LoopProgress>> {
        let ending = self.ending.iter().rev().find(|ending| ending.hash == hash)?;
        Some(ending.progress.clone())
    }

    /// Logs the first invalid target, unless it is that of the last update.
    fn report_invalid(&mut self, count: usize, first_error: Option<String>) {
        if let Some(error) = first_error.as_ref().filter(|_| first_error != self.invalid) {
            tracing::error!(job = &*self.job.name, targets = count, error, "invalid targets");
        }
        self.invalid = first_error;
    }
}

impl EndingLoop {
    /// Returns `true` if the markers are stored.
    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops the loop without markers, and returns its task.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        let _ = self.commands.send(LoopCommand::Stop);
        self.task
    }
}
