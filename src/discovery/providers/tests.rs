//! Tests of sharing, reloads and updates, on a paused clock.

use super::{JobConfigs, PreparedProviders, Providers};
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::discovery::file::FileSdConfig;
use crate::config::file::discovery::static_groups::StaticGroup;
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::groups::state::JobTargets;
use crate::discovery::kinds::StartProvider;
use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::providers::updates::TargetUpdates;
use crate::discovery::target_group::{TargetGroup, address_labels};
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const INTERVAL: Duration = Duration::from_secs(5);

fn providers() -> (Providers, TargetUpdates, Registry) {
    let mut registry = Registry::new();
    let metrics = DiscoveryMetrics::register(&mut registry);
    let (providers, updates) = Providers::new(INTERVAL, Environment::default(), metrics);
    (providers, updates, registry)
}

fn static_config(addresses: &[&str]) -> DiscoveryConfig {
    let targets = addresses.iter().map(ToString::to_string).collect();
    DiscoveryConfig::Static(vec![StaticGroup { targets, labels: BTreeMap::new() }])
}

fn jobs(jobs: &[(&str, &[DiscoveryConfig])]) -> JobConfigs {
    jobs.iter().map(|(job, configs)| ((*job).to_owned(), configs.to_vec())).collect()
}

fn group(source: &str, addresses: &[&str]) -> TargetGroup {
    TargetGroup {
        source: source.to_owned(),
        targets: addresses.iter().map(|a| address_labels((*a).to_owned())).collect(),
        ..TargetGroup::default()
    }
}

/// Formats the addresses of each job as `job=[a b]`.
fn addresses(targets: &JobTargets) -> String {
    let jobs = targets.iter().map(|(job, groups)| {
        let targets = groups.iter().flat_map(|group| &group.targets);
        let all: Vec<_> = targets.map(|labels| labels["__address__"].as_str()).collect();
        format!("{job}=[{}]", all.join(" "))
    });
    jobs.collect::<Vec<_>>().join(" ")
}

async fn next(updates: &mut TargetUpdates) -> String {
    addresses(&updates.next().await.expect("running providers"))
}

/// Providers that do nothing but hand over their sinks, by configuration.
#[derive(Debug, Clone, Default)]
struct Started(Arc<Mutex<Vec<(DiscoveryConfig, GroupSink)>>>);

impl Started {
    fn prepare(&self, configs: &JobConfigs) -> PreparedProviders {
        let created = PreparedProviders::new(configs, |config, _| {
            let (started, own) = (self.clone(), config.clone());
            let start: StartProvider = Box::new(move |sink: GroupSink| {
                Box::pin(async move {
                    started.0.lock().push((own, sink));
                    std::future::pending::<()>().await;
                })
            });
            Ok::<_, Infallible>(start)
        });
        created.unwrap_or_else(|never| match never {})
    }

    /// Waits until the tasks have run, and returns the sinks of all started providers.
    async fn sinks(&self) -> Vec<GroupSink> {
        tokio::task::yield_now().await;
        self.0.lock().iter().map(|(_, sink)| sink.clone()).collect()
    }
}

/// Distinct configuration number `n`.
fn config(n: u64) -> DiscoveryConfig {
    let refresh_interval = Duration::from_secs(n);
    DiscoveryConfig::File(FileSdConfig { files: Vec::new(), refresh_interval })
}

#[tokio::test(start_paused = true)]
async fn job_has_the_groups_of_all_its_providers() {
    let (providers, mut updates, _) = providers();
    let all = [static_config(&["a:1", "b:1"]), static_config(&["c:1"])];
    let prepared = providers.prepare(&jobs(&[("one", &all), ("none", &[])])).expect("valid");
    let start = Instant::now();
    providers.apply(prepared);
    assert_eq!(next(&mut updates).await, "none=[] one=[a:1 b:1 c:1]");
    assert_eq!(start.elapsed(), Duration::from_millis(100));
    assert!(timeout(INTERVAL * 10, updates.next()).await.is_err(), "an update without change");
}

#[tokio::test(start_paused = true)]
async fn equal_configurations_share_one_provider() {
    let (providers, mut updates, _) = providers();
    let started = Started::default();
    let names: Vec<String> = (0..50).map(|i| format!("job{i:02}")).collect();
    let configs = names.iter().map(|name| (name.clone(), vec![config(1)])).collect();
    providers.apply(started.prepare(&configs));
    let sinks = started.sinks().await;
    assert_eq!(sinks.len(), 1);
    sinks[0].send(vec![group("s", &["a:1"])]);
    let targets = updates.next().await.expect("running providers");
    assert_eq!(targets.len(), 50);
    assert!(targets.values().all(|groups| groups.len() == 1 && groups[0].source == "s"));
}

#[tokio::test(start_paused = true)]
async fn unchanged_provider_survives_a_reload() {
    let (providers, mut updates, _) = providers();
    let started = Started::default();
    providers.apply(started.prepare(&jobs(&[("a", &[config(1)]), ("b", &[config(2)])])));
    let sinks = started.sinks().await;
    sinks[0].send(vec![group("s", &["a:1"])]);
    sinks[1].send(vec![group("s", &["b:1"])]);
    assert_eq!(next(&mut updates).await, "a=[a:1] b=[b:1]");

    // Job "a" is renamed, job "b" also gets its provider; a third one is new.
    providers.apply(
        started.prepare(&jobs(&[("b", &[config(2), config(1)]), ("c", &[config(1), config(3)])])),
    );
    assert_eq!(next(&mut updates).await, "b=[b:1 a:1] c=[a:1]");
    assert_eq!(started.sinks().await.len(), 3, "an unchanged provider was restarted");
    sinks[0].send(vec![group("s", &["a:2"])]);
    assert_eq!(next(&mut updates).await, "b=[b:1 a:2] c=[a:2]");
}

#[tokio::test(start_paused = true)]
async fn update_has_the_generation_of_its_configuration() {
    let (providers, mut updates, _) = providers();
    let started = Started::default();
    assert_eq!((providers.generation(), updates.generation()), (0, 0));
    providers.apply(started.prepare(&jobs(&[("a", &[config(1)])])));
    assert_eq!(next(&mut updates).await, "a=[]");
    providers.apply(started.prepare(&jobs(&[("a", &[config(2)])])));
    assert_eq!((providers.generation(), updates.generation()), (2, 1));
    assert_eq!(next(&mut updates).await, "a=[]");
    assert_eq!(updates.generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn removed_provider_is_stopped_and_ignored() {
    let (providers, mut updates, _) = providers();
    let started = Started::default();
    providers.apply(started.prepare(&jobs(&[("a", &[config(1)])])));
    let sinks = started.sinks().await;
    sinks[0].send(vec![group("s", &["a:1"])]);
    assert_eq!(next(&mut updates).await, "a=[a:1]");
    let task = providers.shared.state.lock().providers[0].task.clone();
    providers.apply(started.prepare(&jobs(&[("a", &[config(2)])])));
    assert_eq!(next(&mut updates).await, "a=[a:1]", "the new provider has sent nothing");
    assert!(task.is_finished());
    sinks[0].send(vec![group("s", &["a:2"])]);
    started.sinks().await.pop().unwrap().send(Vec::new());
    assert_eq!(next(&mut updates).await, "a=[]");
    assert!(timeout(INTERVAL * 10, updates.next()).await.is_err(), "a stopped provider was heard");
}

#[tokio::test(start_paused = true)]
async fn group_without_targets_clears_its_source() {
    let (providers, mut updates, _) = providers();
    let started = Started::default();
    providers.apply(started.prepare(&jobs(&[("a", &[config(1)])])));
    let sink = started.sinks().await.remove(0);
    sink.send(vec![group("s", &["a:1"]), group("t", &["b:1", "b:2"])]);
    assert_eq!(next(&mut updates).await, "a=[a:1 b:1 b:2]");
    sink.send(vec![TargetGroup::removed("s".to_owned()), group("u", &["c:1"])]);
    assert_eq!(next(&mut updates).await, "a=[b:1 b:2 c:1]");
}

#[tokio::test(start_paused = true)]
async fn equal_groups_cause_no_update() {
    let (providers, mut updates, _) = providers();
    let started = Started::default();
    providers.apply(started.prepare(&jobs(&[("a", &[config(1)])])));
    let sink = started.sinks().await.remove(0);
    sink.send(vec![group("s", &["a:1"])]);
    let first = updates.next().await.expect("running providers");
    sink.send(vec![group("s", &["a:1"]), TargetGroup::removed("t".to_owned())]);
    assert!(timeout(INTERVAL * 10, updates.next()).await.is_err());
    sink.send(vec![group("t", &["b:1"])]);
    let second = updates.next().await.expect("running providers");
    assert!(Arc::ptr_eq(&first["a"][0], &second["a"][0]));
}

#[tokio::test(start_paused = true)]
async fn frequent_changes_arrive_once_per_interval() {
    let (providers, mut updates, registry) = providers();
    let started = Started::default();
    providers.apply(started.prepare(&jobs(&[("a", &[config(1)])])));
    let sink = started.sinks().await.remove(0);
    tokio::spawn(async move {
        for i in 0.. {
            sink.send(vec![group("s", &[&format!("a:{i}")])]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut times = Vec::new();
    for _ in 0..16 {
        updates.next().await.expect("running providers");
        times.push(Instant::now());
    }
    let delays: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert!(delays[..9].is_sorted() && delays[0] < 200, "{delays:?}");
    assert_eq!(delays[11..], [5000; 4], "{delays:?}");
    let text = registry.encode(ExpositionFormat::Classic);
    for line in [
        "prometheus_sd_updates_total{name=\"scrape\"} 16",
        "prometheus_sd_updates_delayed_total{name=\"scrape\"} 0",
        "prometheus_sd_discovered_targets{config=\"a\",name=\"scrape\"} 1.0",
        "prometheus_sd_failed_configs{name=\"scrape\"} 0.0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_wait_loses_no_update() {
    let (providers, mut updates, _) = providers();
    let started = Started::default();
    providers.apply(started.prepare(&jobs(&[("a", &[config(1)])])));
    started.sinks().await[0].send(vec![group("s", &["a:1"])]);
    let start = Instant::now();
    for _ in 0..9 {
        assert!(timeout(Duration::from_millis(10), updates.next()).await.is_err());
    }
    assert_eq!(next(&mut updates).await, "a=[a:1]");
    assert_eq!(start.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn busy_receiver_counts_a_delayed_update() {
    let (providers, mut updates, registry) = providers();
    providers.apply(providers.prepare(&jobs(&[("a", &[])])).expect("valid"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(next(&mut updates).await, "a=[]");
    let text = registry.encode(ExpositionFormat::Classic);
    assert!(text.contains("prometheus_sd_updates_delayed_total{name=\"scrape\"} 1\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn receiver_ends_with_the_providers() {
    let (providers, mut updates, _) = providers();
    let started = Started::default();
    providers.apply(started.prepare(&jobs(&[("a", &[config(1)])])));
    assert_eq!(next(&mut updates).await, "a=[]");
    let task = providers.shared.state.lock().providers[0].task.clone();
    drop(providers);
    assert!(timeout(INTERVAL, updates.next()).await.expect("an answer").is_none());
    tokio::task::yield_now().await;
    assert!(task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn series_of_a_removed_job_vanish() {
    let (providers, mut updates, registry) = providers();
    providers.apply(providers.prepare(&jobs(&[("a", &[]), ("b", &[])])).expect("valid"));
    next(&mut updates).await;
    let of_job = |registry: &Registry| {
        let text = registry.encode(ExpositionFormat::Classic);
        text.lines().filter(|line| line.contains("config=\"a\"")).count()
    };
    assert_eq!(of_job(&registry), 2);
    providers.apply(providers.prepare(&jobs(&[("b", &[])])).expect("valid"));
    next(&mut updates).await;
    assert_eq!(of_job(&registry), 0);
}
