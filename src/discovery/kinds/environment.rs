//! Settings of the system that providers use.

use crate::config::file::http_client::settings::HttpClientConfig;
use crate::discovery::error::{CreateProviderError, ProviderFailure};
use crate::discovery::kinds::kubernetes::environment::KubernetesEnvironment;
use crate::discovery::refresh::ProviderNames;
use crate::http_client::USER_AGENT;
use crate::http_client::client::HttpClient;
use std::path::PathBuf;

/// Settings of the system that providers use.
#[derive(Debug, Clone)]
pub struct Environment {
    /// File with name servers and search domains.
    pub resolv_conf: PathBuf,
    /// Port of the name servers.
    pub dns_port: u16,
    /// Value of the header `User-Agent`.
    pub user_agent: String,
    /// Surroundings of Kubernetes discovery: access to the cluster, and shared watches.
    pub kubernetes: KubernetesEnvironment,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            dns_port: 53,
            user_agent: USER_AGENT.to_owned(),
            kubernetes: KubernetesEnvironment::default(),
        }
    }
}

impl Environment {
    /// Creates the HTTP client of a provider.
    pub(super) fn http_client(
        &self,
        config: &HttpClientConfig,
        names: &ProviderNames,
    ) -> Result<HttpClient, CreateProviderError> {
        let variable = |name: &str| std::env::var(name).ok();
        HttpClient::new(config, &self.user_agent, &variable).map_err(|source| CreateProviderError {
            mechanism: names.mechanism,
            job: names.job.clone(),
            source: ProviderFailure::Client(Box::new(source)),
        })
    }
}
