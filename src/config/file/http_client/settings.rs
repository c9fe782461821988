//! All settings of an HTTP client.

use crate::config::file::http_client::auth;
use crate::config::file::http_client::auth::ClientAuth;
use crate::config::file::http_client::headers;
use crate::config::file::http_client::headers::RequestHeaders;
use crate::config::file::http_client::places::SettingPlaces;
use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::tls;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;

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
    /// Positions of the settings, which comparisons ignore.
    pub places: SettingPlaces,
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
            places: SettingPlaces::default(),
        }
    }
}

impl HttpClientConfig {
    /// Reads the keys of an HTTP client from a mapping that may have other keys, and reports
    /// problems with their positions.
    pub(crate) fn read(mapping: &mut Mapping<'_>) -> Self {
        Self {
            auth: auth::read(mapping),
            tls: tls::read(mapping),
            follow_redirects: mapping.boolean("follow_redirects").unwrap_or(true),
            enable_http2: mapping.boolean("enable_http2").unwrap_or(true),
            proxy: ProxyConfig::read(mapping),
            headers: headers::read(mapping),
            places: SettingPlaces::of(mapping),
        }
    }

    /// Adds the keys to the effective configuration, in Prometheus's order. Secrets are hidden.
    pub(crate) fn add_to(&self, yaml: &mut YamlMapping) {
        match &self.auth {
            Some(ClientAuth::Basic(auth)) => yaml.set("basic_auth", auth.effective()),
            Some(ClientAuth::Authorization(auth)) => yaml.set("authorization", auth.effective()),
            Some(ClientAuth::OAuth2(config)) => yaml.set("oauth2", config.effective()),
            None => {}
        }
        self.tls.add_to(yaml);
        yaml.set("follow_redirects", self.follow_redirects);
        yaml.set("enable_http2", self.enable_http2);
        self.proxy.add_to(yaml);
        headers::add_to(&self.headers, yaml);
    }
}
