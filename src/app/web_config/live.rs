//! Parts of a running server that a web configuration file sets.

use crate::app::web_config::access::Access;
use crate::app::web_config::metrics::WebReloadMetrics;
use crate::app::web_config::setup::WebSetup;
use crate::config::web::contents::RateLimit;
use crate::metrics::registry::Registry;
use crate::server::transport::listener::HttpVersions;
use crate::server::transport::response_headers::ResponseHeaders;
use crate::server::transport::tls::server::TlsServer;
use crate::server::transport::tls::socket::ListenSocket;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Parts in use. A reload replaces their contents; [`StartSettings`] stay until a restart.
#[derive(Debug, Clone)]
pub(crate) struct LiveWeb {
    /// TLS of the listener; `None` = plain connections.
    tls: Option<Arc<TlsServer>>,
    /// Users, rate limit and response headers.
    access: Access,
    pub(crate) metrics: WebReloadMetrics,
    start: StartSettings,
}

/// Settings that only a start applies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StartSettings {
    has_tls: bool,
    http2: bool,
    rate_limit: Option<RateLimit>,
}

impl StartSettings {
    fn from_setup(setup: &WebSetup) -> Self {
        Self {
            has_tls: setup.config.tls.is_some(),
            http2: setup.config.http.http2,
            rate_limit: setup.config.rate_limit,
        }
    }
}

impl LiveWeb {
    /// Uses the setup of the start, and registers the metrics of its parts.
    pub(crate) fn register(setup: WebSetup, access: Access, registry: &mut Registry) -> Self {
        access.apply(&setup.config);
        let start = StartSettings::from_setup(&setup);
        let metrics = WebReloadMetrics::register(registry);
        let tls = setup.tls.map(|tls| TlsServer::register(tls, registry));
        Self { tls, access, metrics, start }
    }

    /// Serves the sockets with TLS, if it is on.
    pub(crate) fn listen(&self, sockets: Vec<TcpListener>) -> Vec<ListenSocket> {
        let listen = |socket| ListenSocket { socket, tls: self.tls.clone() };
        sockets.into_iter().map(listen).collect()
    }

    /// Returns the versions of HTTP that the listener serves.
    pub(crate) fn http_versions(&self) -> HttpVersions {
        // Only TLS connections can be without HTTP/2.
        if self.start.has_tls && !self.start.http2 {
            HttpVersions::Http1
        } else {
            HttpVersions::All
        }
    }

    /// Returns the headers of every response.
    pub(crate) fn response_headers(&self) -> ResponseHeaders {
        self.access.headers.clone()
    }

    /// Uses a setup for new handshakes and new requests. It has TLS if, and only if, that of the
    /// start has. Returns the settings that differ from those of the start and need a restart.
    pub(crate) fn apply(&self, setup: WebSetup) -> Vec<&'static str> {
        let new = StartSettings::from_setup(&setup);
        self.access.apply(&setup.config);
        if let (Some(server), Some(tls)) = (&self.tls, setup.tls) {
            server.replace(tls);
        }
        [
            ("http_server_config.http2", self.start.http2 != new.http2),
            ("rate_limit", self.start.rate_limit != new.rate_limit),
        ]
        .into_iter()
        .filter_map(|(setting, differs)| differs.then_some(setting))
        .collect()
    }
}
