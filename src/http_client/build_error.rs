//! Errors of creating a client.

use crate::http_client::credentials::InvalidHeaderError;
use crate::http_client::jwt::KeyError;
use crate::http_client::tls::error::TlsSettingsError;
use crate::model::url::syntax::ParseUrlError;

/// Reason why a client cannot be created from its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildClientError {
    /// Certificate, key or CA is missing or invalid.
    #[error("tls_config: {0}")]
    Tls(#[from] TlsSettingsError),
    /// TLS settings of the OAuth2 token endpoint.
    #[error("oauth2.tls_config: {0}")]
    TokenTls(TlsSettingsError),
    /// A header name or value cannot be sent.
    #[error(transparent)]
    Header(#[from] InvalidHeaderError),
    /// The client has no support for this kind of proxy.
    #[error("proxy scheme {scheme:?} is not http, https, socks5 or socks5h")]
    ProxyScheme {
        /// Scheme of the proxy URL.
        scheme: String,
    },
    /// The value of an environment variable is not a URL.
    #[error("environment variable {name} is not a proxy URL: {source}")]
    ProxyVariable {
        /// Name of the variable.
        name: &'static str,
        /// Error of the URL.
        source: ParseUrlError,
    },
    /// The inline key cannot sign assertions.
    #[error("oauth2: {0}")]
    Key(KeyError),
}

impl BuildClientError {
    /// Returns the key of the setting that is invalid, such as `tls_config.ca_file`.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Tls(error) => error.settings()[0],
            Self::TokenTls(error) => error.settings()[1],
            Self::Header(_) => "http_headers",
            Self::ProxyScheme { .. } => "proxy_url",
            Self::ProxyVariable { .. } => "proxy_from_environment",
            Self::Key(_) => "oauth2.client_certificate_key",
        }
    }

    /// Returns the reason without the key.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Tls(error) | Self::TokenTls(error) => error.to_string(),
            Self::Key(error) => error.to_string(),
            Self::Header(_) | Self::ProxyScheme { .. } | Self::ProxyVariable { .. } => {
                self.to_string()
            }
        }
    }
}
