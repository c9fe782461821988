//! Failed handshakes: reasons, counters, log lines.
//!
//! A failure is usually the client's. It is counted by reason, and logged at a limited rate per
//! reason, so that a flood of one does not hide another.

use crate::log_limit::LogLimit;
use crate::metrics::registry::{Counter, Registry};
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::tls::hello::NotTls;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use rustls::{CertificateError, Error, PeerIncompatible};
use std::fmt;
use std::io;
use std::time::Instant;

/// Reason of a failed handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FailureReason {
    /// Plain HTTP to the TLS port.
    PlainHttp,
    /// Neither TLS nor HTTP.
    NotTls,
    /// The client disconnected or sent nothing for too long.
    Incomplete,
    /// The policy requires a certificate, and the client has none.
    CertificateMissing,
    CertificateExpired,
    CertificateNotYetValid,
    /// No CA of `client_ca_file` signed the certificate.
    UnknownCa,
    /// No name of the certificate is in `client_allowed_sans`.
    SanNotAllowed,
    /// Any other defect of the certificate or of its signature.
    BadCertificate,
    /// The client does not offer a version between `min_version` and `max_version`.
    TlsVersion,
    /// No cipher suite, curve, signature scheme or protocol (ALPN) in common.
    NoCommonParameters,
    /// The client sent an alert, for example because it does not trust the server's certificate.
    RejectedByClient,
    /// The client violated the protocol.
    ProtocolError,
}

impl FailureReason {
    /// All reasons, in the order of their values.
    const ALL: [Self; 13] = [
        Self::PlainHttp,
        Self::NotTls,
        Self::Incomplete,
        Self::CertificateMissing,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::UnknownCa,
        Self::SanNotAllowed,
        Self::BadCertificate,
        Self::TlsVersion,
        Self::NoCommonParameters,
        Self::RejectedByClient,
        Self::ProtocolError,
    ];

    /// Returns the value of the label `reason`.
    fn label(self) -> &'static str {
        match self {
            Self::PlainHttp => "plain_http",
            Self::NotTls => "not_tls",
            Self::Incomplete => "incomplete",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::UnknownCa => "unknown_ca",
            Self::SanNotAllowed => "san_not_allowed",
            Self::BadCertificate => "bad_certificate",
            Self::TlsVersion => "tls_version",
            Self::NoCommonParameters => "no_common_parameters",
            Self::RejectedByClient => "rejected_by_client",
            Self::ProtocolError => "protocol_error",
        }
    }

    /// Classifies an error of a handshake.
    pub(super) fn from_error(error: &io::Error) -> Self {
        let cause = error.get_ref();
        if let Some(error) = cause.and_then(|cause| cause.downcast_ref::<NotTls>()) {
            return match error {
                NotTls::Http => Self::PlainHttp,
                NotTls::Other => Self::NotTls,
            };
        }
        match cause.and_then(|cause| cause.downcast_ref::<Error>()) {
            // An error of the connection: rustls did not reject anything.
            None => Self::Incomplete,
            Some(Error::NoCertificatesPresented) => Self::CertificateMissing,
            Some(Error::InvalidCertificate(error)) => Self::from_certificate_error(error),
            Some(Error::PeerIncompatible(error)) => Self::from_incompatibility(error),
            Some(Error::NoApplicationProtocol) => Self::NoCommonParameters,
            Some(Error::AlertReceived(_)) => Self::RejectedByClient,
            Some(_) => Self::ProtocolError,
        }
    }

    fn from_certificate_error(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Self::CertificateExpired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::CertificateNotYetValid
            }
            CertificateError::UnknownIssuer => Self::UnknownCa,
            CertificateError::ApplicationVerificationFailure => Self::SanNotAllowed,
            _ => Self::BadCertificate,
        }
    }

    fn from_incompatibility(error: &PeerIncompatible) -> Self {
        match error {
            // Clients have sent signature algorithms since TLS 1.2.
            PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => Self::TlsVersion,
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoEcPointFormatsInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon => Self::NoCommonParameters,
            _ => Self::ProtocolError,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Message of failed handshakes in the log.
const FAILED: &str = "TLS handshake failed";

/// Counters and log limits of failed handshakes.
#[derive(Debug)]
pub(crate) struct HandshakeFailures {
    /// In the order of [`FailureReason::ALL`].
    reasons: [(Counter, LogLimit); FailureReason::ALL.len()],
}

impl HandshakeFailures {
    /// Registers the counter of every reason.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let family = registry.family(
            "narthex_web_tls_handshake_failures_total",
            "TLS handshakes that failed, by reason.",
            Family::<ReasonLabel, Counter>::default(),
        );
        let counter = |reason: FailureReason| {
            family.get_or_create_owned(&ReasonLabel { reason: reason.label() })
        };
        Self { reasons: FailureReason::ALL.map(|reason| (counter(reason), LogLimit::new(FAILED))) }
    }

    /// Counts and logs a failure. `error` is the text for the log line.
    pub(super) fn record(
        &self,
        reason: FailureReason,
        peer: PeerAddress,
        error: &dyn fmt::Display,
    ) {
        let (counter, log) = &self.reasons[reason as usize];
        counter.inc();
        if let Some(suppressed) = log.admit(Instant::now()) {
            let reason = reason.label();
            tracing::warn!(reason, peer = %peer.0, %error, suppressed, "{FAILED}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FailureReason;

    #[test]
    fn list_of_reasons_is_in_order_of_values() {
        for (index, reason) in FailureReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
        }
    }
}
