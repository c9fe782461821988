//! Signed assertions (RFC 7523) for the grant `jwt-bearer`.

use crate::config::file::http_client::oauth2::{JwtAlgorithm, JwtBearer};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

/// Lifetime of an assertion, seconds.
const LIFETIME: u64 = 600;

/// Error of signing an assertion.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no key for assertions.
    #[error("jwt-bearer needs client_certificate_key or client_certificate_key_file")]
    NoKey,
    /// The key is not an RSA key in PEM.
    #[error("client_certificate_key is not an RSA private key in PEM")]
    KeySyntax,
    /// The key cannot be used, for example because it is too short.
    #[error("client_certificate_key cannot be used: {0}")]
    Key(ring::error::KeyRejected),
    /// The assertion could not be signed.
    #[error("cannot sign the assertion")]
    Sign,
}

/// Identity of the client in its assertions.
pub(super) struct Claims<'a> {
    pub(super) client_id: &'a str,
    pub(super) token_url: &'a str,
    /// Separated by blanks; may be empty.
    pub(super) scope: &'a str,
    /// Seconds since the Unix epoch.
    pub(super) now: u64,
}

/// Checks a key.
pub(super) fn check_key(pem: &str) -> Result<(), KeyError> {
    key_pair(pem).map(|_| ())
}

/// Returns an assertion that is signed with a key in PEM.
pub(super) fn assertion(
    jwt: &JwtBearer,
    pem: &str,
    claims: &Claims<'_>,
) -> Result<String, KeyError> {
    let key = key_pair(pem)?;
    let random = SystemRandom::new();
    let (name, encoding): (_, &'static dyn RsaEncoding) =
        match jwt.algorithm.unwrap_or(JwtAlgorithm::Rs256) {
            JwtAlgorithm::Rs256 => ("RS256", &RSA_PKCS1_SHA256),
            JwtAlgorithm::Rs384 => ("RS384", &RSA_PKCS1_SHA384),
            JwtAlgorithm::Rs512 => ("RS512", &RSA_PKCS1_SHA512),
        };
    let mut header = json!({"alg": name, "typ": "JWT"});
    if let Some(id) = &jwt.key_id {
        header["kid"] = Value::from(id.as_str());
    }
    let payload = payload(jwt, claims, &unique_id(&random)?);
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(Value::Object(payload).to_string())
    );
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(encoding, &random, signed.as_bytes(), &mut signature).map_err(|_| KeyError::Sign)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn payload(jwt: &JwtBearer, claims: &Claims<'_>, id: &str) -> Map<String, Value> {
    let mut payload = Map::new();
    let mut set = |name: &str, value: Value| drop(payload.insert(name.to_owned(), value));
    set("iss", jwt.issuer.as_deref().unwrap_or(claims.client_id).into());
    set("sub", claims.client_id.into());
    set("jti", id.into());
    set("aud", jwt.audience.as_deref().unwrap_or(claims.token_url).into());
    set("iat", claims.now.into());
    set("exp", claims.now.saturating_add(LIFETIME).into());
    if !claims.scope.is_empty() {
        set("scope", claims.scope.into());
    }
    payload.extend(jwt.claims.clone());
    payload
}

/// Returns a random UUID (version 4).
fn unique_id(random: &SystemRandom) -> Result<String, KeyError> {
    let mut bytes = [0; 16];
    random.fill(&mut bytes).map_err(|_| KeyError::Sign)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

fn key_pair(pem: &str) -> Result<RsaKeyPair, KeyError> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::KeySyntax)?;
    match &key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(KeyError::KeySyntax),
    }
    .map_err(KeyError::Key)
}
