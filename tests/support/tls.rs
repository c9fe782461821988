//! HTTP over TLS with rustls's client, and the certificates of `tests/golden/webconfig`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::markdown::repository_path;

/// Timeout of a hanging test.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the path of a certificate or key, such as `server.crt`.
pub(crate) fn cert_path(name: &str) -> PathBuf {
    repository_path("tests/golden/webconfig/files/certs").join(name)
}

/// Reads the first certificate of a golden file.
pub(crate) fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(cert_path(name)).expect("a golden certificate")
}

/// Client that trusts the golden CA.
#[derive(Clone)]
pub(crate) struct TlsClient {
    port: u16,
    config: Arc<ClientConfig>,
    /// Header lines of every request.
    headers: String,
}

impl TlsClient {
    /// Creates a client of a server on the loopback interface. `certificate` is the name of its own
    /// certificate.
    pub(crate) fn new(port: u16, certificate_name: Option<&str>) -> TlsClient {
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca.crt")).expect("a CA");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match certificate_name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(cert_path(&format!("{name}.key")));
                let chain = vec![certificate(&format!("{name}.crt"))];
                builder.with_client_auth_cert(chain, key.expect("a key")).expect("a matching key")
            }
        };
        TlsClient { port, config: Arc::new(config), headers: String::new() }
    }

    /// Returns a client that sends these credentials, in base64.
    pub(crate) fn with_credentials(&self, credentials: &str) -> TlsClient {
        TlsClient { headers: format!("authorization: Basic {credentials}\r\n"), ..self.clone() }
    }

    /// Opens a connection. The handshake is part of its first request.
    pub(crate) fn connect(&self) -> io::Result<TlsConnection> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        let connection =
            ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let stream = BufReader::new(StreamOwned::new(connection, stream));
        Ok(TlsConnection { stream, headers: self.headers.clone() })
    }

    /// Sends a GET request on a connection of its own. Returns the status.
    pub(crate) fn get(&self, path: &str) -> io::Result<u16> {
        self.connect()?.get(path)
    }
}

/// Connection that stays open between requests.
pub(crate) struct TlsConnection {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    headers: String,
}

impl TlsConnection {
    /// Sends a GET request and reads the response. Returns the status.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<u16> {
        self.send(&format!("GET {path} HTTP/1.1\r\n"), b"")
    }

    /// Sends a POST request and reads the response. Returns the status.
    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> io::Result<u16> {
        let length = body.len();
        self.send(&format!("POST {path} HTTP/1.1\r\n{headers}content-length: {length}\r\n"), body)
    }

    /// Returns the server's certificate, after the first request.
    pub(crate) fn server_certificate(&self) -> CertificateDer<'static> {
        let chain = self.stream.get_ref().conn.peer_certificates().expect("a handshake");
        chain[0].clone()
    }

    /// Sends `head`, the headers of every request and `body`.
    fn send(&mut self, head: &str, body: &[u8]) -> io::Result<u16> {
        let head = format!("{head}host: localhost\r\n{}\r\n", self.headers);
        let stream = self.stream.get_mut();
        stream.write_all(&[head.as_bytes(), body].concat())?;
        stream.flush()?;
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            match (line.split_once(": "), status) {
                (_, None) => status = line.split(' ').nth(1).and_then(|status| status.parse().ok()),
                (Some(("content-length", value)), _) => length = value.parse().unwrap_or(0),
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        self.stream.read_exact(&mut vec![0; length])?;
        status.ok_or_else(|| io::Error::other("no status"))
    }
}
