//! Changes of a watch for one user.

use crate::discovery::kinds::kubernetes::objects::resource::{ObjectKey, Resource};
use crate::discovery::kinds::kubernetes::watches::mailbox::{Change, ChangeCounters, Mailbox};
use crate::discovery::kinds::kubernetes::watches::watch::Watch;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// Changes of a watch for one user. The watch runs at least until this is dropped.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    watch: Arc<Watch<T>>,
    mailbox: Arc<Mailbox>,
}

impl<T: Resource> Feed<T> {
    /// Adds a user to a watch. `wake` is notified of changes; the first ones are all objects.
    pub(crate) fn new(watch: Arc<Watch<T>>, counters: ChangeCounters, wake: Arc<Notify>) -> Self {
        let mailbox = Arc::new(Mailbox::new(counters, wake));
        watch.store().subscribe(&mailbox);
        Self { watch, mailbox }
    }

    /// Starts the watch unless it runs. Call it within a runtime.
    pub(crate) fn start(&self) {
        self.watch.start();
    }

    /// Returns `true` if all objects are known.
    pub(crate) fn is_complete(&self) -> bool {
        self.watch.store().is_complete()
    }

    /// Returns an object.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<T>> {
        self.watch.store().get(key)
    }

    /// Returns the last change of each object since the last call.
    pub(crate) fn take(&self) -> BTreeMap<ObjectKey, Change> {
        self.mailbox.take()
    }
}
