//! Role `endpoints`: each port of each address, and the other ports of the pods behind them.

use crate::discovery::address::join_host_port;
use crate::discovery::kinds::kubernetes::objects::endpoints::{EndpointAddress, Endpoints};
use crate::discovery::kinds::kubernetes::objects::port::ObjectPort;
use crate::discovery::kinds::kubernetes::roles::container_port::{SeenPods, set_container_labels};
use crate::discovery::kinds::kubernetes::roles::labels::{set, set_flag, set_metadata};
use crate::discovery::kinds::kubernetes::roles::lookup::Lookup;
use crate::discovery::kinds::kubernetes::roles::pod::pod_labels;
use crate::discovery::kinds::kubernetes::roles::service::set_service_labels;
use crate::discovery::target_group::{LabelSet, TargetGroup, address_labels};

/// Label of endpoints with too many addresses for one object.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// Returns the group of endpoints.
pub(crate) fn group(endpoints: &Endpoints, lookup: &mut Lookup<'_>) -> Option<TargetGroup> {
    let metadata = &endpoints.metadata;
    if let Some(capacity) = metadata.labels.get(OVER_CAPACITY) {
        let (namespace, name) = (&metadata.namespace, &metadata.name);
        tracing::debug!(
            namespace,
            name,
            capacity,
            "Kubernetes endpoints have more than 1000 addresses, use role endpointslice"
        );
    }
    let mut labels = LabelSet::new();
    set(&mut labels, "namespace", &metadata.namespace);
    if let Some(service) = lookup.service(&metadata.namespace, &metadata.name) {
        set_service_labels(&mut labels, &service);
    }
    set_metadata(&mut labels, "endpoints", metadata.into());
    lookup.set_namespace_labels(&mut labels, &metadata.namespace);
    let (mut targets, mut seen) = (Vec::new(), SeenPods::default());
    for subset in &endpoints.subsets {
        for port in &subset.ports {
            let ready = subset.addresses.iter().map(|address| (address, true));
            let others = subset.not_ready_addresses.iter().map(|address| (address, false));
            for (address, is_ready) in ready.chain(others) {
                targets.push(target(address, port, is_ready, lookup, &mut seen));
            }
        }
    }
    targets.extend(seen.other_ports(lookup));
    Some(TargetGroup { labels, targets, ..TargetGroup::default() })
}

fn target(
    address: &EndpointAddress,
    port: &ObjectPort,
    is_ready: bool,
    lookup: &mut Lookup<'_>,
    seen: &mut SeenPods,
) -> LabelSet {
    let mut target = address_labels(join_host_port(&address.ip, port.port));
    set(&mut target, "endpoint_port_name", &port.name);
    set(&mut target, "endpoint_port_protocol", &port.protocol);
    set_flag(&mut target, "endpoint_ready", is_ready);
    let reference = address.target_ref.as_ref();
    if let Some(reference) = reference {
        set(&mut target, "endpoint_address_target_kind", &reference.kind);
        set(&mut target, "endpoint_address_target_name", &reference.name);
    }
    set(&mut target, "endpoint_node_name", address.node_name.as_deref().unwrap_or_default());
    set(&mut target, "endpoint_hostname", &address.hostname);
    match (&address.node_name, reference) {
        (Some(name), _) => lookup.set_node_labels(&mut target, name),
        (None, Some(reference)) if reference.kind == "Node" => {
            lookup.set_node_labels(&mut target, &reference.name);
        }
        _ => {}
    }
    if let Some(pod) = lookup.pod(reference) {
        target.extend(pod_labels(&pod, lookup));
        set_container_labels(&mut target, &pod, port.port, Some(&port.protocol));
        seen.add(pod, Some(port.port));
    }
    target
}
