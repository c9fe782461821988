//! Groups of related objects, and when they are made again.

use crate::config::file::discovery::kubernetes::{
    AttachMetadata, KubernetesRole, KubernetesSdConfig,
};
use crate::discovery::kinds::kubernetes::access::service_account::ServiceAccount;
use crate::discovery::kinds::kubernetes::tests::fixture::{Fixture, eventually, pod};
use crate::discovery::kinds::kubernetes::{environment::KubernetesEnvironment, namespaces};
use serde_json::{Value, json};
use std::time::Duration;

fn slice(name: &str, kind: &str, addresses: &[&str]) -> Value {
    let labels = json!({"kubernetes.io/service-name": "s"});
    json!({
        "metadata": {"name": name, "namespace": "n", "labels": labels},
        "addressType": kind,
        "ports": [{"port": 80}],
        "endpoints": [{
            "addresses": addresses,
            "targetRef": {"kind": "Pod", "name": "a", "namespace": "n"},
        }],
    })
}

#[tokio::test]
async fn slice_has_labels_of_a_late_pod() {
    let fixture = Fixture::new().await;
    fixture.api.put("endpointslices", slice("s-1", "IPv4", &["10.0.0.1"]));
    let running = fixture.start(&fixture.config(KubernetesRole::EndpointSlice));
    running.wait_for(&["endpointslice/n/s-1[10.0.0.1:80]"]).await;
    let label = || running.label("__meta_kubernetes_pod_label_app");
    assert_eq!(label(), [""]);
    fixture.api.put("pods", pod("a", "10.0.0.1"));
    eventually(label, |found| *found == ["a"]).await;
    let mut changed = pod("a", "10.0.0.1");
    changed["metadata"]["labels"]["app"] = "b".into();
    fixture.api.put("pods", changed.clone());
    eventually(label, |found| *found == ["b"]).await;
    // The endpoints are about to follow.
    fixture.api.remove("pods", &changed);
    fixture.api.put("services", json!({"metadata": {"name": "other", "namespace": "n"}}));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(label(), ["b"]);
    fixture.api.put("services", json!({"metadata": {"name": "s", "namespace": "n"}}));
    eventually(label, |found| *found == [""]).await;
    assert_eq!(running.label("__meta_kubernetes_service_name"), ["s"]);
}

#[tokio::test]
async fn second_family_of_a_service_has_no_targets() {
    let fixture = Fixture::new().await;
    fixture.api.put("endpointslices", slice("s-1", "IPv4", &["10.0.0.1"]));
    fixture.api.put("endpointslices", slice("s-2", "IPv6", &["fd00::1"]));
    let running = fixture.start(&fixture.config(KubernetesRole::EndpointSlice));
    let both = ["endpointslice/n/s-1[10.0.0.1:80]", "endpointslice/n/s-2[[fd00::1]:80]"];
    running.wait_for(&both).await;
    let service = |policy: Value, families: Value| {
        let spec = json!({"ipFamilyPolicy": policy, "ipFamilies": families});
        json!({"metadata": {"name": "s", "namespace": "n"}, "spec": spec})
    };
    for (policy, families, expected) in [
        (json!("PreferDualStack"), json!(["IPv6", "IPv4"]), &both[1..]),
        (json!("SingleStack"), json!(["IPv4"]), &both[..]),
        (json!("RequireDualStack"), json!(["IPv4", "IPv6"]), &both[..1]),
        (json!("RequireDualStack"), json!([]), &both[..]),
        (json!("RequireDualStack"), json!(["IPv4"]), &both[..1]),
        (json!(null), json!(["IPv4"]), &both[..]),
    ] {
        fixture.api.put("services", service(policy, families));
        running.wait_for(expected).await;
    }
}

#[tokio::test]
async fn node_without_address_keeps_its_target() {
    let fixture = Fixture::new().await;
    let node = |addresses: Value| {
        json!({"metadata": {"name": "n1"}, "status": {
        "addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}})
    };
    fixture.api.put("nodes", node(json!([{"type": "Hostname", "address": "h"}])));
    let running = fixture.start(&fixture.config(KubernetesRole::Node));
    running.wait_for(&["node/n1[h:10250]"]).await;
    fixture.api.put("nodes", node(json!(null)));
    fixture.api.put(
        "nodes",
        json!({"metadata": {"name": "n2"}, "status": {
        "addresses": [{"type": "ExternalDNS", "address": "x"}]}}),
    );
    running.wait_for(&["node/n1[h:10250]", "node/n2[x:0]"]).await;
    fixture.api.remove("nodes", &node(json!(null)));
    running.wait_for(&["node/n2[x:0]"]).await;
}

#[tokio::test]
async fn pods_follow_nodes_owners_and_namespaces() {
    let fixture = Fixture::new().await;
    let mut owned = pod("a", "10.0.0.1");
    owned["metadata"]["ownerReferences"] =
        json!([{"kind": "Other", "name": "x"}, {"kind": "Job", "name": "j", "controller": true}]);
    fixture.api.put("pods", owned);
    let mut config = fixture.config(KubernetesRole::Pod);
    config.attach_metadata = AttachMetadata {
        node: true,
        namespace: true,
        job: true,
        cron_job: true,
        deployment: false,
    };
    let running = fixture.start(&config);
    // A pod on an unknown node has no targets.
    eventually(|| fixture.api.open_watches(), |count| *count == 4).await;
    assert!(running.shown().is_empty());
    let node = json!({"metadata": {"name": "n1", "labels": {"z": "1"}}});
    fixture.api.put("nodes", node.clone());
    running.wait_for(&["pod/n/a[10.0.0.1:80]"]).await;
    assert_eq!(running.label("__meta_kubernetes_node_label_z"), ["1"]);
    assert_eq!(running.label("__meta_kubernetes_pod_job_name"), ["j"]);
    assert_eq!(running.label("__meta_kubernetes_pod_cronjob_name"), [""]);
    let owners = json!([{"kind": "CronJob", "name": "c", "controller": true}]);
    let metadata = json!({"name": "j", "namespace": "n", "ownerReferences": owners});
    fixture.api.put("jobs", json!({"metadata": metadata}));
    let cron_job = || running.label("__meta_kubernetes_pod_cronjob_name");
    eventually(cron_job, |found| *found == ["c"]).await;
    fixture.api.put("namespaces", json!({"metadata": {"name": "n", "labels": {"team": "t"}}}));
    let team = || running.label("__meta_kubernetes_namespace_label_team");
    eventually(team, |found| *found == ["t"]).await;
    fixture.api.remove("nodes", &node);
    running.wait_for(&[]).await;
}

#[tokio::test]
async fn own_namespace_is_added_to_the_names() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("namespace"), "own").expect("a namespace");
    let fixture = Fixture::new().await;
    let mut config = fixture.config(KubernetesRole::Pod);
    let account = ServiceAccount { directory: dir.path().to_owned(), server: None };
    let environment = KubernetesEnvironment { account, ..KubernetesEnvironment::default() };
    let all = |config: &KubernetesSdConfig| namespaces(config, &environment).expect("a namespace");
    assert_eq!(all(&config), [""]);
    config.namespaces.own_namespace = true;
    assert_eq!(all(&config), ["own"]);
    config.namespaces.names = vec!["z".to_owned(), "own".to_owned()];
    assert_eq!(all(&config), ["own", "z"]);
}
