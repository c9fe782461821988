//! Section `oauth2`.

use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::model::secret::Secret;
use crate::model::url::Url;
use std::collections::BTreeMap;

/// Value of `grant_type` for [`OAuth2Grant::JwtBearer`].
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Section `oauth2`.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2Config {
    /// Client identifier, not empty.
    pub client_id: String,
    /// Endpoint that issues the tokens.
    pub token_url: Url,
    /// Requested scopes.
    pub scopes: Vec<String>,
    /// Additional parameters of the token request. Of its own ones, they replace only `grant_type`.
    pub endpoint_params: BTreeMap<String, String>,
    /// Key `grant_type` as written. Any value but [`JWT_BEARER`] means client credentials.
    pub grant_type: Option<String>,
    /// Proof of the client's identity.
    pub grant: OAuth2Grant,
    /// TLS of connections to the token endpoint.
    pub tls: TlsClientConfig,
    /// Proxy of connections to the token endpoint.
    pub proxy: ProxyConfig,
}

/// Grant of a token request.
#[derive(Debug, Clone, PartialEq)]
pub enum OAuth2Grant {
    /// Client credentials: `client_secret` or `client_secret_file`; `None` is empty.
    ClientCredentials(Option<Source<Secret>>),
    /// Signed assertion (RFC 7523).
    JwtBearer(JwtBearer),
}

/// Settings of a signed assertion.
#[derive(Debug, Clone, PartialEq)]
pub struct JwtBearer {
    /// RSA key in PEM: `client_certificate_key` or `client_certificate_key_file`.
    pub key: Option<Source<Secret>>,
    /// `client_certificate_key_id`, header `kid` of the assertion.
    pub key_id: Option<String>,
    /// `signature_algorithm`; `None` is [`JwtAlgorithm::Rs256`].
    pub algorithm: Option<JwtAlgorithm>,
    /// `iss`; `None` is the client identifier.
    pub issuer: Option<String>,
    /// `audience`; `None` is the token URL.
    pub audience: Option<String>,
    /// Additional claims, which replace the standard ones.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

/// Signature algorithm of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// RSA with SHA-384.
    Rs384,
    /// RSA with SHA-512.
    Rs512,
}
