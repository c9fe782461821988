//! Proxy of an HTTP client.

use crate::model::secret::Secret;
use crate::model::url::Url;
use std::collections::BTreeMap;

/// Proxy of an HTTP client. The default is no proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// URL of an HTTP, HTTPS or SOCKS5 proxy.
    pub url: Option<Url>,
    /// Hosts that are reached without the proxy, separated by commas.
    pub no_proxy: String,
    /// Whether the environment variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` decide.
    pub from_environment: bool,
    /// Additional headers of `CONNECT` requests.
    pub connect_headers: BTreeMap<String, Vec<Secret>>,
}
