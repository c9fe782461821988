//! Watches of the objects that groups need in addition to their own.

use crate::discovery::kinds::kubernetes::objects::namespace::Namespace;
use crate::discovery::kinds::kubernetes::objects::node::Node;
use crate::discovery::kinds::kubernetes::objects::owned::{Job, ReplicaSet};
use crate::discovery::kinds::kubernetes::objects::pod::Pod;
use crate::discovery::kinds::kubernetes::objects::resource::{ObjectKey, Resource};
use crate::discovery::kinds::kubernetes::objects::service::Service;
use crate::discovery::kinds::kubernetes::watches::feed::Feed;
use crate::discovery::kinds::kubernetes::watches::mailbox::Change;

/// Object that a group needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RelatedKey {
    pub(crate) kind: RelatedKind,
    pub(crate) key: ObjectKey,
}

/// Resource of an object that a group needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RelatedKind {
    Pod,
    Service,
    Node,
    Namespace,
    ReplicaSet,
    Job,
}

/// Watches of the objects that groups need. `None` if the role does not need a resource.
#[derive(Debug, Default)]
pub(crate) struct Related {
    pub(crate) pods: Option<Feed<Pod>>,
    pub(crate) services: Option<Feed<Service>>,
    pub(crate) nodes: Option<Feed<Node>>,
    pub(crate) namespaces: Option<Feed<Namespace>>,
    pub(crate) replica_sets: Option<Feed<ReplicaSet>>,
    pub(crate) jobs: Option<Feed<Job>>,
    /// Whether targets have the name of the job of their pod.
    pub(crate) has_job_names: bool,
}

/// Feed of objects of any type.
trait AnyFeed {
    fn start(&self);
    fn is_complete(&self) -> bool;
    fn take_into(&self, kind: RelatedKind, changed: &mut Vec<RelatedKey>);
}

impl<T: Resource> AnyFeed for Feed<T> {
    fn start(&self) {
        Feed::start(self);
    }

    fn is_complete(&self) -> bool {
        Feed::is_complete(self)
    }

    fn take_into(&self, kind: RelatedKind, changed: &mut Vec<RelatedKey>) {
        let is_followed = |change| change != Change::Removed || kind.follows_removal();
        let changes = self.take().into_iter().filter(|(_, change)| is_followed(*change));
        changed.extend(changes.map(|(key, _)| RelatedKey { kind, key }));
    }
}

impl RelatedKind {
    /// Returns `true` if the removal of an object makes groups again.
    fn follows_removal(self) -> bool {
        !matches!(self, Self::Pod | Self::Namespace)
    }
}

impl Related {
    fn feeds(&self) -> impl Iterator<Item = (RelatedKind, &dyn AnyFeed)> {
        fn any<T: Resource>(feed: &Option<Feed<T>>) -> Option<&dyn AnyFeed> {
            feed.as_ref().map(|feed| feed as &dyn AnyFeed)
        }
        let all = [
            (RelatedKind::Pod, any(&self.pods)),
            (RelatedKind::Service, any(&self.services)),
            (RelatedKind::Node, any(&self.nodes)),
            (RelatedKind::Namespace, any(&self.namespaces)),
            (RelatedKind::ReplicaSet, any(&self.replica_sets)),
            (RelatedKind::Job, any(&self.jobs)),
        ];
        all.into_iter().filter_map(|(kind, feed)| feed.map(|feed| (kind, feed)))
    }

    /// Starts all watches. Call it within a runtime.
    pub(super) fn start(&self) {
        self.feeds().for_each(|(_, feed)| feed.start());
    }

    /// Returns `true` if all objects are known.
    pub(super) fn is_complete(&self) -> bool {
        self.feeds().all(|(_, feed)| feed.is_complete())
    }

    /// Returns the changed objects whose groups have to be made again.
    pub(super) fn take_changed(&self) -> Vec<RelatedKey> {
        let mut changed = Vec::new();
        self.feeds().for_each(|(kind, feed)| feed.take_into(kind, &mut changed));
        changed
    }
}
