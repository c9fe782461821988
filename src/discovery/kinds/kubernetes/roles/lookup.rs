//! Objects that a group needs, noted while it is made.

use crate::discovery::kinds::kubernetes::objects::meta::ObjectReference;
use crate::discovery::kinds::kubernetes::objects::namespace::Namespace;
use crate::discovery::kinds::kubernetes::objects::node::Node;
use crate::discovery::kinds::kubernetes::objects::owned::{Job, ReplicaSet};
use crate::discovery::kinds::kubernetes::objects::pod::Pod;
use crate::discovery::kinds::kubernetes::objects::resource::{ObjectKey, Resource, object_key};
use crate::discovery::kinds::kubernetes::objects::service::Service;
use crate::discovery::kinds::kubernetes::roles::labels;
use crate::discovery::kinds::kubernetes::roles::related::{Related, RelatedKey, RelatedKind};
use crate::discovery::kinds::kubernetes::watches::feed::Feed;
use crate::discovery::target_group::LabelSet;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Source of the objects that a group needs.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    related: &'a Related,
    used: BTreeSet<RelatedKey>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(related: &'a Related) -> Self {
        Self { related, used: BTreeSet::new() }
    }

    /// Returns the objects that were looked up, found or not.
    pub(super) fn into_used(self) -> BTreeSet<RelatedKey> {
        self.used
    }

    fn get<T: Resource>(
        &mut self,
        feed: &Option<Feed<T>>,
        kind: RelatedKind,
        key: String,
    ) -> Option<Arc<T>> {
        let feed = feed.as_ref()?;
        let object = feed.get(&key);
        self.used.insert(RelatedKey { kind, key: ObjectKey::from(key) });
        object
    }

    /// Returns the pod of a reference, if it is one to a pod.
    pub(super) fn pod(&mut self, reference: Option<&ObjectReference>) -> Option<Arc<Pod>> {
        let reference = reference.filter(|reference| reference.kind == "Pod")?;
        let key = object_key(&reference.namespace, &reference.name);
        self.get(&self.related.pods, RelatedKind::Pod, key)
    }

    /// Returns a service.
    pub(super) fn service(&mut self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        let key = object_key(namespace, name);
        self.get(&self.related.services, RelatedKind::Service, key)
    }

    /// Returns `true` if targets have labels of their node.
    pub(super) fn has_nodes(&self) -> bool {
        self.related.nodes.is_some()
    }

    /// Returns `true` if targets have the name of the job of their pod.
    pub(super) fn has_job_names(&self) -> bool {
        self.related.has_job_names
    }

    /// Returns a node, if targets have labels of their node.
    pub(super) fn node(&mut self, name: &str) -> Option<Arc<Node>> {
        self.get(&self.related.nodes, RelatedKind::Node, name.to_owned())
    }

    /// Returns a replica set, if targets have the name of the deployment of their pod.
    pub(super) fn replica_set(&mut self, namespace: &str, name: &str) -> Option<Arc<ReplicaSet>> {
        let key = object_key(namespace, name);
        self.get(&self.related.replica_sets, RelatedKind::ReplicaSet, key)
    }

    /// Returns a job, if targets have the name of the cron job of their pod.
    pub(super) fn job(&mut self, namespace: &str, name: &str) -> Option<Arc<Job>> {
        let key = object_key(namespace, name);
        self.get(&self.related.jobs, RelatedKind::Job, key)
    }

    /// Sets the labels of a node, if targets have them.
    pub(super) fn set_node_labels(&mut self, labels: &mut LabelSet, name: &str) {
        if let Some(node) = self.node(name) {
            labels::set_metadata(labels, "node", (&node.metadata).into());
        }
    }

    /// Sets the labels of a namespace, if targets have them.
    pub(super) fn set_namespace_labels(&mut self, labels: &mut LabelSet, name: &str) {
        let namespace: Option<Arc<Namespace>> =
            self.get(&self.related.namespaces, RelatedKind::Namespace, name.to_owned());
        if let Some(namespace) = namespace {
            labels::set_pairs(labels, "namespace", (&namespace.metadata).into());
        }
    }
}
