//! Running providers.

use crate::config::file::discovery::kubernetes::{
    AttachMetadata, KubernetesRole, KubernetesSdConfig, KubernetesServer, NamespaceSelection,
};
use crate::config::file::http_client::places::SettingPlaces;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::kinds::kubernetes::environment::KubernetesEnvironment;
use crate::discovery::kinds::kubernetes::provider;
use crate::discovery::kinds::kubernetes::tests::fake_api::FakeApi;
use crate::discovery::kinds::kubernetes::watches::times::WatchTimes;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::refresh::ProviderNames;
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use crate::model::url::Url;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Maximum time until something happens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of the system and metrics of the providers of a test.
pub(super) struct Fixture {
    pub(super) api: FakeApi,
    pub(super) environment: KubernetesEnvironment,
    metrics: DiscoveryMetrics,
    registry: Registry,
}

/// Running provider, which stops when this is dropped.
pub(super) struct Running {
    pub(super) sink: GroupSink,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns short times.
pub(super) fn times() -> WatchTimes {
    WatchTimes {
        watch: Duration::from_secs(300),
        shortest_watch: Duration::from_millis(100),
        first_delay: Duration::from_millis(20),
        max_delay: Duration::from_millis(100),
        calm: Duration::from_secs(1),
        collect: Duration::from_millis(5),
    }
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let mut registry = Registry::new();
        let metrics = DiscoveryMetrics::register(&mut registry);
        let environment = KubernetesEnvironment { times: times(), ..Default::default() };
        Self { api: FakeApi::start().await, environment, metrics, registry }
    }

    /// Returns the settings of a role.
    pub(super) fn config(&self, role: KubernetesRole) -> KubernetesSdConfig {
        let url = Url::parse(&format!("http://{}", self.api.address)).expect("a URL");
        let http_client = Box::new(HttpClientConfig::default());
        KubernetesSdConfig {
            role,
            server: KubernetesServer::Api { url: Box::new(url), http_client },
            namespaces: NamespaceSelection::default(),
            selectors: Vec::new(),
            attach_metadata: AttachMetadata::default(),
            places: SettingPlaces::default(),
        }
    }

    /// Starts a provider.
    pub(super) fn start(&self, config: &KubernetesSdConfig) -> Running {
        let names = ProviderNames { mechanism: "kubernetes", job: "job".to_owned() };
        let metrics = &self.metrics.kubernetes;
        let start = provider(config, names, &self.environment, "narthex/1", metrics);
        let sink = GroupSink::collecting();
        let task = tokio::spawn(start.expect("a provider")(sink.clone()));
        Running { sink, task }
    }

    /// Returns the value of a metric.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let text = self.registry.encode(ExpositionFormat::Classic);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} in {text}")).parse().expect("a number")
    }
}

impl Running {
    /// Returns the groups as `source[addresses]`.
    pub(super) fn shown(&self) -> Vec<String> {
        let groups = self.sink.groups();
        let shown = groups.iter().map(|group| {
            let all: Vec<_> = group.targets.iter().map(|t| t["__address__"].as_str()).collect();
            format!("{}[{}]", group.source, all.join(" "))
        });
        shown.collect()
    }

    /// Waits for groups.
    pub(super) async fn wait_for(&self, expected: &[&str]) {
        eventually(|| self.shown(), |shown| shown == expected).await;
    }

    /// Waits for the number of groups.
    pub(super) async fn wait_for_count(&self, expected: usize) {
        eventually(|| self.sink.groups().len(), |count| *count == expected).await;
    }

    /// Returns the values of a label of all targets, that of the group if they have none.
    pub(super) fn label(&self, name: &str) -> Vec<String> {
        let groups = self.sink.groups();
        let values = groups.iter().flat_map(|group| {
            let value = |target: &std::collections::BTreeMap<String, String>| {
                target.get(name).or(group.labels.get(name)).cloned().unwrap_or_default()
            };
            group.targets.iter().map(value).collect::<Vec<_>>()
        });
        values.collect()
    }
}

/// Waits until a value is as expected.
pub(super) async fn eventually<T: std::fmt::Debug>(
    value: impl Fn() -> T,
    is_expected: impl Fn(&T) -> bool,
) {
    let start = Instant::now();
    loop {
        let current = value();
        if is_expected(&current) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{current:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns a pod with one port.
pub(super) fn pod(name: &str, address: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "n", "labels": {"app": name}},
        "spec": {"nodeName": "n1", "containers": [
            {"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
        ]},
        "status": {"podIP": address, "phase": "Running"},
    })
}
