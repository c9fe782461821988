//! Settings of service discovery (`static_configs` and `*_sd_configs`).
//!
//! Equal settings share one provider, so every type here compares by all its fields.
//!
//! A new kind is a file with its type, `parse` and `effective`, a variant of [`DiscoveryConfig`]
//! and an entry of `registry::SECTIONS`.
//!
//! | module | contents |
//! |---|---|
//! | [`consul`] | `consul_sd_configs` |
//! | [`dns`] | `dns_sd_configs` |
//! | [`docker`] | `docker_sd_configs` |
//! | [`mod@file`] | `file_sd_configs` |
//! | [`http`] | `http_sd_configs` |
//! | [`kubernetes`] | `kubernetes_sd_configs` |
//! | `registry` | parsers of the sections; kinds that narthex does not support |
//! | [`static_groups`] | `static_configs` |

pub mod consul;
pub mod dns;
pub mod docker;
pub mod file;
pub mod http;
pub mod kubernetes;
pub(super) mod registry;
pub mod static_groups;

use crate::config::file::discovery::consul::ConsulSdConfig;
use crate::config::file::discovery::dns::DnsSdConfig;
use crate::config::file::discovery::docker::DockerSdConfig;
use crate::config::file::discovery::file::FileSdConfig;
use crate::config::file::discovery::http::HttpSdConfig;
use crate::config::file::discovery::kubernetes::{KubernetesSdConfig, KubernetesServer};
use crate::config::file::discovery::static_groups::StaticGroup;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::yaml::output::{Yaml, YamlMapping};

/// Settings of one provider of targets.
#[derive(Debug, Clone, PartialEq)]
pub enum DiscoveryConfig {
    /// All `static_configs` of a job.
    Static(Vec<StaticGroup>),
    /// Entry of `file_sd_configs`.
    File(FileSdConfig),
    /// Entry of `http_sd_configs`.
    Http(Box<HttpSdConfig>),
    /// Entry of `dns_sd_configs`.
    Dns(DnsSdConfig),
    /// Entry of `consul_sd_configs`.
    Consul(Box<ConsulSdConfig>),
    /// Entry of `docker_sd_configs`.
    Docker(Box<DockerSdConfig>),
    /// Entry of `kubernetes_sd_configs`.
    Kubernetes(Box<KubernetesSdConfig>),
}

impl DiscoveryConfig {
    /// Name of the mechanism in metrics and logs, as in Prometheus.
    #[must_use]
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::File(_) => "file",
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
            Self::Consul(_) => "consul",
            Self::Docker(_) => "docker",
            Self::Kubernetes(_) => "kubernetes",
        }
    }

    /// Settings of the HTTP client, if the provider has one.
    #[must_use]
    pub fn http_client(&self) -> Option<&HttpClientConfig> {
        match self {
            Self::Static(_) | Self::File(_) | Self::Dns(_) => None,
            Self::Http(config) => Some(&config.http_client),
            Self::Consul(config) => Some(&config.http_client),
            Self::Docker(config) => config.address.uses_http_client.then_some(&config.http_client),
            Self::Kubernetes(config) => match &config.server {
                KubernetesServer::Api { http_client, .. } => Some(http_client),
                KubernetesServer::InCluster | KubernetesServer::KubeConfig(_) => None,
            },
        }
    }

    /// Returns the key of the section and its entries in the effective configuration.
    fn effective(&self) -> (&'static str, Vec<YamlMapping>) {
        match self {
            Self::Static(groups) => {
                ("static_configs", groups.iter().map(static_groups::effective).collect())
            }
            Self::File(config) => ("file_sd_configs", vec![file::effective(config)]),
            Self::Http(config) => ("http_sd_configs", vec![http::effective(config)]),
            Self::Dns(config) => ("dns_sd_configs", vec![dns::effective(config)]),
            Self::Consul(config) => ("consul_sd_configs", vec![consul::effective(config)]),
            Self::Docker(config) => ("docker_sd_configs", vec![docker::effective(config)]),
            Self::Kubernetes(config) => {
                ("kubernetes_sd_configs", vec![kubernetes::effective(config)])
            }
        }
    }
}

/// Returns the sections of the effective configuration, sorted by key.
pub(super) fn effective(discoveries: &[DiscoveryConfig]) -> YamlMapping {
    let mut sections: Vec<(&'static str, Vec<YamlMapping>)> = Vec::new();
    for discovery in discoveries {
        let (key, entries) = discovery.effective();
        match sections.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => known.extend(entries),
            None => sections.push((key, entries)),
        }
    }
    sections.sort_by_key(|(key, _)| *key);
    let mut mapping = YamlMapping::default();
    for (key, entries) in sections {
        mapping.set(key, Yaml::from(entries));
    }
    mapping
}
