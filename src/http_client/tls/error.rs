//! Errors of certificates, keys and CAs.

use crate::http_client::files::ReadFileError;
use std::fmt;
use std::path::PathBuf;

/// Error of the TLS settings of a client.
#[derive(Debug, thiserror::Error)]
pub enum TlsSettingsError {
    /// The file with the CA cannot be read.
    #[error("unable to read CA cert: {0}")]
    ReadCa(ReadFileError),
    /// The file with the certificate cannot be read.
    #[error("unable to read client cert: {0}")]
    ReadCertificate(ReadFileError),
    /// The file with the key cannot be read.
    #[error("unable to read client key: {0}")]
    ReadKey(ReadFileError),
    /// The CA has no valid certificate.
    #[error("unable to use specified CA cert {0}: no valid certificate")]
    Ca(Place),
    /// The certificate of the client is not one.
    #[error("unable to use specified client cert ({0}): no valid certificate")]
    Certificate(Place),
    /// The key of the client is not a private key.
    #[error("unable to use specified client key ({0}): no valid private key")]
    Key(Place),
    /// Certificate and key do not belong together, or are of an unsupported kind.
    #[error("unable to use specified client cert ({certificate}) & key ({key}): {source}")]
    Identity {
        /// Place of the certificate.
        certificate: Place,
        /// Place of the key.
        key: Place,
        /// Error of rustls.
        source: Box<rustls::Error>,
    },
    /// `server_name` is neither a DNS name nor an IP address.
    #[error("invalid server_name {name:?}")]
    ServerName {
        /// Name as configured.
        name: String,
    },
    /// The versions cannot be used.
    #[error("unable to use TLS versions: {0}")]
    Versions(rustls::Error),
    /// The CA cannot be used.
    #[error("unable to use CA certs: {0}")]
    Verifier(rustls::client::VerifierBuilderError),
}

impl TlsSettingsError {
    /// Returns the key of the setting that is invalid: of the client, and of its token endpoint.
    pub(in crate::http_client) fn settings(&self) -> [&'static str; 2] {
        match self {
            Self::ReadCa(_) | Self::Ca(Place::File(_)) => {
                ["tls_config.ca_file", "oauth2.tls_config.ca_file"]
            }
            Self::Ca(Place::Inline) => ["tls_config.ca", "oauth2.tls_config.ca"],
            Self::ReadCertificate(_)
            | Self::Certificate(Place::File(_))
            | Self::Identity { certificate: Place::File(_), .. } => {
                ["tls_config.cert_file", "oauth2.tls_config.cert_file"]
            }
            Self::Certificate(Place::Inline)
            | Self::Identity { certificate: Place::Inline, .. } => {
                ["tls_config.cert", "oauth2.tls_config.cert"]
            }
            Self::ReadKey(_) | Self::Key(Place::File(_)) => {
                ["tls_config.key_file", "oauth2.tls_config.key_file"]
            }
            Self::Key(Place::Inline) => ["tls_config.key", "oauth2.tls_config.key"],
            Self::ServerName { .. } => ["tls_config.server_name", "oauth2.tls_config.server_name"],
            Self::Versions(_) => ["tls_config.min_version", "oauth2.tls_config.min_version"],
            Self::Verifier(_) => ["tls_config.ca", "oauth2.tls_config.ca"],
        }
    }
}

/// Place of a PEM text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the configuration file.
    Inline,
    /// File.
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline => f.write_str("inline"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}
