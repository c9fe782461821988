//! rustls's configuration from the section `tls_server_config`.

use crate::config::web::contents::{CipherSuite, Curve, TlsConfig, TlsVersion};
use crate::server::transport::listener::HttpVersions;
use crate::server::transport::tls::error::{PemProblem, TlsConfigError, TlsSetting};
use crate::server::transport::tls::{certificate, client_auth, pem};
use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{self, cipher_suite, kx_group};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};
use std::sync::Arc;

/// Suites of TLS 1.3 in the server's order, which is Go's: AES-128 costs the least.
const TLS13_SUITES: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// Suites of TLS 1.2 in the server's order if the file names none.
const TLS12_SUITES: [CipherSuite; 6] = [
    CipherSuite::EcdsaAes128Gcm,
    CipherSuite::RsaAes128Gcm,
    CipherSuite::EcdsaAes256Gcm,
    CipherSuite::RsaAes256Gcm,
    CipherSuite::EcdsaChacha20Poly1305,
    CipherSuite::RsaChacha20Poly1305,
];

/// Valid configuration for handshakes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct TlsContext {
    pub(super) config: Arc<ServerConfig>,
    /// `true` if the policy verifies client certificates.
    pub(super) verifies_clients: bool,
    /// End of validity of the server's certificate, seconds since the Unix epoch.
    pub(crate) certificate_expiry: i64,
}

/// Context for new handshakes. Clones share it. The lock is held only to copy or to replace it.
#[derive(Debug, Clone)]
pub(super) struct CurrentContext(Arc<RwLock<TlsContext>>);

impl CurrentContext {
    pub(super) fn new(context: TlsContext) -> Self {
        Self(Arc::new(RwLock::new(context)))
    }

    pub(super) fn get(&self) -> TlsContext {
        self.0.read().clone()
    }

    pub(super) fn replace(&self, context: TlsContext) {
        *self.0.write() = context;
    }
}

impl TlsContext {
    /// Reads certificate, key and CA, and checks that they can be used together.
    ///
    /// # Errors
    /// The setting, its file and the reason.
    pub(crate) fn build(
        config: &TlsConfig,
        versions: HttpVersions,
    ) -> Result<Self, TlsConfigError> {
        let provider = Arc::new(provider(config));
        let (key, certificate_expiry) = certified_key(config, &provider)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&protocol_versions(config))
            .map_err(TlsConfigError::Unusable)?;
        let verifier = client_auth::verifier(config, &provider)?;
        let requests_certificate = verifier.is_some();
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        server.ignore_client_order = config.prefer_server_cipher_suites;
        server.alpn_protocols = match versions {
            HttpVersions::All => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            HttpVersions::Http1 => vec![b"http/1.1".to_vec()],
        };
        if requests_certificate {
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(Self {
            config: Arc::new(server),
            verifies_clients: config.client_auth.verifies(),
            certificate_expiry,
        })
    }
}

/// Returns the server's chain with its key, and the end of validity of the leaf.
fn certified_key(
    config: &TlsConfig,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, i64), TlsConfigError> {
    let chain = pem::certificates(TlsSetting::Certificate, &config.certificate)?;
    let expiry = chain.first().map_or(Ok(0), certificate::not_after).map_err(|source| {
        let problem = PemProblem::Certificate { number: 1, source };
        TlsConfigError::pem(TlsSetting::Certificate, &config.certificate, problem)
    })?;
    let key = pem::private_key(TlsSetting::Key, &config.key)?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        let problem = match error {
            Error::InconsistentKeys(_) => PemProblem::KeyMismatch,
            error => PemProblem::InvalidKey(error),
        };
        TlsConfigError::pem(TlsSetting::Key, &config.key, problem)
    })?;
    Ok((key, expiry))
}

fn provider(config: &TlsConfig) -> CryptoProvider {
    let tls12 = match config.cipher_suites.as_slice() {
        [] => &TLS12_SUITES,
        suites => suites,
    };
    let mut provider = ring::default_provider();
    provider.cipher_suites =
        TLS13_SUITES.into_iter().chain(tls12.iter().copied().map(suite)).collect();
    if !config.curves.is_empty() {
        provider.kx_groups = config
            .curves
            .iter()
            .map(|curve| match curve {
                Curve::P256 => kx_group::SECP256R1,
                Curve::P384 => kx_group::SECP384R1,
                Curve::X25519 => kx_group::X25519,
            })
            .collect();
    }
    provider
}

fn suite(suite: CipherSuite) -> SupportedCipherSuite {
    match suite {
        CipherSuite::EcdsaAes128Gcm => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdsaAes256Gcm => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdsaChacha20Poly1305 => {
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        CipherSuite::RsaAes128Gcm => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::RsaAes256Gcm => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::RsaChacha20Poly1305 => {
            cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
    }
}

fn protocol_versions(config: &TlsConfig) -> Vec<&'static SupportedProtocolVersion> {
    [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)]
        .into_iter()
        .filter(|(version, _)| (config.min_version..=config.max_version).contains(version))
        .map(|(_, version)| version)
        .collect()
}
