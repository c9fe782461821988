//! Running watch.

use crate::discovery::kinds::kubernetes::api::client::ClusterClient;
use crate::discovery::kinds::kubernetes::api::scope::ObjectScope;
use crate::discovery::kinds::kubernetes::objects::resource::Resource;
use crate::discovery::kinds::kubernetes::watches::backoff::Backoff;
use crate::discovery::kinds::kubernetes::watches::follow::Follower;
use crate::discovery::kinds::kubernetes::watches::store::{MAX_BYTES, ObjectStore};
use crate::discovery::kinds::kubernetes::watches::times::WatchTimes;
use crate::log_limit::LogLimit;
use crate::metrics::registry::Counter;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Watch that its users share. It ends when the last one drops it.
#[derive(Debug)]
pub(crate) struct Watch<T> {
    client: Arc<ClusterClient>,
    scope: ObjectScope,
    times: WatchTimes,
    /// Number of failed requests.
    failures: Counter,
    store: Arc<ObjectStore<T>>,
    /// `None` before the start.
    task: Mutex<Option<AbortHandle>>,
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

impl<T: Resource> Watch<T> {
    pub(super) fn new(
        client: Arc<ClusterClient>,
        scope: ObjectScope,
        times: WatchTimes,
        failures: Counter,
    ) -> Self {
        let (store, task) = (Arc::new(ObjectStore::new(MAX_BYTES)), Mutex::new(None));
        Self { client, scope, times, failures, store, task }
    }

    /// Returns the objects.
    pub(super) fn store(&self) -> &ObjectStore<T> {
        &self.store
    }

    /// Starts the watch unless it runs. Call it within a runtime.
    pub(super) fn start(&self) {
        self.task.lock().get_or_insert_with(|| {
            let follower = Follower {
                client: Arc::clone(&self.client),
                scope: self.scope.clone(),
                store: Arc::clone(&self.store),
                times: self.times,
                backoff: Backoff::new(self.times),
                failures: self.failures.clone(),
                errors: LogLimit::new("cannot watch Kubernetes objects"),
                page_size: 0,
            };
            tokio::spawn(follower.run()).abort_handle()
        });
    }
}
