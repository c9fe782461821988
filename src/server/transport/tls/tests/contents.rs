//! Invalid certificates, keys and CAs.

use super::client::{cert_file, section};
use crate::config::web::contents::{ClientAuthPolicy, PemSource, TlsConfig};
use crate::server::transport::listener::HttpVersions;
use crate::server::transport::tls::context::TlsContext;
use std::path::PathBuf;

/// Returns the text of the error of a changed section.
fn error(change: impl FnOnce(&mut TlsConfig)) -> String {
    let mut section = section(ClientAuthPolicy::RequireAndVerify);
    change(&mut section);
    TlsContext::build(&section, HttpVersions::All).unwrap_err().to_string()
}

#[track_caller]
fn assert_parts(error: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn key_of_other_certificate_is_an_error() {
    let text = error(|section| section.key = cert_file("server2.key"));
    assert_parts(&text, &["tls_server_config.key_file", "server2.key", "does not match"]);
    let text = error(|section| section.key = cert_file("server-rsa.key"));
    assert_parts(&text, &["server-rsa.key", "does not match"]);
}

#[test]
fn text_without_certificate_or_key_is_an_error() {
    let garbage = || PemSource::Inline("garbage".to_owned());
    let text = error(|section| section.certificate = garbage());
    assert_eq!(text, "cannot use tls_server_config.cert: no certificate in PEM format");
    let text = error(|section| section.certificate = cert_file("server.key"));
    assert_parts(&text, &["tls_server_config.cert_file", "no certificate"]);
    let text = error(|section| section.key = cert_file("server.crt"));
    assert_parts(&text, &["tls_server_config.key_file", "no unencrypted private key"]);
    let text = error(|section| section.client_ca = Some(garbage()));
    assert_eq!(text, "cannot use tls_server_config.client_ca: no certificate in PEM format");
    assert_eq!(
        error(|section| section.client_ca = None),
        "tls_server_config.client_auth_type requires client_ca_file"
    );
}

#[test]
fn damaged_pem_is_an_error() {
    let pem = |body: &str, kind: &str| {
        PemSource::Inline(format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"))
    };
    let text = error(|section| section.certificate = pem("AAAA", "CERTIFICATE"));
    assert_parts(&text, &["tls_server_config.cert: certificate 1 is invalid"]);
    let text = error(|section| section.certificate = pem("%", "CERTIFICATE"));
    assert_parts(&text, &["invalid PEM: the contents of a section are not base64"]);
    for (text, defect) in [
        ("-----BEGIN PRIVATE KEY-----secret", "begin with a complete line"),
        ("-----BEGIN PRIVATE KEY-----\nsecret", "end with a line of its own"),
        ("-----BEGIN PRIVATE KEY----- secret -----END PRIVATE KEY-----", "end with a line of its"),
    ] {
        let text = error(|section| section.key = PemSource::Inline(text.to_owned()));
        assert_parts(&text, &["tls_server_config.key: invalid PEM", defect]);
        // The text as such, and as a list of bytes.
        assert!(!text.contains("secret") && !text.contains("115"), "{text}");
    }
    let text = error(|section| section.key = pem("AAAA", "PRIVATE KEY"));
    assert_parts(&text, &["tls_server_config.key: invalid private key"]);
    let text = error(|section| section.client_ca = Some(pem("AAAA", "CERTIFICATE")));
    assert_parts(&text, &["tls_server_config.client_ca: certificate 1 cannot be used as a CA"]);
}

#[test]
fn missing_special_or_large_file_is_an_error() {
    let file = |path: &str| PemSource::File(PathBuf::from(path));
    let text = error(|section| section.certificate = file("/nowhere/server.crt"));
    assert_parts(&text, &["cert_file /nowhere/server.crt", "No such file"]);
    let text = error(|section| section.key = file("/dev/zero"));
    assert_parts(&text, &["key_file /dev/zero", "not a regular file"]);
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large");
    std::fs::write(&large, vec![b'\n'; (1 << 20) + 1]).unwrap();
    let text = error(|section| section.client_ca = Some(PemSource::File(large)));
    assert_parts(&text, &["client_ca_file", "larger than 1048576 bytes"]);
}
