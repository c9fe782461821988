//! Kinds of discovery: one task per provider, created from its settings.
//!
//! | module | content |
//! |---|---|
//! | `consul` | `consul_sd_configs` |
//! | `dns` | `dns_sd_configs` |
//! | `docker` | `docker_sd_configs` |
//! | [`environment`] | what providers use of their surroundings |
//! | `file` | `file_sd_configs` |
//! | `http` | `http_sd_configs` |
//! | [`kubernetes`] | `kubernetes_sd_configs` |
//! | `static_groups` | `static_configs` |

mod consul;
mod dns;
mod docker;
pub mod environment;
mod file;
mod http;
pub mod kubernetes;
mod static_groups;

use crate::config::file::discovery::DiscoveryConfig;
use crate::discovery::error::CreateProviderError;
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::refresh::ProviderNames;
use std::future::Future;
use std::pin::Pin;

/// Task of a provider. It ends only if the groups never change again.
pub(crate) type ProviderTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts a provider that is ready to run.
pub(crate) type StartProvider = Box<dyn FnOnce(GroupSink) -> ProviderTask + Send>;

/// Creates a provider. `job` is the first job that uses it, for metrics and logs.
///
/// # Errors
/// [`CreateProviderError`] if its client cannot be built.
pub(crate) fn create(
    config: &DiscoveryConfig,
    job: &str,
    environment: &Environment,
    metrics: &DiscoveryMetrics,
) -> Result<StartProvider, CreateProviderError> {
    let names = ProviderNames { mechanism: config.mechanism(), job: job.to_owned() };
    Ok(match config {
        DiscoveryConfig::Static(groups) => static_groups::provider(groups.clone()),
        DiscoveryConfig::File(config) => file::provider(config, metrics.file.clone()),
        DiscoveryConfig::Http(config) => http::provider(config, names, environment, metrics)?,
        DiscoveryConfig::Dns(config) => dns::provider(config, names, environment, metrics),
        DiscoveryConfig::Consul(config) => consul::provider(config, names, environment, metrics)?,
        DiscoveryConfig::Docker(config) => docker::provider(config, names, environment, metrics)?,
        DiscoveryConfig::Kubernetes(config) => {
            let Environment { kubernetes, user_agent, .. } = environment;
            kubernetes::provider(config, names, kubernetes, user_agent, &metrics.kubernetes)?
        }
    })
}
