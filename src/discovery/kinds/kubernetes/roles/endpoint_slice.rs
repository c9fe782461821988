//! Role `endpointslice`: each port of each address, and the other ports of the pods behind them.

use crate::discovery::address::join_host_port;
use crate::discovery::kinds::kubernetes::objects::endpoint_slice::{
    Endpoint, EndpointSlice, SlicePort,
};
use crate::discovery::kinds::kubernetes::objects::service::Service;
use crate::discovery::kinds::kubernetes::roles::container_port::{SeenPods, set_container_labels};
use crate::discovery::kinds::kubernetes::roles::labels::{set, set_flag, set_metadata};
use crate::discovery::kinds::kubernetes::roles::lookup::Lookup;
use crate::discovery::kinds::kubernetes::roles::pod::pod_labels;
use crate::discovery::kinds::kubernetes::roles::service::set_service_labels;
use crate::discovery::label_name::sanitized;
use crate::discovery::target_group::{LabelSet, TargetGroup, address_labels};

/// Label of a slice with the name of its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Returns the group of a slice. The second slice of a service with both address families has no
/// targets, because they are those of the first one.
pub(crate) fn group(slice: &EndpointSlice, lookup: &mut Lookup<'_>) -> Option<TargetGroup> {
    let metadata = &slice.metadata;
    let mut labels = LabelSet::new();
    set(&mut labels, "namespace", &metadata.namespace);
    set(&mut labels, "endpointslice_address_type", &slice.address_type);
    set_metadata(&mut labels, "endpointslice", metadata.into());
    let service = metadata.labels.get(SERVICE_NAME);
    let service = service.and_then(|name| lookup.service(&metadata.namespace, name));
    if let Some(service) = &service {
        set_service_labels(&mut labels, service);
    }
    lookup.set_namespace_labels(&mut labels, &metadata.namespace);
    if service.is_some_and(|service| is_secondary(slice, &service)) {
        return Some(TargetGroup { labels, ..TargetGroup::default() });
    }
    let (mut targets, mut seen) = (Vec::new(), SeenPods::default());
    for endpoint in &slice.endpoints {
        for port in &slice.ports {
            for address in &endpoint.addresses {
                targets.push(target(address, endpoint, port, lookup, &mut seen));
            }
        }
    }
    targets.extend(seen.other_ports(lookup));
    Some(TargetGroup { labels, targets, ..TargetGroup::default() })
}

/// Returns `true` if the service has both address families, and the slice the second one.
fn is_secondary(slice: &EndpointSlice, service: &Service) -> bool {
    let has_both =
        matches!(service.spec.ip_family_policy.as_str(), "PreferDualStack" | "RequireDualStack");
    let primary = service.spec.ip_families.first();
    has_both && primary.is_some_and(|primary| *primary != slice.address_type)
}

fn target(
    address: &str,
    endpoint: &Endpoint,
    port: &SlicePort,
    lookup: &mut Lookup<'_>,
    seen: &mut SeenPods,
) -> LabelSet {
    let number = port.port.map(|port| port.to_string());
    let mut target = address_labels(match &number {
        Some(number) => join_host_port(address, number),
        None => address.to_owned(),
    });
    let reference = endpoint.target_ref.as_ref();
    for (name, value) in [
        ("endpointslice_port_name", port.name.as_deref()),
        ("endpointslice_port_protocol", port.protocol.as_deref()),
        ("endpointslice_port", number.as_deref()),
        ("endpointslice_port_app_protocol", port.app_protocol.as_deref()),
        ("endpointslice_endpoint_hostname", endpoint.hostname.as_deref()),
        ("endpointslice_address_target_kind", reference.map(|target| target.kind.as_str())),
        ("endpointslice_address_target_name", reference.map(|target| target.name.as_str())),
        ("endpointslice_endpoint_node_name", endpoint.node_name.as_deref()),
        ("endpointslice_endpoint_zone", endpoint.zone.as_deref()),
    ] {
        set(&mut target, name, value.unwrap_or_default());
    }
    let conditions = &endpoint.conditions;
    for (name, condition) in [
        ("ready", conditions.ready),
        ("serving", conditions.serving),
        ("terminating", conditions.terminating),
    ] {
        if let Some(condition) = condition {
            let name = format!("endpointslice_endpoint_conditions_{name}");
            set_flag(&mut target, &name, condition);
        }
    }
    for (name, value) in &endpoint.deprecated_topology {
        let name = sanitized(name);
        set(&mut target, &format!("endpointslice_endpoint_topology_{name}"), value);
        set(&mut target, &format!("endpointslice_endpoint_topology_present_{name}"), "true");
    }
    let node = match reference.filter(|reference| reference.kind == "Node") {
        Some(reference) => Some(&reference.name),
        None => endpoint.node_name.as_ref(),
    };
    if let Some(name) = node {
        lookup.set_node_labels(&mut target, name);
    }
    if let Some(pod) = lookup.pod(reference) {
        target.extend(pod_labels(&pod, lookup));
        if let Some(number) = port.port {
            set_container_labels(&mut target, &pod, number, None);
        }
        seen.add(pod, port.port);
    }
    target
}
