//! Role `pod`: each port of each container.

use crate::discovery::address::join_host_port;
use crate::discovery::kinds::kubernetes::objects::meta::{OwnerReference, controller};
use crate::discovery::kinds::kubernetes::objects::pod::{Container, Pod};
use crate::discovery::kinds::kubernetes::roles::labels::{set, set_flag, set_metadata};
use crate::discovery::kinds::kubernetes::roles::lookup::Lookup;
use crate::discovery::target_group::{LabelSet, TargetGroup, address_labels};

/// Returns the group of a pod. It has no targets before the pod has an address, and on nodes that
/// are not selected.
pub(crate) fn group(pod: &Pod, lookup: &mut Lookup<'_>) -> Option<TargetGroup> {
    let (address, node) = (&pod.status.pod_ip, &pod.spec.node_name);
    if address.is_empty() || (lookup.has_nodes() && lookup.node(node).is_none()) {
        return Some(TargetGroup::default());
    }
    let mut labels = pod_labels(pod, lookup);
    set(&mut labels, "namespace", &pod.metadata.namespace);
    lookup.set_node_labels(&mut labels, node);
    lookup.set_namespace_labels(&mut labels, &pod.metadata.namespace);
    let targets = pod.containers().flat_map(|(container, is_init)| {
        let id = pod.container_id(&container.name, is_init);
        container_targets(address, container, is_init, id)
    });
    Some(TargetGroup { labels, targets: targets.collect(), ..TargetGroup::default() })
}

fn container_targets(
    address: &str,
    container: &Container,
    is_init: bool,
    id: &str,
) -> Vec<LabelSet> {
    let target = |address: String| {
        let mut target = address_labels(address);
        set(&mut target, "pod_container_name", &container.name);
        set(&mut target, "pod_container_id", id);
        set(&mut target, "pod_container_image", &container.image);
        set_flag(&mut target, "pod_container_init", is_init);
        target
    };
    // Without a port, relabeling may add one to the address.
    if container.ports.is_empty() {
        return vec![target(address.to_owned())];
    }
    let targets = container.ports.iter().map(|port| {
        let mut target = target(join_host_port(address, port.container_port));
        set(&mut target, "pod_container_port_name", &port.name);
        set(&mut target, "pod_container_port_number", &port.container_port.to_string());
        set(&mut target, "pod_container_port_protocol", &port.protocol);
        target
    });
    targets.collect()
}

/// Returns the labels of a pod, in all roles.
pub(super) fn pod_labels(pod: &Pod, lookup: &mut Lookup<'_>) -> LabelSet {
    let mut labels = LabelSet::new();
    let ready = pod.status.conditions.iter().find(|condition| condition.kind == "Ready");
    let ready = ready.map_or_else(|| "unknown".to_owned(), |ready| ready.status.to_lowercase());
    for (name, value) in [
        ("pod_ip", &pod.status.pod_ip),
        ("pod_ready", &ready),
        ("pod_phase", &pod.status.phase),
        ("pod_node_name", &pod.spec.node_name),
        ("pod_host_ip", &pod.status.host_ip),
        ("pod_uid", &pod.metadata.uid),
    ] {
        set(&mut labels, name, value);
    }
    set_metadata(&mut labels, "pod", (&pod.metadata).into());
    if let Some(owner) = controller(&pod.metadata.owner_references) {
        set_controller_labels(&mut labels, &pod.metadata.namespace, owner, lookup);
    }
    labels
}

fn set_controller_labels(
    labels: &mut LabelSet,
    namespace: &str,
    owner: &OwnerReference,
    lookup: &mut Lookup<'_>,
) {
    set(labels, "pod_controller_kind", &owner.kind);
    set(labels, "pod_controller_name", &owner.name);
    let mut set_owner = |owners: &[OwnerReference], kind: &str, label: &str| {
        if let Some(owner) = controller(owners).filter(|owner| owner.kind == kind) {
            set(labels, label, &owner.name);
        }
    };
    match owner.kind.as_str() {
        "ReplicaSet" => {
            if let Some(replica_set) = lookup.replica_set(namespace, &owner.name) {
                let owners = &replica_set.metadata.owner_references;
                set_owner(owners, "Deployment", "pod_deployment_name");
            }
        }
        "Job" => {
            if let Some(job) = lookup.job(namespace, &owner.name) {
                set_owner(&job.metadata.owner_references, "CronJob", "pod_cronjob_name");
            }
            if lookup.has_job_names() {
                set(labels, "pod_job_name", &owner.name);
            }
        }
        _ => {}
    }
}
