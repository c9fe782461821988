//! rustls configuration of a client.

use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::{MaxTlsVersion, MinTlsVersion, TlsClientConfig};
use crate::http_client::tls::error::{Place, TlsSettingsError};
use crate::http_client::tls::material::TlsMaterial;
use crate::http_client::tls::roots;
use crate::http_client::tls::verifier::{ServerVerifier, Trust};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::sync::Arc;

/// Creates the configuration from the settings and the contents of their files.
pub(in crate::http_client) fn client_config(
    config: &TlsClientConfig,
    material: &TlsMaterial,
) -> Result<ClientConfig, TlsSettingsError> {
    let provider = Arc::new(ring::default_provider());
    let trust = trust(config, material, &provider)?;
    let verifier = ServerVerifier { provider: Arc::clone(&provider), trust };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(config))
        .map_err(TlsSettingsError::Versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((chain, key)) = identity(config, material)? else {
        return Ok(builder.with_no_client_auth());
    };
    builder.with_client_auth_cert(chain, key).map_err(|source| TlsSettingsError::Identity {
        certificate: place(config.identity.as_ref().map(|identity| &identity.certificate)),
        key: place(config.identity.as_ref().map(|identity| &identity.key)),
        source: Box::new(source),
    })
}

type Versions = [&'static SupportedProtocolVersion];

static ONLY_TLS13: &Versions = &[&TLS13];
static ONLY_TLS12: &Versions = &[&TLS12];
static BOTH: &Versions = &[&TLS13, &TLS12];

fn versions(config: &TlsClientConfig) -> &'static Versions {
    match (config.min_version, config.max_version) {
        (Some(MinTlsVersion::Tls13), _) => ONLY_TLS13,
        (_, Some(MaxTlsVersion::Tls12)) => ONLY_TLS12,
        _ => BOTH,
    }
}

fn trust(
    config: &TlsClientConfig,
    material: &TlsMaterial,
    provider: &Arc<CryptoProvider>,
) -> Result<Trust, TlsSettingsError> {
    let (roots, pinned) = match &material.ca {
        Some(text) => {
            let pinned: Vec<_> = CertificateDer::pem_slice_iter(text).flatten().collect();
            let mut roots = RootCertStore::empty();
            // As in Go, one valid certificate is enough.
            let (added, _) = roots.add_parsable_certificates(pinned.iter().cloned());
            if added == 0 {
                return Err(TlsSettingsError::Ca(place(config.ca.as_ref())));
            }
            (Arc::new(roots), pinned)
        }
        None => (roots::default_roots(), Vec::new()),
    };
    if config.insecure_skip_verify {
        return Ok(Trust::Everything);
    }
    if roots.is_empty() {
        return Ok(Trust::Nothing);
    }
    let webpki = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(TlsSettingsError::Verifier)?;
    Ok(Trust::Cas { webpki, pinned })
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(
    config: &TlsClientConfig,
    material: &TlsMaterial,
) -> Result<Option<Identity>, TlsSettingsError> {
    let (Some(identity), Some(certificate), Some(key)) =
        (&config.identity, &material.certificate, &material.key)
    else {
        return Ok(None);
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let is_valid = |leaf: &CertificateDer<'_>| ParsedCertificate::try_from(leaf).is_ok();
    let chain = chain.ok().filter(|chain| chain.first().is_some_and(is_valid));
    let chain =
        chain.ok_or_else(|| TlsSettingsError::Certificate(place(Some(&identity.certificate))))?;
    let key = PrivateKeyDer::pem_slice_iter(key).next().and_then(Result::ok);
    let key = key.ok_or_else(|| TlsSettingsError::Key(place(Some(&identity.key))))?;
    Ok(Some((chain, key)))
}

fn place<T>(source: Option<&Source<T>>) -> Place {
    match source.and_then(Source::file) {
        Some(path) => Place::File(path.to_owned()),
        None => Place::Inline,
    }
}
