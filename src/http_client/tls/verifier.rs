//! Verification of servers.
//!
//! A certificate of the configured CA is accepted as that of a server even if it is marked as a
//! CA, as the self-signed ones of `openssl req -x509` are; webpki alone would reject it.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Verifier of a client.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) trust: Trust,
}

/// Servers that are trusted.
#[derive(Debug)]
pub(super) enum Trust {
    /// `insecure_skip_verify`.
    Everything,
    /// Servers with a certificate of a CA, or with one of `pinned` itself.
    Cas { webpki: Arc<WebPkiServerVerifier>, pinned: Vec<CertificateDer<'static>> },
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name files without CAs.
    Nothing,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Everything => Ok(ServerCertVerified::assertion()),
            Trust::Cas { pinned, .. } if pinned.iter().any(|pinned| pinned == end_entity) => {
                verify_validity(end_entity, now)?;
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            Trust::Cas { webpki, .. } => webpki.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            Trust::Nothing => Err(Error::General(
                "no CA certificates in SSL_CERT_FILE and SSL_CERT_DIR; set ca_file in tls_config"
                    .to_owned(),
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn verify_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = Certificate::from_der(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let validity = parsed.tbs_certificate().validity();
    let (begin, end) =
        (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    if now.as_secs() < begin.as_secs() {
        Err(Error::InvalidCertificate(CertificateError::NotValidYet))
    } else if now.as_secs() > end.as_secs() {
        Err(Error::InvalidCertificate(CertificateError::Expired))
    } else {
        Ok(())
    }
}
