//! Routes to servers. Connections of equal routes are interchangeable.

use crate::http_client::proxy::{ProxyKind, ProxyServer};
use crate::model::url::Url;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Route to a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::http_client) enum Route {
    /// TCP connection.
    Direct(Endpoint),
    /// Unix socket.
    Unix { path: PathBuf, endpoint: Endpoint },
    /// Plain requests that an HTTP proxy forwards to any server.
    Forward(ProxyKey),
    /// Connection that a proxy opens.
    Tunnel { proxy: ProxyKey, endpoint: Endpoint },
}

/// Server of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::http_client) struct Endpoint {
    /// In lower case, an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_https: bool,
}

/// Proxy of a route, compared by URL.
#[derive(Debug, Clone)]
pub(in crate::http_client) struct ProxyKey(pub(in crate::http_client) Arc<ProxyServer>);

impl PartialEq for ProxyKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.url == other.0.url
    }
}

impl Eq for ProxyKey {}

impl Hash for ProxyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.url.hash(state);
    }
}

impl Route {
    /// Returns the route to the server of `url`. A unix socket is reached without a proxy.
    pub(in crate::http_client) fn new(
        url: &Url,
        unix_socket: Option<&Path>,
        proxy: Option<&Arc<ProxyServer>>,
    ) -> Self {
        let endpoint = Endpoint {
            host: url.host().to_ascii_lowercase(),
            port: url.port_or_default(),
            is_https: url.is_https(),
        };
        match (unix_socket, proxy.cloned().map(ProxyKey)) {
            (Some(path), _) => Self::Unix { path: path.to_owned(), endpoint },
            (None, None) => Self::Direct(endpoint),
            (None, Some(proxy)) if proxy.0.kind != ProxyKind::Socks5 && !url.is_https() => {
                Self::Forward(proxy)
            }
            (None, Some(proxy)) => Self::Tunnel { proxy, endpoint },
        }
    }

    /// Returns the proxy that receives the requests themselves.
    pub(in crate::http_client) fn forwarding_proxy(&self) -> Option<&ProxyServer> {
        match self {
            Self::Forward(proxy) => Some(&proxy.0),
            _ => None,
        }
    }
}

impl Endpoint {
    /// Returns host and port, an IPv6 address in brackets.
    pub(super) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}
