//! Kinds of discovery: one task per provider, created from its settings.
//!
//! | module | content |
//! |---|---|
//! | [`static_groups`] | `static_configs` |

pub mod static_groups;

use crate::config::file::discovery::DiscoveryConfig;
use crate::discovery::error::CreateProviderError;
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::metrics::DiscoveryMetrics;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

/// Task of a provider. It ends only if the groups never change again.
pub type ProviderTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts a provider that is ready to run.
pub type StartProvider = Box<dyn FnOnce(GroupSink) -> ProviderTask + Send>;

/// What providers use of their surroundings.
#[derive(Debug, Clone)]
pub struct Environment {
    /// File with name servers and search domains.
    pub resolv_conf: PathBuf,
    /// Port of the name servers.
    pub dns_port: u16,
}

impl Default for Environment {
    fn default() -> Self {
        Self { resolv_conf: PathBuf::from("/etc/resolv.conf"), dns_port: 53 }
    }
}

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
    let _ = (job, environment, metrics);
    Ok(match config {
        DiscoveryConfig::Static(groups) => static_groups::provider(groups.clone()),
        DiscoveryConfig::File(_) => static_groups::provider(Vec::new()),
    })
}
