//! Targets of ports of containers behind endpoints.

use crate::discovery::address::join_host_port;
use crate::discovery::kinds::kubernetes::objects::pod::{Container, ContainerPort, Pod};
use crate::discovery::kinds::kubernetes::objects::resource::{Resource, object_key};
use crate::discovery::kinds::kubernetes::roles::labels::{set, set_flag};
use crate::discovery::kinds::kubernetes::roles::lookup::Lookup;
use crate::discovery::kinds::kubernetes::roles::pod::pod_labels;
use crate::discovery::target_group::{LabelSet, address_labels};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Pods behind the endpoints of a group, and the ports of their targets.
#[derive(Debug, Default)]
pub(super) struct SeenPods(BTreeMap<String, (Arc<Pod>, BTreeSet<i32>)>);

impl SeenPods {
    /// Notes a target of a pod. `None` means all ports, which covers none of its containers.
    pub(super) fn add(&mut self, pod: Arc<Pod>, port: Option<i32>) {
        let (namespace, name) = pod.identity();
        let entry = self.0.entry(object_key(namespace, name));
        entry.or_insert_with(|| (pod, BTreeSet::new())).1.extend(port);
    }

    /// Returns targets of the ports that have none yet. A pod without an address has no targets.
    pub(super) fn other_ports(self, lookup: &mut Lookup<'_>) -> Vec<LabelSet> {
        let mut targets = Vec::new();
        for (pod, seen) in self.0.into_values() {
            let address = &pod.status.pod_ip;
            if address.is_empty() {
                continue;
            }
            let labels = pod_labels(&pod, lookup);
            for (container, is_init) in pod.containers() {
                let others = container.ports.iter().filter(|p| !seen.contains(&p.container_port));
                targets.extend(others.map(|port| {
                    let mut target = address_labels(join_host_port(address, port.container_port));
                    target.extend(labels.clone());
                    set_port_labels(&mut target, container, is_init, port, &port.protocol);
                    target
                }));
            }
        }
        targets
    }
}

/// Sets the labels of the container that has a port. `protocol` is that of its port if `None`.
pub(super) fn set_container_labels(
    target: &mut LabelSet,
    pod: &Pod,
    number: i32,
    protocol: Option<&str>,
) {
    // If several containers have the port, the last one wins, as in Prometheus.
    for (container, is_init) in pod.containers() {
        let port = container.ports.iter().find(|port| port.container_port == number);
        if let Some(port) = port {
            let protocol = protocol.unwrap_or(&port.protocol);
            set_port_labels(target, container, is_init, port, protocol);
        }
    }
}

fn set_port_labels(
    target: &mut LabelSet,
    container: &Container,
    is_init: bool,
    port: &ContainerPort,
    protocol: &str,
) {
    for (name, value) in [
        ("pod_container_name", container.name.as_str()),
        ("pod_container_image", &container.image),
        ("pod_container_port_name", &port.name),
        ("pod_container_port_number", &port.container_port.to_string()),
        ("pod_container_port_protocol", protocol),
    ] {
        set(target, name, value);
    }
    set_flag(target, "pod_container_init", is_init);
}
