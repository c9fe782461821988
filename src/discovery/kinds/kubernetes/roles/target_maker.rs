//! Groups of changed objects.

use crate::discovery::groups::sink::GroupSink;
use crate::discovery::kinds::kubernetes::objects::resource::{ObjectKey, Resource};
use crate::discovery::kinds::kubernetes::roles::lookup::Lookup;
use crate::discovery::kinds::kubernetes::roles::related::Related;
use crate::discovery::kinds::kubernetes::roles::uses::Uses;
use crate::discovery::kinds::kubernetes::watches::feed::Feed;
use crate::discovery::target_group::TargetGroup;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Maximum number of groups that are made without a pause.
const BATCH: usize = 256;

/// Function that makes the group of an object, without its source. `None` keeps the last one.
pub(crate) type MakeGroup<T> = fn(&T, &mut Lookup<'_>) -> Option<TargetGroup>;

/// Maker of the groups of a scope.
#[derive(Debug)]
pub(crate) struct TargetMaker<T: Resource> {
    objects: Feed<T>,
    related: Related,
    make: MakeGroup<T>,
    /// Beginning of the sources of all groups, followed by the key of an object.
    source: &'static str,
    uses: Uses,
}

impl<T: Resource> TargetMaker<T> {
    pub(crate) fn new(
        objects: Feed<T>,
        related: Related,
        make: MakeGroup<T>,
        source: &'static str,
    ) -> Self {
        Self { objects, related, make, source, uses: Uses::default() }
    }

    /// Starts the watches. Call it within a runtime.
    fn start(&self) {
        self.objects.start();
        self.related.start();
    }

    /// Sends the groups of all changed objects. Nothing is sent before all objects are known, so
    /// that no group lacks labels at first.
    async fn send_changed(&mut self, sink: &GroupSink) {
        if !(self.objects.is_complete() && self.related.is_complete()) {
            return;
        }
        let mut due: BTreeSet<ObjectKey> = self.objects.take().into_keys().collect();
        for key in self.related.take_changed() {
            due.extend(self.uses.users(&key).cloned());
        }
        let due: Vec<ObjectKey> = due.into_iter().collect();
        for batch in due.chunks(BATCH) {
            let groups: Vec<_> = batch.iter().filter_map(|key| self.group(key)).collect();
            if !groups.is_empty() {
                sink.send(groups);
            }
            tokio::task::yield_now().await;
        }
    }

    fn group(&mut self, key: &ObjectKey) -> Option<TargetGroup> {
        let source = format!("{}/{key}", self.source);
        let Some(object) = self.objects.get(key) else {
            self.uses.remove(key);
            return Some(TargetGroup::removed(source));
        };
        let mut lookup = Lookup::new(&self.related);
        let group = (self.make)(&object, &mut lookup);
        self.uses.set(key, lookup.into_used());
        group.map(|group| TargetGroup { source, ..group })
    }
}

/// Sends the groups of all scopes until the future is dropped. `wake` is that of the feeds;
/// changes are collected for a time.
pub(crate) async fn run<T: Resource>(
    mut makers: Vec<TargetMaker<T>>,
    wake: Arc<Notify>,
    collect: Duration,
    sink: GroupSink,
) {
    makers.iter().for_each(TargetMaker::start);
    loop {
        wake.notified().await;
        sleep(collect).await;
        for maker in &mut makers {
            maker.send_changed(&sink).await;
        }
    }
}
