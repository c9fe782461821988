//! Requests of equal and similar settings, and across reloads.

use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::discovery::kubernetes::{
    AttachMetadata, KubernetesRole, KubernetesSdConfig, RoleSelector,
};
use crate::discovery::kinds::environment::Environment;
use crate::discovery::kinds::kubernetes::tests::fake_api::RequestKind::{List, Watch};
use crate::discovery::kinds::kubernetes::tests::fixture::{Fixture, eventually, pod};
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::providers::updates::TargetUpdates;
use crate::discovery::providers::{JobConfigs, Providers};
use crate::metrics::registry::Registry;
use serde_json::json;
use std::time::Duration;

fn attached(mut config: KubernetesSdConfig) -> KubernetesSdConfig {
    config.attach_metadata =
        AttachMetadata { node: true, namespace: true, deployment: true, job: true, cron_job: true };
    config
}

fn providers(fixture: &Fixture) -> (Providers, TargetUpdates) {
    let metrics = DiscoveryMetrics::register(&mut Registry::new());
    let environment =
        Environment { kubernetes: fixture.environment.clone(), ..Environment::default() };
    Providers::new(Duration::from_millis(10), environment, metrics)
}

fn jobs(configs: &[(&str, KubernetesSdConfig)]) -> JobConfigs {
    let discovery =
        |config: &KubernetesSdConfig| vec![DiscoveryConfig::Kubernetes(Box::new(config.clone()))];
    configs.iter().map(|(job, config)| ((*job).to_owned(), discovery(config))).collect()
}

/// Waits until the jobs have these numbers of groups.
async fn wait_for(updates: &mut TargetUpdates, expected: &[(&str, usize)]) {
    let wait = async {
        loop {
            let targets = updates.next().await.expect("running providers");
            let found: Vec<(&str, usize)> =
                targets.iter().map(|(job, groups)| (job.as_str(), groups.len())).collect();
            if found == expected {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("targets in time");
}

#[tokio::test]
async fn fifty_equal_jobs_make_one_request_per_resource() {
    let fixture = Fixture::new().await;
    fixture.api.put("pods", pod("a", "10.0.0.1"));
    fixture.api.put("nodes", json!({"metadata": {"name": "n1"}}));
    let (providers, mut updates) = providers(&fixture);
    let names: Vec<String> = (0..50).map(|job| format!("job{job:02}")).collect();
    let config = attached(fixture.config(KubernetesRole::Pod));
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), config.clone())).collect();
    providers.apply(providers.prepare(&jobs(&all)).expect("providers"));
    let expected: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    wait_for(&mut updates, &expected).await;
    for resource in ["pods", "nodes", "namespaces", "replicasets", "jobs"] {
        eventually(|| fixture.api.count(resource, Watch), |count| *count == 1).await;
        assert_eq!(fixture.api.count(resource, List), 1, "{resource}");
    }
    assert_eq!(fixture.api.received().len(), 10);
}

#[tokio::test]
async fn roles_share_watches_of_the_same_objects() {
    let fixture = Fixture::new().await;
    fixture.api.put("pods", pod("a", "10.0.0.1"));
    fixture.api.put(
        "nodes",
        json!({"metadata": {"name": "n1"}, "status": {"addresses": [
            {"type": "InternalIP", "address": "10.9.0.1"},
        ]}}),
    );
    fixture.api.put(
        "services",
        json!({"metadata": {"name": "s", "namespace": "n"},
        "spec": {"ports": [{"port": 1}]}}),
    );
    let slice = json!({"metadata": {"name": "s-1", "namespace": "n"}, "ports": [{"port": 80}],
        "endpoints": [{"addresses": ["10.0.0.1"]}]});
    fixture.api.put("endpointslices", slice);
    let roles = [
        KubernetesRole::Pod,
        KubernetesRole::Endpoints,
        KubernetesRole::EndpointSlice,
        KubernetesRole::Service,
        KubernetesRole::Node,
        KubernetesRole::Ingress,
    ];
    let plain = roles.map(|role| fixture.start(&fixture.config(role)));
    let attached = roles.map(|role| fixture.start(&attached(fixture.config(role))));
    for running in [&plain, &attached] {
        running[0].wait_for(&["pod/n/a[10.0.0.1:80]"]).await;
        running[2].wait_for(&["endpointslice/n/s-1[10.0.0.1:80]"]).await;
        running[3].wait_for(&["svc/n/s[s.n.svc:1]"]).await;
        running[4].wait_for(&["node/n1[10.9.0.1:0]"]).await;
    }
    let resources = [
        "pods",
        "services",
        "endpoints",
        "endpointslices",
        "nodes",
        "ingresses",
        "namespaces",
        "replicasets",
        "jobs",
    ];
    for resource in resources {
        eventually(|| fixture.api.count(resource, Watch), |count| *count == 1).await;
        assert_eq!(fixture.api.count(resource, List), 1, "{resource}");
    }
    assert_eq!(fixture.api.received().len(), 2 * resources.len());
    // The watches end with their last users.
    drop(plain);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(fixture.api.open_watches(), resources.len());
    drop(attached);
    eventually(|| fixture.api.open_watches(), |count| *count == 0).await;
    assert_eq!(fixture.environment.watches.len(), 0);
}

#[tokio::test]
async fn other_scopes_have_their_own_requests() {
    let fixture = Fixture::new().await;
    let mut selected = fixture.config(KubernetesRole::Pod);
    selected.selectors = vec![RoleSelector {
        role: KubernetesRole::Pod,
        label: "a in (b,c)".to_owned(),
        field: "spec.nodeName=n1".to_owned(),
    }];
    let mut spaces = fixture.config(KubernetesRole::Pod);
    spaces.namespaces.names = ["x", "y", "x"].map(str::to_owned).into();
    let _running = [selected, spaces].map(|config| fixture.start(&config));
    eventually(|| fixture.api.received().len(), |count| *count == 6).await;
    let received = fixture.api.received();
    let mut lists: Vec<String> = received
        .iter()
        .filter(|received| received.kind == List)
        .map(|received| format!("{} {:?}", received.path, received.query))
        .collect();
    lists.sort();
    assert_eq!(
        lists,
        [
            r#"/api/v1/namespaces/x/pods {"limit": "500"}"#,
            r#"/api/v1/namespaces/y/pods {"limit": "500"}"#,
            "/api/v1/pods {\"fieldSelector\": \"spec.nodeName=n1\", \
             \"labelSelector\": \"a in (b,c)\", \"limit\": \"500\"}",
        ]
    );
    let watch = received.iter().find(|r| r.kind == Watch && r.path == "/api/v1/pods");
    let query = &watch.expect("a watch").query;
    assert_eq!((query["watch"].as_str(), query["allowWatchBookmarks"].as_str()), ("true", "true"));
    assert_eq!(query["resourceVersion"], "1000");
    assert_eq!(query["labelSelector"], "a in (b,c)");
    let seconds: u64 = query["timeoutSeconds"].parse().expect("a number");
    assert!((300..600).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn unchanged_watches_survive_a_reload() {
    let fixture = Fixture::new().await;
    fixture.api.put("pods", pod("a", "10.0.0.1"));
    let (providers, mut updates) = providers(&fixture);
    let pods = fixture.config(KubernetesRole::Pod);
    providers.apply(providers.prepare(&jobs(&[("one", pods.clone())])).expect("providers"));
    wait_for(&mut updates, &[("one", 1)]).await;
    // Another role needs the same pods.
    let endpoints = fixture.config(KubernetesRole::Endpoints);
    let endpoint = json!({"metadata": {"name": "e", "namespace": "n"}, "subsets": [
        {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}]},
    ]});
    fixture.api.put("endpoints", endpoint);
    providers.apply(providers.prepare(&jobs(&[("two", endpoints.clone())])).expect("providers"));
    wait_for(&mut updates, &[("two", 1)]).await;
    // The first provider is back, and the second one unchanged.
    let both = jobs(&[("one", pods), ("two", endpoints)]);
    providers.apply(providers.prepare(&both).expect("providers"));
    wait_for(&mut updates, &[("one", 1), ("two", 1)]).await;
    for resource in ["pods", "services", "endpoints"] {
        assert_eq!(fixture.api.count(resource, List), 1, "{resource}");
        assert_eq!(fixture.api.count(resource, Watch), 1, "{resource}");
    }
    providers.apply(providers.prepare(&jobs(&[])).expect("providers"));
    eventually(|| fixture.api.open_watches(), |count| *count == 0).await;
}
