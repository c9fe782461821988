//! Role `service`: each port of a service.

use crate::discovery::address::join_host_port;
use crate::discovery::kinds::kubernetes::objects::service::Service;
use crate::discovery::kinds::kubernetes::roles::labels::{set, set_metadata};
use crate::discovery::kinds::kubernetes::roles::lookup::Lookup;
use crate::discovery::target_group::{LabelSet, TargetGroup, address_labels};

/// Returns the group of a service.
pub(crate) fn group(service: &Service, lookup: &mut Lookup<'_>) -> Option<TargetGroup> {
    let (metadata, spec) = (&service.metadata, &service.spec);
    let mut labels = LabelSet::new();
    set_service_labels(&mut labels, service);
    lookup.set_namespace_labels(&mut labels, &metadata.namespace);
    let host = format!("{}.{}.svc", metadata.name, metadata.namespace);
    let targets = spec.ports.iter().map(|port| {
        let mut target = address_labels(join_host_port(&host, port.port));
        set(&mut target, "service_port_name", &port.name);
        set(&mut target, "service_port_number", &port.port.to_string());
        set(&mut target, "service_port_protocol", &port.protocol);
        set(&mut target, "service_type", &spec.kind);
        match spec.kind.as_str() {
            "ExternalName" => set(&mut target, "service_external_name", &spec.external_name),
            _ => set(&mut target, "service_cluster_ip", &spec.cluster_ip),
        }
        if spec.kind == "LoadBalancer" {
            set(&mut target, "service_loadbalancer_ip", &spec.load_balancer_ip);
        }
        target
    });
    Some(TargetGroup { targets: targets.collect(), labels, ..TargetGroup::default() })
}

/// Sets the labels of a service, in all roles.
pub(super) fn set_service_labels(labels: &mut LabelSet, service: &Service) {
    set(labels, "namespace", &service.metadata.namespace);
    set_metadata(labels, "service", (&service.metadata).into());
}
