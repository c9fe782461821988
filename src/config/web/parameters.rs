//! Policies, versions, cipher suites and curves by their names in Go and exporter-toolkit.
//!
//! A name that Prometheus accepts and rustls does not offer is an error, with the exception of an
//! old minimum version. The error lists the available names.

use crate::config::web::contents::{CipherSuite, ClientAuthPolicy, Curve, TlsVersion};
use crate::config::yaml::document::invalid;
use crate::config::yaml::error::ConfigProblem;
use serde_saphyr::Spanned;

/// Policies for client certificates. The last one is an alias.
const POLICIES: [(&str, ClientAuthPolicy); 6] = [
    ("NoClientCert", ClientAuthPolicy::None),
    ("RequestClientCert", ClientAuthPolicy::Request),
    ("RequireAnyClientCert", ClientAuthPolicy::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuthPolicy::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuthPolicy::RequireAndVerify),
    ("RequireClientCert", ClientAuthPolicy::RequireAny),
];

/// Versions that narthex offers.
const VERSIONS: [(&str, TlsVersion); 2] =
    [("TLS12", TlsVersion::Tls12), ("TLS13", TlsVersion::Tls13)];

/// Versions of Go that narthex does not offer.
const OLD_VERSIONS: [&str; 2] = ["TLS10", "TLS11"];

/// Cipher suites of TLS 1.2 that narthex offers.
const CIPHER_SUITES: [(&str, CipherSuite); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::EcdsaAes128Gcm),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::EcdsaAes256Gcm),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::EcdsaChacha20Poly1305),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::RsaAes128Gcm),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::RsaAes256Gcm),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::RsaChacha20Poly1305),
];

/// Cipher suites of TLS 1.3. They are valid and always offered.
const TLS13_CIPHER_SUITES: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Curves that narthex offers.
const CURVES: [(&str, Curve); 3] =
    [("CurveP256", Curve::P256), ("CurveP384", Curve::P384), ("X25519", Curve::X25519)];

/// Returns the policy for client certificates; without a name, no certificate is requested.
pub(super) fn client_auth(
    name: Option<&Spanned<String>>,
) -> Result<ClientAuthPolicy, ConfigProblem> {
    name.map_or(Ok(ClientAuthPolicy::None), |name| {
        find(&POLICIES, name).ok_or_else(|| unknown("client_auth_type", name, &POLICIES))
    })
}

/// Returns the minimum version. An older one is replaced, with a warning.
pub(super) fn min_version(
    name: Option<&Spanned<String>>,
    warnings: &mut Vec<ConfigProblem>,
) -> Result<TlsVersion, ConfigProblem> {
    let Some(name) = name else { return Ok(TlsVersion::Tls12) };
    if OLD_VERSIONS.contains(&name.value.as_str()) {
        let message = format!(
            "tls_server_config.min_version {} is not available: the minimum is TLS12",
            name.value
        );
        warnings.push(invalid(name, message));
        return Ok(TlsVersion::Tls12);
    }
    find(&VERSIONS, name).ok_or_else(|| unknown("min_version", name, &VERSIONS))
}

/// Returns the maximum version, which is at least `min`.
pub(super) fn max_version(
    name: Option<&Spanned<String>>,
    min: TlsVersion,
) -> Result<TlsVersion, ConfigProblem> {
    let Some(name) = name else { return Ok(TlsVersion::Tls13) };
    let max = find(&VERSIONS, name).ok_or_else(|| unknown("max_version", name, &VERSIONS))?;
    if max < min {
        let message = "tls_server_config.max_version is below min_version: every handshake would \
                       fail";
        return Err(invalid(name, message.to_owned()));
    }
    Ok(max)
}

/// Returns the suites of TLS 1.2; empty means all. Names of TLS 1.3 are valid, but a list that has
/// no other names would leave TLS 1.2 without a suite.
pub(super) fn cipher_suites(
    names: &[Spanned<String>],
    min: TlsVersion,
) -> Result<Vec<CipherSuite>, ConfigProblem> {
    let mut suites = Vec::new();
    for name in names {
        if TLS13_CIPHER_SUITES.contains(&name.value.as_str()) {
            continue;
        }
        let suite = find(&CIPHER_SUITES, name)
            .ok_or_else(|| unknown("cipher_suites", name, &CIPHER_SUITES))?;
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    match names.first() {
        Some(name) if suites.is_empty() && min < TlsVersion::Tls13 => {
            let message = format!(
                "tls_server_config.cipher_suites has no suite of TLS 1.2; add one, or set \
                 min_version to TLS13; available: {}",
                list(&CIPHER_SUITES)
            );
            Err(invalid(name, message))
        }
        _ => Ok(suites),
    }
}

/// Returns the curves in order of preference; empty means all.
pub(super) fn curves(names: &[Spanned<String>]) -> Result<Vec<Curve>, ConfigProblem> {
    let mut curves = Vec::new();
    for name in names {
        let curve =
            find(&CURVES, name).ok_or_else(|| unknown("curve_preferences", name, &CURVES))?;
        if !curves.contains(&curve) {
            curves.push(curve);
        }
    }
    Ok(curves)
}

fn find<T: Copy>(names: &[(&str, T)], name: &Spanned<String>) -> Option<T> {
    names.iter().find(|(known, _)| *known == name.value).map(|(_, value)| *value)
}

fn unknown<T>(key: &str, name: &Spanned<String>, names: &[(&str, T)]) -> ConfigProblem {
    let message = format!(
        "tls_server_config.{key} {:?} is unknown or not available; available: {}",
        name.value,
        list(names)
    );
    invalid(name, message)
}

fn list<T>(names: &[(&str, T)]) -> String {
    names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
