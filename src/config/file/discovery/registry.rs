//! Registry of the discovery sections.

use crate::config::file::discovery::{
    DiscoveryConfig, consul, dns, docker, file, http, kubernetes, static_groups,
};
use crate::config::yaml::mapping::{Key, Mapping};

/// Function that parses an entry of a section.
type ParseEntry = fn(Mapping<'_>) -> Option<DiscoveryConfig>;

/// Supported sections except `static_configs`.
const SECTIONS: [(&str, ParseEntry); 6] = [
    ("file_sd_configs", |entry| Some(DiscoveryConfig::File(file::parse(entry)))),
    ("http_sd_configs", |entry| http::parse(entry).map(Box::new).map(DiscoveryConfig::Http)),
    ("dns_sd_configs", |entry| Some(DiscoveryConfig::Dns(dns::parse(entry)))),
    ("docker_sd_configs", |entry| docker::parse(entry).map(Box::new).map(DiscoveryConfig::Docker)),
    ("kubernetes_sd_configs", |entry| {
        kubernetes::parse(entry).map(Box::new).map(DiscoveryConfig::Kubernetes)
    }),
    ("consul_sd_configs", |entry| consul::parse(entry).map(Box::new).map(DiscoveryConfig::Consul)),
];

/// Kinds of discovery of Prometheus that narthex does not support.
const UNSUPPORTED: [&str; 30] = [
    "aws",
    "azure",
    "digitalocean",
    "dockerswarm",
    "ec2",
    "ecs",
    "elasticache",
    "eureka",
    "gce",
    "hetzner",
    "ionos",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "msk",
    "nerve",
    "nomad",
    "oci",
    "openstack",
    "outscale",
    "ovhcloud",
    "puppetdb",
    "rds",
    "scaleway",
    "serverset",
    "stackit",
    "triton",
    "uyuni",
    "vultr",
];

/// Reads all sections of a job, `static_configs` first. `may_relabel`: whether the job has
/// relabeling rules.
pub(crate) fn parse(job: &mut Mapping<'_>, may_relabel: bool) -> Vec<DiscoveryConfig> {
    let mut discoveries = Vec::new();
    let groups: Vec<_> = job
        .mappings("static_configs")
        .into_iter()
        .map(|entry| static_groups::parse(entry, may_relabel))
        .collect();
    if !groups.is_empty() {
        discoveries.push(DiscoveryConfig::Static(groups));
    }
    for (key, parse) in SECTIONS {
        discoveries.extend(job.mappings(key).into_iter().filter_map(parse));
    }
    discoveries
}

/// Reports a section of a kind that narthex does not support. Returns `false` for other keys.
pub(crate) fn report_unsupported(key: &Key<'_>) -> bool {
    let kind = key.name.strip_suffix("_sd_configs");
    let is_unsupported = kind.is_some_and(|kind| UNSUPPORTED.contains(&kind));
    if is_unsupported {
        key.unsupported(format_args!(
            "{} is not supported by this version of narthex; use http_sd_configs or \
             file_sd_configs with a program that lists the targets",
            key.name
        ));
    }
    is_unsupported
}
