//! Policies for client certificates, allowed names.
//!
//! | policy | certificate | verified |
//! |---|---|---|
//! | `NoClientCert` | not requested | – |
//! | `RequestClientCert` | optional | no |
//! | `RequireAnyClientCert` | required | no |
//! | `VerifyClientCertIfGiven` | optional | yes |
//! | `RequireAndVerifyClientCert` | required | yes |
//!
//! A client always proves that it has the key of its certificate. `client_allowed_sans` applies to
//! each certificate that a client presents, verified or not. Source: exporter-toolkit.

use crate::config::web::contents::{ClientAuthPolicy, PemSource, TlsConfig};
use crate::server::transport::tls::certificate;
use crate::server::transport::tls::error::{PemProblem, TlsConfigError, TlsSetting};
use crate::server::transport::tls::pem;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use std::sync::Arc;

/// Maximum size of all CA names in a request for a certificate, bytes. With more, no name is sent,
/// and clients with several certificates select one by other means.
const MAX_CA_NAME_BYTES: usize = 16 << 10;

/// Returns the verifier of the policy; `None` if no certificate is requested.
pub(super) fn verifier(
    config: &TlsConfig,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsConfigError> {
    let inner: Arc<dyn ClientCertVerifier> = match config.client_auth {
        ClientAuthPolicy::None => return Ok(None),
        policy @ (ClientAuthPolicy::Request | ClientAuthPolicy::RequireAny) => {
            Arc::new(UnverifiedCert {
                is_required: policy == ClientAuthPolicy::RequireAny,
                algorithms: provider.signature_verification_algorithms,
            })
        }
        policy @ (ClientAuthPolicy::VerifyIfGiven | ClientAuthPolicy::RequireAndVerify) => {
            let ca = config.client_ca.as_ref().ok_or(TlsConfigError::MissingClientCa)?;
            verifier_of_ca(ca, policy, provider)?
        }
    };
    Ok(Some(match &config.client_allowed_sans {
        None => inner,
        Some(allowed) => Arc::new(AllowedSans { inner, allowed: allowed.clone() }),
    }))
}

fn verifier_of_ca(
    source: &PemSource,
    policy: ClientAuthPolicy,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    for (certificate, number) in
        pem::certificates(TlsSetting::ClientCa, source)?.into_iter().zip(1..)
    {
        roots.add(certificate).map_err(|error| {
            let problem = PemProblem::Ca { number, source: error };
            TlsConfigError::pem(TlsSetting::ClientCa, source, problem)
        })?;
    }
    let name_bytes: usize = roots.subjects().iter().map(|name| name.as_ref().len()).sum();
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if name_bytes > MAX_CA_NAME_BYTES {
        builder = builder.clear_root_hint_subjects();
    }
    if policy == ClientAuthPolicy::VerifyIfGiven {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| TlsConfigError::Unusable(Error::General(error.to_string())))
}

/// Verifier that accepts every certificate whose key the client has.
#[derive(Debug)]
struct UnverifiedCert {
    is_required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for UnverifiedCert {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifier that also requires one of the allowed names.
#[derive(Debug)]
struct AllowedSans {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl ClientCertVerifier for AllowedSans {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        match certificate::has_allowed_san(end_entity, &self.allowed) {
            Ok(true) => Ok(verified),
            // No other check fails with this error, so it identifies the reason.
            Ok(false) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Err(_) => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
