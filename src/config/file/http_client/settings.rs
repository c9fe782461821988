//! All settings of an HTTP client.

use crate::config::file::http_client::auth::ClientAuth;
use crate::config::file::http_client::headers::RequestHeaders;
use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::tls::TlsClientConfig;

/// Settings of an HTTP client.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpClientConfig {
    /// Authentication, at most one kind.
    pub auth: Option<ClientAuth>,
    /// TLS of connections to `https` URLs and to HTTPS proxies.
    pub tls: TlsClientConfig,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is offered over TLS.
    pub enable_http2: bool,
    /// Proxy, if any.
    pub proxy: ProxyConfig,
    /// Additional headers of every request.
    pub headers: RequestHeaders,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            auth: None,
            tls: TlsClientConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            proxy: ProxyConfig::default(),
            headers: RequestHeaders::default(),
        }
    }
}
