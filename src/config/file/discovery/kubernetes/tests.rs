//! Keys of `kubernetes_sd_configs`: values, problems, and the effective configuration.

use super::{
    AttachMetadata, KubernetesRole, KubernetesSdConfig, KubernetesServer, NamespaceSelection,
    RoleSelector,
};
use crate::config::file;
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::http_client::places::SettingPlaces;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::options::LoadOptions;
use std::path::{Path, PathBuf};

fn text(keys: &str) -> String {
    format!(
        "scrape_configs:\n- job_name: one\n  kubernetes_sd_configs:\n  - {}\n",
        keys.replace('\n', "\n    ")
    )
}

fn config(keys: &str) -> KubernetesSdConfig {
    let file = file::parse_for_tests(&text(keys));
    match file.scrape.jobs[0].discoveries.as_slice() {
        [DiscoveryConfig::Kubernetes(config)] => (**config).clone(),
        other => panic!("{other:?}"),
    }
}

/// Returns the problems of an entry, without the part of the key that all have.
fn problems(keys: &str) -> Vec<String> {
    let path = Path::new("/etc/n.yml");
    let (_, problems) = file::parse(&text(keys), path, LoadOptions::new(false), &|_| None);
    let shown = problems.iter().map(|problem| problem.problem.message.clone());
    shown.map(|m| m.replace("scrape_configs[0].kubernetes_sd_configs[0]", "")).collect()
}

#[test]
fn entry_without_keys_is_the_cluster_of_the_process() {
    assert_eq!(
        config("role: pod"),
        KubernetesSdConfig {
            role: KubernetesRole::Pod,
            server: KubernetesServer::InCluster,
            namespaces: NamespaceSelection::default(),
            selectors: Vec::new(),
            attach_metadata: AttachMetadata::default(),
            places: SettingPlaces::default(),
        }
    );
    assert_eq!(config("role: pod\napi_server:").server, KubernetesServer::InCluster);
}

#[test]
fn all_keys_are_read() {
    let config = config(
        "role: endpointslice\n\
         api_server: https://k:6443/prefix\n\
         follow_redirects: false\n\
         namespaces: {names: [a, b]}\n\
         selectors:\n\
         - {role: pod, label: 'a=b', field: 'spec.nodeName=n'}\n\
         - {role: endpointslice}\n\
         attach_metadata: {node: true, cronjob: true}",
    );
    assert_eq!(config.role, KubernetesRole::EndpointSlice);
    let KubernetesServer::Api { url, http_client } = &config.server else { unreachable!() };
    assert_eq!(url.to_string(), "https://k:6443/prefix");
    let expected = HttpClientConfig { follow_redirects: false, ..HttpClientConfig::default() };
    assert_eq!(**http_client, expected);
    assert_eq!(config.namespaces.names, ["a", "b"]);
    let selector = |role, label: &str, field: &str| RoleSelector {
        role,
        label: label.to_owned(),
        field: field.to_owned(),
    };
    assert_eq!(
        config.selectors,
        [
            selector(KubernetesRole::Pod, "a=b", "spec.nodeName=n"),
            selector(KubernetesRole::EndpointSlice, "", ""),
        ]
    );
    let expected = AttachMetadata { node: true, cron_job: true, ..AttachMetadata::default() };
    assert_eq!(config.attach_metadata, expected);
}

#[test]
fn kubeconfig_is_relative_to_the_file() {
    let (file, problems) = file::parse(
        &text("role: node\nkubeconfig_file: kube/config"),
        Path::new("/etc/n.yml"),
        LoadOptions::new(false),
        &|_| None,
    );
    assert_eq!(problems, []);
    let DiscoveryConfig::Kubernetes(config) = &file.scrape.jobs[0].discoveries[0] else {
        unreachable!()
    };
    let expected = KubernetesServer::KubeConfig(PathBuf::from("/etc/kube/config"));
    assert_eq!(config.server, expected);
}

#[test]
fn mistakes_are_problems_with_their_keys() {
    let cases: [(&str, &str); 17] = [
        ("api_server: http://k", ": needs role: pod, service, endpoints, endpointslice, node"),
        ("role: Pod", ".role: \"Pod\" is not a role; use one of pod, service,"),
        ("role:", ".role: \"\" is not a role"),
        ("role: pod\napi_server: ':%'", ".api_server: "),
        ("role: pod\napi_server: ftp://k", ".api_server: scheme must be http or https"),
        (
            "role: pod\napi_server: http://k\nkubeconfig_file: f",
            ".kubeconfig_file: excludes api_server",
        ),
        ("role: pod\nkubeconfig_file: f\nbearer_token: t", ": kubeconfig_file excludes keys of"),
        ("role: pod\nenable_http2: false", ": keys of the HTTP client need api_server"),
        (
            "role: pod\napi_server: http://k\nnamespaces: {own_namespace: true}",
            ".namespaces.own_namespace: excludes api_server",
        ),
        (
            "role: pod\nkubeconfig_file: f\nnamespaces: {own_namespace: true}",
            ".namespaces.own_namespace: excludes kubeconfig_file",
        ),
        ("role: pod\nnamespaces: [a]", ".namespaces: must be a mapping"),
        ("role: pod\nnamespaces: {name: a}", ".namespaces.name: unknown key \"name\""),
        (
            "role: endpoints\nselectors: [{role: node, label: a}]",
            ".selectors[0].role: role endpoints has no selectors with role node, only pod, ",
        ),
        ("role: pod\nselectors: [{label: a}]", ".selectors[0]: needs role"),
        (
            "role: pod\nselectors: [{role: pod}, {role: pod}]",
            ".selectors[1]: is the second one with role pod",
        ),
        (
            "role: pod\nselectors: [{role: pod, label: 'a=b=c'}]",
            ".selectors[0].label: invalid label selector: ",
        ),
        (
            "role: pod\nselectors: [{role: pod, field: a}]",
            ".selectors[0].field: invalid field selector: ",
        ),
    ];
    for (keys, expected) in cases {
        let found = problems(keys);
        let is_alone = found.len() == 1;
        assert!(is_alone && found[0].contains(expected), "{keys}: {found:?}");
    }
    assert_eq!(problems("role: pod\nattach_metadata: {pod: true}").len(), 1);
}

#[test]
fn number_of_namespaces_is_limited() {
    let names = |count| format!("role: pod\nnamespaces: {{names: [{}]}}", "a,".repeat(count));
    assert!(problems(&names(1_000)).is_empty());
    assert_eq!(problems(&names(1_001)), [".namespaces.names: has more than 1000 names"]);
}
