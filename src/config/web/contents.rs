//! Contents of a valid web configuration file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Maximum size of certificates, CAs or a key, in the web configuration file or in a file of their
/// own, bytes.
pub const MAX_PEM_BYTES: usize = 1 << 20;

/// Contents of a web configuration file. The default is an empty file: plain HTTP for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebConfig {
    /// TLS of the listener; `None` means plain connections.
    pub tls: Option<TlsConfig>,
    /// Section `http_server_config`.
    pub http: HttpConfig,
    /// Users and the bcrypt hashes of their passwords. Without users, requests need no credentials.
    pub users: BTreeMap<String, PasswordHash>,
    /// Limit for the rate of requests; `None` means no limit.
    pub rate_limit: Option<RateLimit>,
}

/// Section `tls_server_config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificate chain of the server, leaf first.
    pub certificate: PemSource,
    /// Private key of the leaf certificate.
    pub key: PemSource,
    /// CAs of client certificates. Present if the policy verifies certificates.
    pub client_ca: Option<PemSource>,
    /// Policy for client certificates.
    pub client_auth: ClientAuthPolicy,
    /// Subject alternative names. A client certificate must have one of them. `None` allows all
    /// certificates, and an empty list allows none.
    pub client_allowed_sans: Option<Vec<String>>,
    /// Minimum version.
    pub min_version: TlsVersion,
    /// Maximum version, at least `min_version`.
    pub max_version: TlsVersion,
    /// Cipher suites of TLS 1.2 to offer, without duplicates; empty means all. TLS 1.3 always
    /// offers its three suites.
    pub cipher_suites: Vec<CipherSuite>,
    /// Curves to offer, without duplicates; empty means all. The order of the client selects one.
    pub curves: Vec<Curve>,
    /// Whether the order of the server, not that of the client, selects the cipher suite.
    pub prefer_server_cipher_suites: bool,
}

/// PEM text, or the file that contains it.
#[derive(Clone, PartialEq, Eq)]
pub enum PemSource {
    /// Text in the web configuration file.
    Inline(String),
    /// Path of a file; a relative one is relative to the web configuration file and resolved here.
    File(PathBuf),
}

impl fmt::Debug for PemSource {
    /// Hides the text, which may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Policy for client certificates, with the names of Go's `tls.ClientAuthType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuthPolicy {
    /// `NoClientCert`: no certificate is requested.
    #[default]
    None,
    /// `RequestClientCert`: a certificate is requested and not verified.
    Request,
    /// `RequireAnyClientCert` and `RequireClientCert`: a certificate is required and not verified.
    RequireAny,
    /// `VerifyClientCertIfGiven`: a certificate is requested, and verified if the client has one.
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`: a verified certificate is required.
    RequireAndVerify,
}

impl ClientAuthPolicy {
    /// Returns `true` if a certificate of a client is verified.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// Version of TLS that narthex offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Cipher suite of TLS 1.2 that narthex offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherSuite {
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`
    EcdsaAes128Gcm,
    /// `TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384`
    EcdsaAes256Gcm,
    /// `TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256`
    EcdsaChacha20Poly1305,
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`
    RsaAes128Gcm,
    /// `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`
    RsaAes256Gcm,
    /// `TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256`
    RsaChacha20Poly1305,
}

/// Curve of the key exchange that narthex offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// `CurveP256`
    P256,
    /// `CurveP384`
    P384,
    /// `X25519`
    X25519,
}

/// Section `http_server_config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Whether HTTP/2 is offered over TLS.
    pub http2: bool,
    /// Headers of every response: names in canonical form, values without control characters. A
    /// value may be empty.
    pub headers: Vec<(&'static str, String)>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { http2: true, headers: Vec::new() }
    }
}

/// Bcrypt hash of 60 characters that the crate `bcrypt` can verify, with an accepted cost.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    /// Hides the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Token bucket for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Time in which one request is allowed on average. Not zero.
    pub interval: Duration,
    /// Maximum number of requests at once. Not zero; larger values of the file are `u32::MAX`.
    pub burst: u32,
}
