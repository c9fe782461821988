//! Errors of connecting.

use crate::http_client::os_text::os_text;
use crate::model::url::Url;
use rustls::{CertificateError, Error, InvalidMessage};
use std::io;
use std::path::PathBuf;

/// Error of connecting to a server or a proxy.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("dial tcp: lookup {host}: {}", lookup_text(source))]
    Lookup {
        /// Name that was looked up.
        host: String,
        /// Error of the resolver.
        source: io::Error,
    },
    /// No TCP connection.
    #[error("dial tcp {address}: connect: {}", os_text(source))]
    Tcp {
        /// Last address that was tried.
        address: String,
        /// Error of the connection.
        source: io::Error,
    },
    /// No connection to a unix socket.
    #[error("dial unix {}: connect: {}", path.display(), os_text(source))]
    Unix {
        /// Path of the socket.
        path: PathBuf,
        /// Error of the connection.
        source: io::Error,
    },
    /// The host is neither a DNS name nor an IP address.
    #[error("tls: invalid server name {host:?}")]
    ServerName {
        /// Host of the URL.
        host: String,
    },
    /// The TLS handshake failed.
    #[error("{}", tls_text(.0))]
    Tls(Error),
    /// The connection failed during the TLS handshake.
    #[error("tls: handshake: {}", os_text(.0))]
    TlsConnection(io::Error),
    /// The server has not finished the TLS handshake in time.
    #[error("net/http: TLS handshake timeout")]
    TlsTimeout,
    /// No connection through a proxy.
    #[error("proxyconnect tcp: proxy {proxy}: {cause}")]
    Proxy {
        /// URL of the proxy, shown without its password.
        proxy: Box<Url>,
        /// Error of connecting to it or of its response.
        cause: Box<ConnectError>,
    },
    /// The proxy refused to connect.
    #[error("response to CONNECT: {status}")]
    Refused {
        /// Status code and reason.
        status: String,
    },
    /// The connection to the proxy failed.
    #[error("{}", os_text(.0))]
    ProxyConnection(io::Error),
    /// The proxy violates its protocol.
    #[error("unexpected response of the proxy: {reason}")]
    ProxyProtocol {
        /// Part of the protocol.
        reason: &'static str,
    },
    /// A SOCKS5 proxy cannot connect.
    #[error("socks connect: {reason}")]
    Socks {
        /// Meaning of its reply code.
        reason: &'static str,
    },
    /// The protocol of the connection could not be set up.
    #[error("HTTP handshake: {0}")]
    Handshake(hyper::Error),
}

impl ConnectError {
    /// Returns the error with the proxy at which it occurred.
    pub(super) fn of_proxy(self, proxy: &Url) -> Self {
        Self::Proxy { proxy: Box::new(proxy.clone()), cause: Box::new(self) }
    }

    /// Returns the error of an I/O error of a TLS stream.
    pub(super) fn tls(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => Self::Tls(error),
            Err(error) => Self::TlsConnection(error),
        }
    }
}

fn lookup_text(error: &io::Error) -> String {
    let text = error.to_string();
    // The resolver has no error kinds: these are glibc's and musl's texts for a missing name.
    let missing = ["not known", "No address associated", "does not resolve", "no such host"];
    if missing.iter().any(|missing| text.contains(missing)) {
        return "no such host".to_owned();
    }
    os_text(error)
}

/// Returns the text of a TLS error, for the frequent ones as Go writes it.
fn tls_text(error: &Error) -> String {
    let reason = match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            return "tls: first record does not look like a TLS handshake".to_owned();
        }
        Error::InvalidCertificate(reason) => reason,
        other => return format!("tls: {other}"),
    };
    let reason = match reason {
        // Another CA may have the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "x509: certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "x509: certificate has expired or is not yet valid".to_owned()
        }
        other => format!("x509: {other}"),
    };
    format!("tls: failed to verify certificate: {reason}")
}
