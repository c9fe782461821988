//! Consul discovery: one group per service, one target per instance.
//!
//! The provider watches the list of services, and each of them with a task of its own. A failed
//! query keeps all groups and is repeated after [`RETRY_DELAY`]. Queries that block start at most
//! once per refresh interval.
//!
//! | module | content |
//! |---|---|
//! | `api` | queries of Consul's HTTP API |
//! | `service` | instances of a service and their labels |

mod api;
mod service;

use crate::config::file::discovery::consul::ConsulSdConfig;
use crate::discovery::error::CreateProviderError;
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::kinds::StartProvider;
use crate::discovery::kinds::consul::api::{ConsulApi, ConsulError, ConsulResponse};
use crate::discovery::kinds::consul::service::{Instance, ServiceLabels};
use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::{ConsulMetrics, DiscoveryMetrics};
use crate::discovery::refresh::ProviderNames;
use crate::discovery::target_group::TargetGroup;
use crate::log_limit::LogLimit;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

/// Delay after a failed query.
const RETRY_DELAY: Duration = Duration::from_secs(15);
/// Maximum number of watched services.
const MAX_SERVICES: usize = 10_000;

/// Returns a provider of the services of a Consul server.
pub(super) fn provider(
    config: &ConsulSdConfig,
    names: ProviderNames,
    environment: &Environment,
    metrics: &DiscoveryMetrics,
) -> Result<StartProvider, CreateProviderError> {
    let client = environment.http_client(&config.http_client, &names)?;
    let watcher = Watcher {
        api: Arc::new(ConsulApi::new(config, client)),
        config: Arc::new(config.clone()),
        metrics: metrics.consul.clone(),
        errors: Arc::new(LogLimit::new("cannot query Consul")),
        retry_delay: RETRY_DELAY,
        names,
    };
    Ok(Box::new(move |sink| Box::pin(watcher.run(sink))))
}

/// What the tasks of a provider share.
#[derive(Clone)]
struct Watcher {
    api: Arc<ConsulApi>,
    config: Arc<ConsulSdConfig>,
    metrics: ConsulMetrics,
    errors: Arc<LogLimit>,
    retry_delay: Duration,
    names: ProviderNames,
}

/// Task that stops when this is dropped.
struct Task(JoinHandle<()>);

impl Task {
    /// Stops the task, and returns when it can send nothing any more.
    async fn stop(mut self) {
        self.0.abort();
        // The error is that of the abort.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Index of a blocking query.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct WaitIndex(u64);

impl WaitIndex {
    /// Notes the index of a response. Returns `false` if nothing has changed.
    fn advance(&mut self, index: u64) -> bool {
        let is_new = index != self.0;
        // The state of the server was restored, so its old indexes mean nothing.
        self.0 = if index < self.0 { 0 } else { index };
        is_new
    }
}

impl Watcher {
    async fn run(self, sink: GroupSink) {
        let datacenter = self.datacenter().await;
        let config = &self.config;
        if config.services.is_empty() || !config.tags.is_empty() || !config.filter.is_empty() {
            self.watch_catalog(&datacenter, &sink).await;
        }
        let _tasks: Vec<Task> =
            config.services.iter().map(|name| self.watch(name, &datacenter, &sink)).collect();
        std::future::pending::<()>().await;
    }

    /// Returns the datacenter of the settings, or that of the server.
    async fn datacenter(&self) -> String {
        if !self.config.datacenter.is_empty() {
            return self.config.datacenter.clone();
        }
        loop {
            match self.api.datacenter().await {
                Ok(datacenter) => return datacenter,
                Err(error) => self.failed(&error, None).await,
            }
        }
    }

    /// Watches the list of services, and starts and stops the watches of services.
    async fn watch_catalog(&self, datacenter: &str, sink: &GroupSink) {
        let mut tasks: HashMap<String, Task> = HashMap::new();
        let mut ticks = self.ticks();
        let mut index = WaitIndex::default();
        loop {
            let start = std::time::Instant::now();
            let listed = self.api.services(index.0, &self.config.filter).await;
            self.metrics.services_duration.observe(start.elapsed(), std::time::Instant::now());
            match listed {
                Ok(response) => {
                    if index.advance(response.index) {
                        self.follow(response.value, &mut tasks, datacenter, sink).await;
                    }
                }
                Err(error) => self.failed(&error, None).await,
            }
            ticks.tick().await;
        }
    }

    async fn follow(
        &self,
        services: BTreeMap<String, Vec<String>>,
        tasks: &mut HashMap<String, Task>,
        datacenter: &str,
        sink: &GroupSink,
    ) {
        let gone: Vec<String> =
            tasks.keys().filter(|name| !services.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(task) = tasks.remove(&name) {
                task.stop().await;
            }
            sink.send(vec![TargetGroup::removed(name)]);
        }
        for (name, tags) in services {
            if !self.is_wanted(&name, &tags) || tasks.contains_key(&name) {
                continue;
            }
            if tasks.len() == MAX_SERVICES {
                if let Some(suppressed) = self.errors.admit(std::time::Instant::now()) {
                    let ProviderNames { job, .. } = &self.names;
                    let limit = MAX_SERVICES;
                    tracing::error!(job, limit, suppressed, "too many Consul services");
                }
                return;
            }
            let task = self.watch(&name, datacenter, sink);
            tasks.insert(name, task);
        }
    }

    /// Returns `true` if the settings select a service: by its name, and by all tags.
    fn is_wanted(&self, name: &str, tags: &[String]) -> bool {
        let config = &self.config;
        (config.services.is_empty() || config.services.iter().any(|wanted| wanted == name))
            && config.tags.iter().all(|wanted| tags.contains(wanted))
    }

    /// Starts to watch the instances of a service.
    fn watch(&self, name: &str, datacenter: &str, sink: &GroupSink) -> Task {
        let (watcher, sink) = (self.clone(), sink.clone());
        let (name, datacenter) = (name.to_owned(), datacenter.to_owned());
        Task(tokio::spawn(async move { watcher.watch_service(&name, &datacenter, &sink).await }))
    }

    async fn watch_service(&self, name: &str, datacenter: &str, sink: &GroupSink) {
        let labels =
            ServiceLabels { service: name, datacenter, tag_separator: &self.config.tag_separator };
        let mut ticks = self.ticks();
        let mut index = WaitIndex::default();
        loop {
            let start = std::time::Instant::now();
            let instances: Result<ConsulResponse<Vec<Instance>>, ConsulError> =
                self.api.instances(name, index.0, &self.config).await;
            self.metrics.service_duration.observe(start.elapsed(), std::time::Instant::now());
            match instances {
                Ok(response) => {
                    if index.advance(response.index) {
                        sink.send(vec![labels.group(response.value)]);
                    }
                }
                Err(error) => self.failed(&error, Some(name)).await,
            }
            ticks.tick().await;
        }
    }

    fn ticks(&self) -> Interval {
        let interval = self.config.refresh_interval;
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    /// Reports a failed query and waits before the next one.
    async fn failed(&self, error: &ConsulError, service: Option<&str>) {
        self.metrics.failures.inc();
        if let Some(suppressed) = self.errors.admit(std::time::Instant::now()) {
            let ProviderNames { job, .. } = &self.names;
            tracing::error!(%error, job, service, suppressed, "cannot query Consul");
        }
        sleep(self.retry_delay).await;
    }
}

#[cfg(test)]
mod tests;
