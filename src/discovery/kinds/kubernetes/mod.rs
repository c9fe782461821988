//! Kubernetes discovery: one group per object of the role.
//!
//! narthex lists and watches the objects of the API itself, in JSON, and keeps only the fields that
//! targets need. Requests that several roles or jobs need are made once (`watches`).
//!
//! # Failure
//! Targets stay as they are while the API server does not respond, rejects requests, or sends
//! something else. At the start, a scope has no targets before all its objects are known.
//!
//! | module | content |
//! |---|---|
//! | `access` | address and credentials of the API server |
//! | `api` | requests |
//! | [`environment`] | surroundings that all providers share |
//! | `objects` | objects of the API |
//! | `roles` | targets of objects |
//! | `watches` | shared watches |

mod access;
mod api;
pub mod environment;
mod objects;
mod roles;
mod watches;

use crate::config::file::discovery::kubernetes::{
    AttachMetadata, KubernetesRole, KubernetesSdConfig, KubernetesServer,
};
use crate::discovery::error::{ClusterAccessError, CreateProviderError, ProviderFailure};
use crate::discovery::kinds::StartProvider;
use crate::discovery::kinds::kubernetes::api::client::ClusterClient;
use crate::discovery::kinds::kubernetes::api::scope::ObjectScope;
use crate::discovery::kinds::kubernetes::environment::KubernetesEnvironment;
use crate::discovery::kinds::kubernetes::objects::resource::Resource;
use crate::discovery::kinds::kubernetes::roles::related::Related;
use crate::discovery::kinds::kubernetes::roles::target_maker::{MakeGroup, TargetMaker, run};
use crate::discovery::kinds::kubernetes::roles::{
    endpoint_slice, endpoints, ingress, node, pod, service,
};
use crate::discovery::kinds::kubernetes::watches::feed::Feed;
use crate::discovery::kinds::kubernetes::watches::mailbox::ChangeCounters;
use crate::discovery::metrics::{EventCounters, KubernetesMetrics};
use crate::discovery::refresh::ProviderNames;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Notify;

/// Returns a provider of the objects of a role.
///
/// # Errors
/// The access to the API server is missing or invalid.
pub(super) fn provider(
    config: &KubernetesSdConfig,
    names: ProviderNames,
    environment: &KubernetesEnvironment,
    user_agent: &str,
    metrics: &KubernetesMetrics,
) -> Result<StartProvider, CreateProviderError> {
    let ProviderNames { mechanism, job } = names;
    let of_job = |source| CreateProviderError { mechanism, job: job.clone(), source };
    let access = access::resolve(&config.server, &environment.account)
        .map_err(|error| of_job(ProviderFailure::Cluster(error)))?;
    let client = environment
        .watches
        .client(access, user_agent, metrics)
        .map_err(|error| of_job(ProviderFailure::Client(Box::new(error))))?;
    let namespaces =
        namespaces(config, environment).map_err(|error| of_job(ProviderFailure::Cluster(error)))?;
    let plan = Plan { config, client, environment, metrics, wake: Arc::default() };
    Ok(match config.role {
        KubernetesRole::Node => plan.start(&[String::new()], node::group, "node"),
        KubernetesRole::Pod => plan.start(&namespaces, pod::group, "pod"),
        KubernetesRole::Service => plan.start(&namespaces, service::group, "svc"),
        KubernetesRole::Endpoints => plan.start(&namespaces, endpoints::group, "endpoints"),
        KubernetesRole::EndpointSlice => {
            plan.start(&namespaces, endpoint_slice::group, "endpointslice")
        }
        KubernetesRole::Ingress => plan.start(&namespaces, ingress::group, "ingress"),
    })
}

/// Reads the kubeconfig file of the settings, if they have one, as the provider does.
///
/// # Errors
/// The provider could not be created.
pub(crate) fn check_kubeconfig(config: &KubernetesSdConfig) -> Result<(), ProviderFailure> {
    let KubernetesServer::KubeConfig(path) = &config.server else { return Ok(()) };
    let access = access::of_kubeconfig(path).map_err(ProviderFailure::Cluster)?;
    ClusterClient::check(&access).map_err(|error| ProviderFailure::Client(Box::new(error)))
}

/// Returns the namespaces of the settings without duplicates; an empty one means all.
fn namespaces(
    config: &KubernetesSdConfig,
    environment: &KubernetesEnvironment,
) -> Result<Vec<String>, ClusterAccessError> {
    let mut names: BTreeSet<String> = config.namespaces.names.iter().cloned().collect();
    if config.namespaces.own_namespace {
        names.insert(environment.account.namespace()?);
    }
    if names.is_empty() {
        names.insert(String::new());
    }
    Ok(names.into_iter().collect())
}

/// Plan of the watches of a provider.
struct Plan<'a> {
    config: &'a KubernetesSdConfig,
    client: Arc<ClusterClient>,
    environment: &'a KubernetesEnvironment,
    metrics: &'a KubernetesMetrics,
    wake: Arc<Notify>,
}

impl Plan<'_> {
    /// Returns a provider of the objects of all namespaces.
    fn start<T: Resource>(
        self,
        namespaces: &[String],
        make: MakeGroup<T>,
        source: &'static str,
    ) -> StartProvider {
        let makers: Vec<TargetMaker<T>> = namespaces
            .iter()
            .map(|namespace| {
                let role = self.config.role;
                let objects = self.feed(namespace, Some(role), self.counters(role));
                TargetMaker::new(objects, self.related(namespace), make, source)
            })
            .collect();
        let (wake, collect) = (self.wake, self.environment.times.collect);
        Box::new(move |sink| Box::pin(run(makers, wake, collect, sink)))
    }

    /// Returns the watches of the objects that groups need in addition to their own.
    fn related(&self, namespace: &str) -> Related {
        let role = self.config.role;
        let AttachMetadata { node, namespace: of_namespace, deployment, job, cron_job } =
            self.config.attach_metadata;
        let is_endpoints =
            matches!(role, KubernetesRole::Endpoints | KubernetesRole::EndpointSlice);
        let has_pods = is_endpoints || role == KubernetesRole::Pod;
        let is_namespaced = role != KubernetesRole::Node;
        Related {
            pods: is_endpoints.then(|| {
                let all = self.counters(KubernetesRole::Pod);
                let counters = ChangeCounters { added: None, removed: None, ..all };
                self.feed(namespace, Some(KubernetesRole::Pod), counters)
            }),
            services: is_endpoints.then(|| {
                let counters = self.counters(KubernetesRole::Service);
                self.feed(namespace, Some(KubernetesRole::Service), counters)
            }),
            nodes: (node && has_pods)
                .then(|| self.feed("", Some(KubernetesRole::Node), ChangeCounters::default())),
            namespaces: (of_namespace && is_namespaced)
                .then(|| self.feed("", None, ChangeCounters::default())),
            replica_sets: (deployment && has_pods)
                .then(|| self.feed(namespace, None, ChangeCounters::default())),
            jobs: (cron_job && has_pods)
                .then(|| self.feed(namespace, None, ChangeCounters::default())),
            has_job_names: job,
        }
    }

    fn counters(&self, role: KubernetesRole) -> ChangeCounters {
        let EventCounters { added, updated, removed } = self.metrics.of_role(role);
        ChangeCounters { added: Some(added), updated: Some(updated), removed: Some(removed) }
    }

    /// Returns the changes of a watch. `selected`: the role whose selectors apply.
    fn feed<T: Resource>(
        &self,
        namespace: &str,
        selected: Option<KubernetesRole>,
        counters: ChangeCounters,
    ) -> Feed<T> {
        let selectors = &self.config.selectors;
        let selector = selectors.iter().find(|selector| Some(selector.role) == selected);
        let scope = ObjectScope {
            namespace: namespace.to_owned(),
            label: selector.map(|selector| selector.label.clone()).unwrap_or_default(),
            field: selector.map(|selector| selector.field.clone()).unwrap_or_default(),
        };
        let KubernetesEnvironment { watches, times, .. } = self.environment;
        let watch = watches.watch(&self.client, scope, *times, &self.metrics.failures);
        Feed::new(watch, counters, Arc::clone(&self.wake))
    }
}

#[cfg(test)]
mod tests;
