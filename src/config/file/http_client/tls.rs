//! Section `tls_config`.

use crate::config::file::http_client::source::Source;
use crate::model::secret::Secret;

/// Section `tls_config`. The default verifies servers against the roots of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsClientConfig {
    /// `ca` or `ca_file`: certificates in PEM that replace the roots of the system.
    pub ca: Option<Source<String>>,
    /// Certificate of the client.
    pub identity: Option<ClientIdentity>,
    /// Name that the certificate of the server must have; `None` is the host of the URL.
    pub server_name: Option<String>,
    /// Whether the certificate of the server is not verified.
    pub insecure_skip_verify: bool,
    /// Minimum version; `None` is TLS 1.2.
    pub min_version: Option<MinTlsVersion>,
    /// Maximum version, at least the minimum one; `None` is TLS 1.3.
    pub max_version: Option<MaxTlsVersion>,
}

/// Certificate of the client and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// `cert` or `cert_file`.
    pub certificate: Source<String>,
    /// `key` or `key_file`.
    pub key: Source<Secret>,
}

/// Minimum TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinTlsVersion {
    /// TLS 1.0. narthex negotiates at least TLS 1.2.
    Tls10,
    /// TLS 1.1. narthex negotiates at least TLS 1.2.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Maximum TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}
