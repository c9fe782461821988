//! Certificates, CAs, rotated files.

use super::server::{Server, ok};
use super::{client, fetch};
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::{
    ClientIdentity, MaxTlsVersion, MinTlsVersion, TlsClientConfig,
};
use crate::http_client::client::HttpClient;
use crate::model::secret::Secret;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// CA of a test.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// Certificate and key in PEM.
pub(super) struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Issues a certificate with these names.
    pub(super) fn issue(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// Issues a certificate of a server on the loopback interface.
    pub(super) fn server(&self) -> Identity {
        self.issue(&["127.0.0.1", "localhost"])
    }

    pub(super) fn inline(&self) -> Source<String> {
        Source::Inline(self.pem.clone())
    }
}

/// Returns the server side of handshakes.
pub(super) fn acceptor(identity: &Identity, protocols: &[&str]) -> TlsAcceptor {
    let mut config =
        server_config(identity, None, &[&rustls::version::TLS13, &rustls::version::TLS12]);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

fn server_config(
    identity: &Identity,
    clients: Option<&Authority>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    builder.with_single_cert(chain, key).unwrap()
}

async fn tls_server(identity: &Identity, clients: Option<&Authority>) -> Server {
    let config =
        server_config(identity, clients, &[&rustls::version::TLS13, &rustls::version::TLS12]);
    Server::start_with(Some(TlsAcceptor::from(Arc::new(config))), |_| ok("tls")).await
}

fn https(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/", server.port)
}

fn config(tls: TlsClientConfig) -> HttpClientConfig {
    HttpClientConfig { tls, ..HttpClientConfig::default() }
}

fn trusting(ca: &Authority) -> TlsClientConfig {
    TlsClientConfig { ca: Some(ca.inline()), ..TlsClientConfig::default() }
}

#[tokio::test]
async fn server_is_verified() {
    let (ca, other) = (Authority::new(), Authority::new());
    let server = tls_server(&ca.issue(&["127.0.0.1", "example.test"]), None).await;
    let insecure = TlsClientConfig { insecure_skip_verify: true, ..trusting(&other) };
    let named =
        |name: &str| TlsClientConfig { server_name: Some(name.to_owned()), ..trusting(&ca) };
    let unknown =
        "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    for (settings, host, expected) in [
        (trusting(&ca), "127.0.0.1", "200 tls"),
        (trusting(&other), "127.0.0.1", unknown),
        (TlsClientConfig::default(), "127.0.0.1", unknown),
        (insecure, "localhost", "200 tls"),
        (named("example.test"), "localhost", "200 tls"),
        (trusting(&ca), "localhost", "x509"),
        (named("else.test"), "127.0.0.1", "x509"),
    ] {
        let result = fetch(&client(&config(settings.clone())), &https(&server, host)).await;
        assert!(result.contains(expected), "{settings:?} {host}: {result}");
        assert_eq!(result.starts_with("200"), expected == "200 tls");
    }
}

#[tokio::test]
async fn self_signed_ca_certificate_of_a_server_is_accepted() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    let identity = Identity { certificate: certificate.clone(), key: key.serialize_pem() };
    let server = tls_server(&identity, None).await;
    let settings = TlsClientConfig {
        ca: Some(Source::Inline(certificate.clone())),
        ..TlsClientConfig::default()
    };
    assert_eq!(
        fetch(&client(&config(settings.clone())), &https(&server, "127.0.0.1")).await,
        "200 tls"
    );
    let other = fetch(&client(&config(settings)), &https(&server, "localhost")).await;
    assert!(other.contains("tls: failed to verify certificate: x509: "), "{other}");

    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let expired = params.self_signed(&key).unwrap().pem();
    let identity = Identity { certificate: expired.clone(), key: key.serialize_pem() };
    let server = tls_server(&identity, None).await;
    let settings =
        TlsClientConfig { ca: Some(Source::Inline(expired)), ..TlsClientConfig::default() };
    let error = fetch(&client(&config(settings)), &https(&server, "127.0.0.1")).await;
    assert!(error.ends_with("certificate has expired or is not yet valid"), "{error}");
}

#[tokio::test]
async fn versions_are_limited() {
    let ca = Authority::new();
    let identity = ca.server();
    for (version, min, max, is_ok) in [
        (&rustls::version::TLS12, None, None, true),
        (&rustls::version::TLS13, None, None, true),
        (&rustls::version::TLS12, Some(MinTlsVersion::Tls10), None, true),
        (&rustls::version::TLS12, Some(MinTlsVersion::Tls13), None, false),
        (&rustls::version::TLS13, Some(MinTlsVersion::Tls12), Some(MaxTlsVersion::Tls12), false),
        (&rustls::version::TLS12, None, Some(MaxTlsVersion::Tls12), true),
    ] {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&identity, None, &[version])));
        let server = Server::start_with(Some(acceptor), |_| ok("tls")).await;
        let settings = TlsClientConfig { min_version: min, max_version: max, ..trusting(&ca) };
        let result = fetch(&client(&config(settings)), &https(&server, "127.0.0.1")).await;
        assert_eq!(result == "200 tls", is_ok, "{version:?} {min:?} {max:?}: {result}");
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

#[tokio::test]
async fn rotated_ca_is_used_even_with_kept_connections() {
    let (ca, other) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "ca", &ca.pem);
    let settings =
        TlsClientConfig { ca: Some(Source::File(dir.path().join("ca"))), ..Default::default() };
    let client = client(&config(settings));
    let server = tls_server(&ca.server(), None).await;
    let page = https(&server, "127.0.0.1");
    assert_eq!(fetch(&client, &page).await, "200 tls");
    assert_eq!(fetch(&client, &page).await, "200 tls");
    assert_eq!((server.connections(), client.connections()), (vec![0, 0], 1));
    // The kept connection is not used: its server is no longer trusted.
    write(dir.path(), "ca", &other.pem);
    let error = fetch(&client, &page).await;
    assert!(error.ends_with("certificate signed by unknown authority"), "{error}");
    assert_eq!(client.connections(), 0);
    write(dir.path(), "ca", "no certificate");
    let error = fetch(&client, &page).await;
    let path = dir.path().join("ca");
    let expected = format!(
        "Get \"{page}\": unable to use specified CA cert file {}: no valid certificate",
        path.display()
    );
    assert_eq!(error, expected);
    std::fs::remove_file(&path).unwrap();
    let expected = format!(
        "Get \"{page}\": unable to read CA cert: unable to read file {}: no such file or directory",
        path.display()
    );
    assert_eq!(fetch(&client, &page).await, expected);
    write(dir.path(), "ca", &format!("{}{}", other.pem, ca.pem));
    assert_eq!(fetch(&client, &page).await, "200 tls");
    assert_eq!(server.connections().last(), server.connections().iter().max());
}

#[tokio::test]
async fn rotated_client_certificate_is_used_by_the_next_request() {
    let (ca, clients, new_clients) = (Authority::new(), Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let install = |identity: &Identity| {
        write(dir.path(), "cert", &identity.certificate);
        write(dir.path(), "key", &identity.key);
    };
    install(&clients.issue(&["client"]));
    let identity = ClientIdentity {
        certificate: Source::File(dir.path().join("cert")),
        key: Source::File(dir.path().join("key")),
    };
    let settings = TlsClientConfig { identity: Some(identity), ..trusting(&ca) };
    let client = client(&config(settings));
    let old = tls_server(&ca.server(), Some(&clients)).await;
    let new = tls_server(&ca.server(), Some(&new_clients)).await;
    assert_eq!(fetch(&client, &https(&old, "127.0.0.1")).await, "200 tls");
    assert!(!fetch(&client, &https(&new, "127.0.0.1")).await.starts_with("200"));
    install(&new_clients.issue(&["client"]));
    assert!(!fetch(&client, &https(&old, "127.0.0.1")).await.starts_with("200"));
    assert_eq!(fetch(&client, &https(&new, "127.0.0.1")).await, "200 tls");
    // Between the two files of a rotation, the pair does not match.
    write(dir.path(), "key", &clients.issue(&["client"]).key);
    let error = fetch(&client, &https(&new, "127.0.0.1")).await;
    assert!(error.contains("unable to use specified client cert (file "), "{error}");
}

#[test]
fn client_with_unusable_tls_is_an_error() {
    let ca = Authority::new();
    let (good, other) = (ca.issue(&["a"]), ca.issue(&["b"]));
    let inline = |text: &str| Source::Inline(text.to_owned());
    let pair = |certificate: &str, key: &str| TlsClientConfig {
        identity: Some(ClientIdentity {
            certificate: inline(certificate),
            key: Source::Inline(Secret::new(key)),
        }),
        ..TlsClientConfig::default()
    };
    let ca_of = |source| TlsClientConfig { ca: Some(source), ..TlsClientConfig::default() };
    let nonsense = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
    for (settings, expected) in [
        (
            ca_of(Source::File("/missing/ca".into())),
            "tls_config: unable to read CA cert: unable to read file /missing/ca: no such file or directory",
        ),
        (
            ca_of(inline(nonsense)),
            "tls_config: unable to use specified CA cert inline: no valid certificate",
        ),
        (
            pair(nonsense, &good.key),
            "tls_config: unable to use specified client cert (inline): no valid certificate",
        ),
        (
            pair(&good.certificate, "hidden"),
            "tls_config: unable to use specified client key (inline): no valid private key",
        ),
        (
            pair(&good.certificate, &other.key),
            "tls_config: unable to use specified client cert (inline) & key (inline): ",
        ),
        (
            TlsClientConfig { server_name: Some("a b".to_owned()), ..Default::default() },
            "tls_config: invalid server_name \"a b\"",
        ),
    ] {
        let error = HttpClient::new(&config(settings), "", &|_| None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("hidden") && !error.contains("nonsense"), "{error}");
    }
    assert!(HttpClient::new(&config(pair(&good.certificate, &good.key)), "", &|_| None).is_ok());
}
