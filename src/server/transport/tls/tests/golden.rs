//! Handshakes that Prometheus 3.14 accepted or rejected, with its alerts.
//!
//! Differences are listed in [`expected`] and [`NOT_OFFERED`]. Handshakes that rustls's client
//! cannot make (TLS 1.1, the curve P-521) are skipped; the whole-program tests have them.

use super::client::{EchoServer, client_with};
use crate::config::web;
use crate::config::web::DEFAULT_MAX_BCRYPT_COST;
use crate::server::transport::listener::HttpVersions;
use crate::server::transport::tls::context::TlsContext;
use flate2::read::GzDecoder;
use rustls::crypto::ring::{self, kx_group};
use rustls::{AlertDescription, CipherSuite, ClientConfig, ProtocolVersion, version};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that narthex rejects: settings that rustls does not have, no CA or none that is valid, and
/// an empty range of versions.
const NOT_OFFERED: [&str; 6] =
    ["auth-Verify-no-ca", "ca-garbage", "curve-521", "max-TLS10", "max-TLS11", "min-above-max"];

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/webconfig")
}

/// Returns the alert that narthex sends where Prometheus's OpenSSL client saw `error`.
fn expected(error: &str, probe: &Value) -> AlertDescription {
    match error {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED" => AlertDescription::CertificateRequired,
        "TLSV1_ALERT_UNKNOWN_CA" => AlertDescription::UnknownCA,
        "SSLV3_ALERT_CERTIFICATE_EXPIRED" => AlertDescription::CertificateExpired,
        "SSLV3_ALERT_HANDSHAKE_FAILURE" => AlertDescription::HandshakeFailure,
        "TLSV1_ALERT_PROTOCOL_VERSION" => AlertDescription::ProtocolVersion,
        // Go has one alert for every other defect; rustls has one for each.
        "SSLV3_ALERT_BAD_CERTIFICATE" if probe["cert"] == "client-serverusage" => {
            AlertDescription::UnsupportedCertificate
        }
        "SSLV3_ALERT_BAD_CERTIFICATE" => AlertDescription::AccessDenied,
        other => panic!("unknown alert {other}"),
    }
}

/// Returns the client of a recorded handshake, or `None` if rustls cannot be this client.
fn client(probe: &Value) -> Option<Arc<ClientConfig>> {
    let text = |name: &str| probe[name].as_str();
    let versions = match (text("min"), text("max")) {
        (_, Some("TLSv1_1")) => return None,
        (_, Some("TLSv1_2")) => vec![&version::TLS12],
        (Some("TLSv1_3"), _) => vec![&version::TLS13],
        (None, None) => vec![&version::TLS12, &version::TLS13],
        other => panic!("unknown versions {other:?}"),
    };
    let mut provider = ring::default_provider();
    match text("curve") {
        None => {}
        Some("secp521r1") => return None,
        Some("secp384r1") => provider.kx_groups = vec![kx_group::SECP384R1],
        Some("prime256v1") => provider.kx_groups = vec![kx_group::SECP256R1],
        Some(other) => panic!("unknown curve {other}"),
    }
    let mut offered = versions;
    if let Some(name) = text("ciphers") {
        // The recording's list of suites is one of TLS 1.2.
        provider.cipher_suites.retain(|suite| openssl_name(suite.suite()) == name);
        offered = vec![&version::TLS12];
    }
    let mut config = client_with(text("cert"), &offered, provider);
    if let Some(protocols) = probe["alpn"].as_array() {
        let name = |name: &Value| name.as_str().unwrap().as_bytes().to_vec();
        config.alpn_protocols = protocols.iter().map(name).collect();
    }
    Some(Arc::new(config))
}

fn openssl_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        other => panic!("unknown suite {other:?}"),
    }
}

/// Asserts that the server treats a client as recorded.
async fn assert_recorded(
    server: &EchoServer,
    client: &Arc<ClientConfig>,
    file: &str,
    probe: &Value,
) {
    let what = format!("{file}: {probe}");
    let only_h2 = probe["alpn"].as_array().is_some_and(|names| names == &["h2"]);
    // Prometheus offers no protocol at all without HTTP/2; narthex offers HTTP/1.1 only. Its alert
    // for an unknown protocol is not in the recording.
    if file == "http2-off" && only_h2 || probe["tls_error"].is_null() && probe["tls"].is_null() {
        let alert = server.alert(client).await;
        assert_eq!(alert, Some(AlertDescription::NoApplicationProtocol), "{what}");
        return;
    }
    if let Some(error) = probe["tls_error"].as_str() {
        assert_eq!(server.alert(client).await, Some(expected(error, probe)), "{what}");
        return;
    }
    let echo = server.echo(client).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let connection = echo.stream.get_ref().1;
    let version = match connection.protocol_version().unwrap() {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        other => panic!("{what}: {other:?}"),
    };
    assert_eq!(probe["tls"], version, "{what}");
    let suite = connection.negotiated_cipher_suite().unwrap().suite();
    // With this setting the client's order decides; Go ignores it.
    if file != "prefer-server" {
        assert_eq!(probe["cipher"], openssl_name(suite), "{what}");
    }
    let protocol = connection.alpn_protocol().map(String::from_utf8_lossy);
    if file == "http2-off" && !probe["alpn"].is_null() {
        assert_eq!(protocol.as_deref(), Some("http/1.1"), "{what}");
    } else {
        assert_eq!(probe["alpn_chosen"].as_str(), protocol.as_deref(), "{what}");
    }
}

#[tokio::test]
async fn handshakes_end_as_recorded_or_as_listed() {
    let recording = GzDecoder::new(File::open(dir().join("verdicts.json.gz")).unwrap());
    let recording: Value = serde_json::from_reader(recording).unwrap();
    let files = dir().join("files");
    let (mut rejected, mut compared, mut skipped) = (Vec::new(), 0, 0);
    for (name, record) in recording["files"].as_object().unwrap() {
        let name = name.trim_end_matches(".yml");
        let over_tls = |probe: &&Value| probe["scheme"] == "https" && !is_without_tls(probe);
        let probes: Vec<&Value> =
            record["live"].as_array().into_iter().flatten().filter(over_tls).collect();
        if probes.is_empty() {
            continue;
        }
        let text = std::fs::read_to_string(files.join(format!("{name}.yml"))).unwrap();
        let text = text.replace("{DIR}", files.to_str().unwrap());
        let Some(context) = context_of(&text, &files) else {
            rejected.push(name);
            continue;
        };
        let server = EchoServer::with_context(context);
        for probe in probes {
            match client(probe) {
                Some(client) => assert_recorded(&server, &client, name, probe).await,
                None => skipped += 1,
            }
            compared += 1;
        }
    }
    assert_eq!(rejected, NOT_OFFERED);
    assert!(compared >= 90 && skipped <= 6, "{compared} compared, {skipped} skipped");
}

/// Returns `true` for a TLS client of a server without TLS.
fn is_without_tls(probe: &Value) -> bool {
    probe["tls_error"] == "WRONG_VERSION_NUMBER"
}

/// Returns the context of a file, or `None` if narthex rejects it.
fn context_of(text: &str, dir: &Path) -> Option<TlsContext> {
    let config = web::parse(text, dir, DEFAULT_MAX_BCRYPT_COST).ok()?.config;
    let versions = if config.http.http2 { HttpVersions::All } else { HttpVersions::Http1 };
    TlsContext::build(&config.tls.unwrap(), versions).ok()
}
