//! Containers and networks as the daemon lists them, and the labels of their targets.

use crate::config::file::discovery::docker::DockerSdConfig;
use crate::discovery::address::join_host_port;
use crate::discovery::group_list::MAX_TARGETS;
use crate::discovery::label_name::sanitized;
use crate::discovery::target_group::{LabelSet, address_labels};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Network mode of containers in the network of the host.
const HOST_MODE: &str = "host";

/// Container of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Container {
    #[serde(deserialize_with = "null_as_default")]
    id: String,
    #[serde(deserialize_with = "null_as_default")]
    names: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    image: String,
    #[serde(rename = "ImageID", deserialize_with = "null_as_default")]
    image_id: String,
    #[serde(deserialize_with = "null_as_default")]
    ports: Vec<Port>,
    #[serde(deserialize_with = "null_as_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    host_config: HostConfig,
    #[serde(deserialize_with = "null_as_default")]
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Port {
    #[serde(rename = "IP", deserialize_with = "null_as_default")]
    ip: Address,
    #[serde(deserialize_with = "null_as_default")]
    private_port: u16,
    #[serde(deserialize_with = "null_as_default")]
    public_port: u16,
    #[serde(rename = "Type", deserialize_with = "null_as_default")]
    protocol: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    #[serde(deserialize_with = "null_as_default")]
    network_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    #[serde(deserialize_with = "null_as_default")]
    networks: BTreeMap<String, Option<Endpoint>>,
}

/// Connection of a container to a network.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Endpoint {
    #[serde(rename = "NetworkID", deserialize_with = "null_as_default")]
    network_id: String,
    #[serde(rename = "IPAddress", deserialize_with = "null_as_default")]
    ip_address: Address,
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "null_as_default")]
    global_ipv6_address: Address,
}

/// Network of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Network {
    #[serde(deserialize_with = "null_as_default")]
    id: String,
    #[serde(deserialize_with = "null_as_default")]
    name: String,
    #[serde(deserialize_with = "null_as_default")]
    scope: String,
    #[serde(deserialize_with = "null_as_default")]
    internal: bool,
    #[serde(deserialize_with = "null_as_default")]
    ingress: bool,
    #[serde(deserialize_with = "null_as_default")]
    labels: BTreeMap<String, String>,
}

/// IP address in its usual form; empty if there is none.
#[derive(Debug, Default)]
struct Address(String);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self(text));
        }
        let (address, zone) = text.split_at(text.find('%').unwrap_or(text.len()));
        let address: IpAddr = address.parse().map_err(D::Error::custom)?;
        Ok(Self(format!("{address}{zone}")))
    }
}

fn null_as_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Endpoint {
    fn address(&self) -> &str {
        let Self { ip_address, global_ipv6_address, .. } = self;
        if ip_address.0.is_empty() { &global_ipv6_address.0 } else { &ip_address.0 }
    }
}

/// Error of containers with too many targets.
#[derive(Debug, thiserror::Error)]
#[error("containers have more than {MAX_TARGETS} targets")]
pub(super) struct TooManyTargetsError;

/// Settings and networks from which containers become targets.
pub(super) struct Targets<'a> {
    config: &'a DockerSdConfig,
    /// Labels of each network, by identifier.
    networks: HashMap<&'a str, LabelSet>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(config: &'a DockerSdConfig, networks: &'a [Network]) -> Self {
        let networks = networks.iter().map(|network| (network.id.as_str(), network.meta_labels()));
        Self { config, networks: networks.collect() }
    }

    /// Returns the labels of all targets.
    pub(super) fn of(
        &self,
        containers: &[Container],
    ) -> Result<Vec<LabelSet>, TooManyTargetsError> {
        let by_id: HashMap<&str, &Container> =
            containers.iter().map(|container| (container.id.as_str(), container)).collect();
        let mut targets = Vec::new();
        for container in containers {
            let Some(common) = container.meta_labels() else { continue };
            for endpoint in self.endpoints(container, &by_id) {
                self.add(container, endpoint, &common, &mut targets);
                if targets.len() > MAX_TARGETS {
                    return Err(TooManyTargetsError);
                }
            }
        }
        Ok(targets)
    }

    /// Returns the connections of a container that are targets.
    fn endpoints<'c>(
        &self,
        container: &'c Container,
        by_id: &HashMap<&str, &'c Container>,
    ) -> Vec<&'c Endpoint> {
        let networks = &shared_network(container, by_id).network_settings.networks;
        // The map is sorted by the name of the network.
        let endpoints = networks.values().flatten();
        let count = if self.config.match_first_network { 1 } else { usize::MAX };
        endpoints.take(count).collect()
    }

    /// Adds a target for each TCP port of a container, or one with the default port.
    fn add(
        &self,
        container: &Container,
        endpoint: &Endpoint,
        common: &LabelSet,
        targets: &mut Vec<LabelSet>,
    ) {
        let ip = endpoint.address();
        let mut base = LabelSet::new();
        set(&mut base, "network_ip", ip);
        let of_network = self.networks.get(endpoint.network_id.as_str());
        let with_meta = |mut labels: LabelSet| {
            labels.extend(common.clone());
            labels.extend(of_network.cloned().unwrap_or_default());
            labels
        };
        let count = targets.len();
        for port in container.ports.iter().filter(|port| port.protocol == "tcp") {
            let mut labels = address_labels(join_host_port(ip, port.private_port));
            labels.extend(base.clone());
            set(&mut labels, "port_private", &port.private_port.to_string());
            if port.public_port > 0 {
                set(&mut labels, "port_public", &port.public_port.to_string());
                set(&mut labels, "port_public_ip", &port.ip.0);
            }
            targets.push(with_meta(labels));
        }
        if targets.len() == count {
            let address = if container.host_config.network_mode == HOST_MODE {
                self.config.host_networking_host.clone()
            } else {
                join_host_port(ip, self.config.port)
            };
            let mut labels = address_labels(address);
            labels.extend(base);
            targets.push(with_meta(labels));
        }
    }
}

/// Returns the container whose networks a container uses: itself, or that of `container:<id>`, step
/// by step until one has networks.
fn shared_network<'c>(
    container: &'c Container,
    by_id: &HashMap<&str, &'c Container>,
) -> &'c Container {
    let mut current = container;
    // Containers may refer to each other in a circle.
    for _ in 0..by_id.len() {
        let mode = current.host_config.network_mode.strip_prefix("container:");
        let next = mode.and_then(|id| by_id.get(id));
        match next {
            Some(next) if current.network_settings.networks.is_empty() => current = next,
            _ => break,
        }
    }
    current
}

impl Container {
    /// Returns the labels of all targets of the container; `None` if it has no name.
    fn meta_labels(&self) -> Option<LabelSet> {
        let mut labels = LabelSet::new();
        for (name, value) in [
            ("container_id", &self.id),
            ("container_name", self.names.first()?),
            ("container_network_mode", &self.host_config.network_mode),
            ("container_image", &self.image),
            ("container_image_id", &self.image_id),
        ] {
            set(&mut labels, name, value);
        }
        for (name, value) in &self.labels {
            set(&mut labels, &format!("container_label_{}", sanitized(name)), value);
        }
        Some(labels)
    }
}

impl Network {
    fn meta_labels(&self) -> LabelSet {
        let mut labels = LabelSet::new();
        for (name, value) in [
            ("network_id", self.id.as_str()),
            ("network_name", &self.name),
            ("network_scope", &self.scope),
            ("network_internal", text(self.internal)),
            ("network_ingress", text(self.ingress)),
        ] {
            set(&mut labels, name, value);
        }
        for (name, value) in &self.labels {
            set(&mut labels, &format!("network_label_{}", sanitized(name)), value);
        }
        labels
    }
}

fn text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Sets a label unless its value is empty, which means an absent one.
fn set(labels: &mut LabelSet, name: &str, value: &str) {
    if !value.is_empty() {
        labels.insert(format!("__meta_docker_{name}"), value.to_owned());
    }
}
