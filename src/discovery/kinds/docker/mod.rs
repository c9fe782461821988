//! Docker discovery: the containers of a daemon, one target per network and TCP port.
//!
//! Source: Prometheus's `discovery/moby/docker.go`. An error keeps the targets of the last list.
//!
//! | module | content |
//! |---|---|
//! | `api` | requests to the daemon |
//! | `containers` | containers and networks as the daemon lists them, and their labels |

mod api;
mod containers;

use crate::config::file::discovery::docker::DockerSdConfig;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::discovery::error::CreateProviderError;
use crate::discovery::kinds::StartProvider;
use crate::discovery::kinds::docker::api::{DockerApi, DockerError};
use crate::discovery::kinds::docker::containers::Targets;
use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::refresh::{ProviderNames, RefreshSource, refresh_every};
use crate::discovery::target_group::TargetGroup;

/// Source of the only group.
const SOURCE: &str = "Docker";

/// Returns a provider of the containers of a daemon.
pub(super) fn provider(
    config: &DockerSdConfig,
    names: ProviderNames,
    environment: &Environment,
    metrics: &DiscoveryMetrics,
) -> Result<StartProvider, CreateProviderError> {
    let settings = client_settings(config);
    let client = environment.http_client(&settings, &names)?;
    let source = DockerSource { api: DockerApi::new(config, client), config: config.clone() };
    let refresh = metrics.of_refresh(names.mechanism, &names.job);
    let interval = config.refresh_interval;
    Ok(Box::new(move |sink| Box::pin(refresh_every(interval, source, names, refresh, sink))))
}

/// Returns the settings of the HTTP client. As in Prometheus, those of the file are for `http` and
/// `https` only, and otherwise redirects are not followed.
fn client_settings(config: &DockerSdConfig) -> HttpClientConfig {
    if config.address.uses_http_client {
        return config.http_client.clone();
    }
    HttpClientConfig { follow_redirects: false, ..HttpClientConfig::default() }
}

/// Source of the containers of a daemon.
struct DockerSource {
    api: DockerApi,
    config: DockerSdConfig,
}

impl RefreshSource for DockerSource {
    type Error = DockerError;

    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, DockerError> {
        let containers = self.api.containers().await?;
        let networks = self.api.networks().await?;
        let targets = Targets::new(&self.config, &networks).of(&containers)?;
        Ok(vec![TargetGroup { source: SOURCE.to_owned(), targets, ..TargetGroup::default() }])
    }
}

#[cfg(test)]
mod tests;
