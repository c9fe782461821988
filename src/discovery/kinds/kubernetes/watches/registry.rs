//! Running watches.
//!
//! # Locking
//! A mutex protects the lists of clients and watches. It is held for a search.

use crate::discovery::kinds::kubernetes::access::cluster::ClusterAccess;
use crate::discovery::kinds::kubernetes::api::client::ClusterClient;
use crate::discovery::kinds::kubernetes::api::scope::ObjectScope;
use crate::discovery::kinds::kubernetes::objects::resource::{Resource, ResourcePath};
use crate::discovery::kinds::kubernetes::watches::times::WatchTimes;
use crate::discovery::kinds::kubernetes::watches::watch::Watch;
use crate::discovery::metrics::KubernetesMetrics;
use crate::http_client::build_error::BuildClientError;
use crate::metrics::registry::Counter;
use parking_lot::Mutex;
use std::any::Any;
use std::sync::{Arc, Weak};

/// Watches and clients in use. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct WatchRegistry(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    clients: Vec<Weak<ClusterClient>>,
    watches: Vec<KnownWatch>,
}

#[derive(Debug)]
struct KnownWatch {
    client: Weak<ClusterClient>,
    resource: ResourcePath,
    scope: ObjectScope,
    /// Of type [`Watch`] with the objects of the resource.
    watch: Weak<dyn Any + Send + Sync>,
}

impl WatchRegistry {
    /// Returns the client for an access, which all users of equal ones share.
    ///
    /// # Errors
    /// The settings cannot work now, even if a running client uses them.
    pub(crate) fn client(
        &self,
        access: ClusterAccess,
        user_agent: &str,
        metrics: &KubernetesMetrics,
    ) -> Result<Arc<ClusterClient>, BuildClientError> {
        let client = Arc::new(ClusterClient::new(access, user_agent, metrics.clone())?);
        let clients = &mut self.0.lock().clients;
        clients.retain(|known| known.strong_count() > 0);
        let mut running = clients.iter().filter_map(Weak::upgrade);
        if let Some(known) = running.find(|known| known.access() == client.access()) {
            return Ok(known);
        }
        clients.push(Arc::downgrade(&client));
        Ok(client)
    }

    /// Returns the watch of a scope, which all users share. The first one starts it.
    pub(crate) fn watch<T: Resource>(
        &self,
        client: &Arc<ClusterClient>,
        scope: ObjectScope,
        times: WatchTimes,
        failures: &Counter,
    ) -> Arc<Watch<T>> {
        let watches = &mut self.0.lock().watches;
        watches.retain(|known| known.watch.strong_count() > 0);
        let found = watches.iter().find_map(|known| {
            let is_equal = known.resource == T::PATH
                && known.scope == scope
                && Weak::as_ptr(&known.client) == Arc::as_ptr(client);
            let watch = known.watch.upgrade().filter(|_| is_equal)?;
            watch.downcast::<Watch<T>>().ok()
        });
        if let Some(watch) = found {
            return watch;
        }
        let watch =
            Arc::new(Watch::new(Arc::clone(client), scope.clone(), times, failures.clone()));
        // Coerce first: `Arc::downgrade` keeps the type of the object.
        let shared: Arc<dyn Any + Send + Sync> = Arc::<Watch<T>>::clone(&watch);
        watches.push(KnownWatch {
            client: Arc::downgrade(client),
            resource: T::PATH,
            scope,
            watch: Arc::downgrade(&shared),
        });
        watch
    }

    /// Returns the number of watches in use.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let watches = &self.0.lock().watches;
        watches.iter().filter(|known| known.watch.strong_count() > 0).count()
    }
}
