//! TLS handshakes.

use crate::http_client::dial::error::ConnectError;
use crate::http_client::dial::stream::BoxedStream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Maximum duration of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Client side of TLS handshakes.
pub(super) struct TlsDialer {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl TlsDialer {
    pub(super) fn new(config: Arc<ClientConfig>, server_name: Option<ServerName<'static>>) -> Self {
        Self { config, server_name }
    }

    /// Performs a handshake with a host.
    pub(super) async fn handshake(
        &self,
        stream: BoxedStream,
        host: &str,
    ) -> Result<TlsStream<BoxedStream>, ConnectError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(host)?,
        };
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let handshake = connector.connect(name, stream);
        tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
            .await
            .map_err(|_| ConnectError::TlsTimeout)?
            .map_err(ConnectError::tls)
    }
}

/// Returns the name that a certificate must have. A final dot and a zone are no part of it.
fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    let name = host.split('%').next().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    let error = |_| ConnectError::ServerName { host: host.to_owned() };
    ServerName::try_from(name.to_owned()).map_err(error)
}
