//! Errors of the contents of the section `tls_server_config`.

use crate::config::web::contents::{MAX_PEM_BYTES, PemSource};
use rustls::pki_types::pem;
use std::fmt;
use std::io;
use std::path::PathBuf;
use x509_cert::der;

/// Setting with PEM contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsSetting {
    /// `cert` or `cert_file`.
    Certificate,
    /// `key` or `key_file`.
    Key,
    /// `client_ca` or `client_ca_file`.
    ClientCa,
}

/// Setting and its file, for the text of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PemLocation {
    /// Setting in the section `tls_server_config`.
    pub(crate) setting: TlsSetting,
    /// Path of the file; `None` for text in the web configuration file.
    pub(crate) file: Option<PathBuf>,
}

impl PemLocation {
    /// Returns the key in the section `tls_server_config`.
    pub(crate) fn key(&self) -> &'static str {
        match (self.setting, &self.file) {
            (TlsSetting::Certificate, None) => "cert",
            (TlsSetting::Certificate, Some(_)) => "cert_file",
            (TlsSetting::Key, None) => "key",
            (TlsSetting::Key, Some(_)) => "key_file",
            (TlsSetting::ClientCa, None) => "client_ca",
            (TlsSetting::ClientCa, Some(_)) => "client_ca_file",
        }
    }
}

impl fmt::Display for PemLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tls_server_config.{}", self.key())?;
        self.file.iter().try_for_each(|file| write!(f, " {}", file.display()))
    }
}

/// Defect of a text that is not PEM. It has nothing of the text, which may be a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemDefect {
    /// A section has no end, or one line contains the whole section.
    #[error("a section does not end with a line of its own")]
    SectionEnd,
    /// A line begins a section and is malformed.
    #[error("a section does not begin with a complete line")]
    SectionStart,
    /// The contents of a section are not base64.
    #[error("the contents of a section are not base64")]
    Base64,
    /// Any other defect.
    #[error("the text cannot be read")]
    Unreadable,
}

impl From<pem::Error> for PemDefect {
    /// Drops the quoted part of the text.
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::MissingSectionEnd { .. } => Self::SectionEnd,
            pem::Error::IllegalSectionStart { .. } => Self::SectionStart,
            pem::Error::Base64Decode(_) => Self::Base64,
            _ => Self::Unreadable,
        }
    }
}

/// Problem of a PEM text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PemProblem {
    /// The file cannot be read.
    #[error(transparent)]
    Read(io::Error),
    /// The text exceeds the limit.
    #[error("larger than {MAX_PEM_BYTES} bytes")]
    TooLarge,
    /// The text is not PEM.
    #[error("invalid PEM: {0}")]
    Syntax(PemDefect),
    /// The text has no certificate.
    #[error("no certificate in PEM format")]
    NoCertificate,
    /// The text has no private key, or only an encrypted one.
    #[error("no unencrypted private key in PEM format")]
    NoKey,
    /// The certificate with this number, from 1, is not an X.509 certificate.
    #[error("certificate {number} is invalid: {source}")]
    Certificate {
        /// Number in the text, from 1.
        number: usize,
        /// Error of the parser.
        source: der::Error,
    },
    /// The certificate with this number, from 1, cannot be used as a CA.
    #[error("certificate {number} cannot be used as a CA: {source}")]
    Ca {
        /// Number in the text, from 1.
        number: usize,
        /// Reason.
        source: rustls::Error,
    },
    /// The key has an unknown type or is invalid.
    #[error("invalid private key: {0}")]
    InvalidKey(rustls::Error),
    /// The key does not belong to the certificate.
    #[error("the private key does not match the certificate")]
    KeyMismatch,
}

/// Error of the contents of the section `tls_server_config`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsConfigError {
    /// Certificate, key or CA cannot be used.
    #[error("cannot use {location}: {problem}")]
    Pem {
        /// Setting and its file.
        location: PemLocation,
        /// Reason.
        problem: PemProblem,
    },
    /// A verifying policy has no CA.
    #[error("tls_server_config.client_auth_type requires client_ca_file")]
    MissingClientCa,
    /// Versions and cipher suites exclude each other.
    #[error("cannot use tls_server_config: {0}")]
    Unusable(rustls::Error),
}

impl TlsConfigError {
    pub(super) fn pem(setting: TlsSetting, source: &PemSource, problem: PemProblem) -> Self {
        let file = match source {
            PemSource::Inline(_) => None,
            PemSource::File(path) => Some(path.clone()),
        };
        Self::Pem { location: PemLocation { setting, file }, problem }
    }
}
