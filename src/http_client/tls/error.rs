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
