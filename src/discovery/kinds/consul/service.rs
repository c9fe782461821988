//! Instances of a service as Consul's health API lists them, and their labels.

use crate::discovery::address::join_host_port;
use crate::discovery::label_name::sanitized;
use crate::discovery::target_group::{LabelSet, TargetGroup, address_labels};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Instance of a service on a node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Instance {
    node: Node,
    service: Service,
    #[serde(default, deserialize_with = "null_as_default")]
    checks: Vec<Check>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Node {
    #[serde(deserialize_with = "null_as_default")]
    node: String,
    #[serde(deserialize_with = "null_as_default")]
    address: String,
    #[serde(deserialize_with = "null_as_default")]
    tagged_addresses: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    meta: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Service {
    #[serde(rename = "ID", deserialize_with = "null_as_default")]
    id: String,
    #[serde(deserialize_with = "null_as_default")]
    tags: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    address: String,
    #[serde(deserialize_with = "null_as_default")]
    port: i64,
    #[serde(deserialize_with = "null_as_default")]
    meta: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    namespace: String,
    #[serde(deserialize_with = "null_as_default")]
    partition: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Check {
    #[serde(rename = "CheckID", deserialize_with = "null_as_default")]
    id: String,
    #[serde(deserialize_with = "null_as_default")]
    status: String,
}

fn null_as_default<'de, T: Default + Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Labels that all instances of a service share, and how their tags are joined.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServiceLabels<'a> {
    pub(super) service: &'a str,
    pub(super) datacenter: &'a str,
    pub(super) tag_separator: &'a str,
}

impl ServiceLabels<'_> {
    /// Returns the group of a service. Its source is the name of the service.
    pub(super) fn group(&self, instances: Vec<Instance>) -> TargetGroup {
        let mut labels = LabelSet::new();
        set(&mut labels, "service", self.service);
        set(&mut labels, "dc", self.datacenter);
        let targets = instances.into_iter();
        let targets = targets.map(|instance| instance.labels(self.tag_separator)).collect();
        TargetGroup { source: self.service.to_owned(), labels, targets }
    }
}

impl Instance {
    fn labels(self, tag_separator: &str) -> LabelSet {
        let Self { node, service, checks } = self;
        // A service may be registered on another node than its own.
        let host = if service.address.is_empty() { &node.address } else { &service.address };
        let port = service.port.to_string();
        let mut labels = address_labels(join_host_port(host, &port));
        for (name, value) in [
            ("address", node.address.as_str()),
            ("node", &node.node),
            ("namespace", &service.namespace),
            ("partition", &service.partition),
            ("service_address", &service.address),
            ("service_port", &port),
            ("service_id", &service.id),
            ("health", health(&checks)),
        ] {
            set(&mut labels, name, value);
        }
        // Separators on both sides let a regular expression match any tag equally.
        let tags = service.tags.join(tag_separator);
        set(&mut labels, "tags", &format!("{tag_separator}{tags}{tag_separator}"));
        for (prefix, values) in [
            ("metadata_", node.meta),
            ("service_metadata_", service.meta),
            ("tagged_address_", node.tagged_addresses),
        ] {
            for (name, value) in values {
                set(&mut labels, &format!("{prefix}{}", sanitized(&name)), &value);
            }
        }
        labels
    }
}

/// Sets a label unless its value is empty, which means an absent one.
fn set(labels: &mut LabelSet, name: &str, value: &str) {
    if !value.is_empty() {
        labels.insert(format!("__meta_consul_{name}"), value.to_owned());
    }
}

/// Returns the worst status, as Consul's own client does. A status that it does not know makes the
/// result empty.
fn health(checks: &[Check]) -> &'static str {
    let mut worst = 0;
    for check in checks {
        let is_maintenance =
            check.id == "_node_maintenance" || check.id.starts_with("_service_maintenance:");
        let rank = match check.status.as_str() {
            _ if is_maintenance => 3,
            "passing" => 0,
            "warning" => 1,
            "critical" => 2,
            _ => return "",
        };
        worst = worst.max(rank);
    }
    ["passing", "warning", "critical", "maintenance"][worst]
}
