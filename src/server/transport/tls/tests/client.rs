//! TLS client and certificates of the golden directory `webconfig`.

use crate::config::web::contents::{ClientAuthPolicy, PemSource, TlsConfig, TlsVersion};
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use crate::server::transport::client_cert::ClientCertSlot;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::listener::HttpVersions;
use crate::server::transport::tls::context::TlsContext;
use crate::server::transport::tls::server::TlsServer;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) const CA_BUNDLE: &str = "ca.crt";

/// Returns the path of a certificate or key.
pub(super) fn cert_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/webconfig/files/certs").join(name)
}

pub(super) fn cert_file(name: &str) -> PemSource {
    PemSource::File(cert_path(name))
}

/// Returns the section of a server with a policy, whose certificate is `server.crt`.
pub(super) fn section(client_auth: ClientAuthPolicy) -> TlsConfig {
    TlsConfig {
        certificate: cert_file("server.crt"),
        key: cert_file("server.key"),
        client_ca: client_auth.verifies().then(|| cert_file(CA_BUNDLE)),
        client_auth,
        client_allowed_sans: None,
        min_version: TlsVersion::Tls12,
        max_version: TlsVersion::Tls13,
        cipher_suites: Vec::new(),
        curves: Vec::new(),
        prefer_server_cipher_suites: true,
    }
}

pub(super) fn context(section: &TlsConfig) -> TlsContext {
    TlsContext::build(section, HttpVersions::All).unwrap()
}

/// Server that responds to each connection with the bytes that it receives.
pub(super) struct EchoServer {
    pub(super) server: Arc<TlsServer>,
    registry: Registry,
}

/// Connection of a client that completed its handshake.
pub(super) struct Echo {
    pub(super) stream: TlsStream<DuplexStream>,
    pub(super) client_cert: ClientCertSlot,
}

impl EchoServer {
    pub(super) fn new(section: &TlsConfig) -> Self {
        Self::with_context(context(section))
    }

    pub(super) fn with_context(context: TlsContext) -> Self {
        let mut registry = Registry::new();
        let server = TlsServer::register(context, &mut registry);
        Self { server, registry }
    }

    /// Opens a connection without TLS.
    pub(super) fn connect(&self) -> (DuplexStream, ClientCertSlot) {
        let (client, stream) = tokio::io::duplex(64 << 10);
        let slot = ClientCertSlot::default();
        let peer = PeerAddress([192, 0, 2, 1].into());
        let mut stream = self.server.accept(stream, peer, slot.clone());
        tokio::spawn(async move {
            let mut bytes = [0; 1024];
            loop {
                let read = stream.read(&mut bytes).await?;
                if read == 0 {
                    return stream.shutdown().await;
                }
                stream.write_all(&bytes[..read]).await?;
                stream.flush().await?;
            }
        });
        (client, slot)
    }

    /// Connects with TLS, and waits for an echo: a client of TLS 1.3 learns only then whether the
    /// server accepts its certificate.
    pub(super) async fn echo(&self, client: &Arc<ClientConfig>) -> io::Result<Echo> {
        let (stream, client_cert) = self.connect();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(client.clone()).connect(name, stream).await?;
        stream.write_all(b"ping").await?;
        stream.flush().await?;
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).await?;
        assert_eq!(&echo, b"ping");
        Ok(Echo { stream, client_cert })
    }

    /// Returns the alert that a client receives, or `None` if the server accepts it.
    pub(super) async fn alert(&self, client: &Arc<ClientConfig>) -> Option<AlertDescription> {
        let error = self.echo(client).await.err()?;
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
            _ => panic!("no alert: {error:?}"),
        }
    }

    /// Returns the number of failures with a reason.
    pub(super) fn failures(&self, reason: &str) -> u64 {
        let text = self.registry.encode(ExpositionFormat::Classic);
        let name = format!("narthex_web_tls_handshake_failures_total{{reason=\"{reason}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

/// Returns the configuration of a client with a certificate, `client` for `client.crt`.
pub(super) fn client(certificate: Option<&str>) -> Arc<ClientConfig> {
    client_of_versions(certificate, &[&version::TLS12, &version::TLS13])
}

pub(super) fn client_of_versions(
    certificate: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    Arc::new(client_with(certificate, versions, ring::default_provider()))
}

pub(super) fn client_with(
    certificate: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
    provider: CryptoProvider,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert_path(CA_BUNDLE)).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let file = |kind| cert_path(&format!("{name}.{kind}"));
            let certificate = CertificateDer::from_pem_file(file("crt")).unwrap();
            let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    }
}
