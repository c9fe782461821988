//! Role `node`: the address of the kubelet.

use crate::discovery::address::join_host_port;
use crate::discovery::kinds::kubernetes::objects::node::{Node, NodeStatus};
use crate::discovery::kinds::kubernetes::roles::labels::{set, set_metadata};
use crate::discovery::kinds::kubernetes::roles::lookup::Lookup;
use crate::discovery::label_name::sanitized;
use crate::discovery::target_group::{LabelSet, TargetGroup, address_labels};

/// Types of addresses, the preferred ones first.
const ADDRESS_TYPES: [&str; 6] =
    ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

/// Label with the name of the target.
const INSTANCE_LABEL: &str = "instance";

/// Returns the group of a node. As in Prometheus, a node without an address keeps its group.
pub(crate) fn group(node: &Node, _: &mut Lookup<'_>) -> Option<TargetGroup> {
    let Some(address) = address(&node.status) else {
        tracing::warn!(node = node.metadata.name, "Kubernetes node has no address");
        return None;
    };
    let port = node.status.daemon_endpoints.kubelet_endpoint.port;
    let mut target = address_labels(join_host_port(address, port));
    target.insert(INSTANCE_LABEL.to_owned(), node.metadata.name.clone());
    // The first address of a type wins.
    for address in node.status.addresses.iter().rev() {
        set(&mut target, &format!("node_address_{}", sanitized(&address.kind)), &address.address);
    }
    let mut labels = LabelSet::new();
    set(&mut labels, "node_provider_id", &node.spec.provider_id);
    for condition in &node.status.conditions {
        let name = format!("node_condition_{}", sanitized(&condition.kind.to_lowercase()));
        set(&mut labels, &name, &condition.status.to_lowercase());
    }
    set_metadata(&mut labels, "node", (&node.metadata).into());
    Some(TargetGroup { labels, targets: vec![target], ..TargetGroup::default() })
}

fn address(status: &NodeStatus) -> Option<&str> {
    let of_type = |kind: &&str| status.addresses.iter().find(|address| address.kind == **kind);
    ADDRESS_TYPES.iter().find_map(of_type).map(|address| address.address.as_str())
}
