//! Connections to servers: TCP or a unix socket, proxies, TLS.
//!
//! | module | contents |
//! |---|---|
//! | [`error`] | errors of connecting |
//! | `http_proxy` | `CONNECT` requests |
//! | `route` | how a server is reached |
//! | `socks5` | SOCKS5 proxies |
//! | `stream` | connected streams |
//! | `tcp` | names, addresses and TCP connections |
//! | `tls` | TLS handshakes |

pub mod error;
mod http_proxy;
pub(super) mod route;
mod socks5;
pub(super) mod stream;
mod tcp;
mod tls;

use crate::http_client::dial::error::ConnectError;
use crate::http_client::dial::route::{Endpoint, Route};
use crate::http_client::dial::stream::BoxedStream;
use crate::http_client::dial::tls::TlsDialer;
use crate::http_client::proxy::{ProxyKind, ProxyServer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::net::UnixStream;

/// Connector of a transport.
pub(super) struct Dialer {
    /// For servers; it may offer HTTP/2.
    server: TlsDialer,
    /// For HTTPS proxies; it offers no other protocol than HTTP/1.1.
    proxy: TlsDialer,
}

/// Connected stream.
pub(super) struct Dialed {
    pub(super) stream: BoxedStream,
    /// Whether the server has selected HTTP/2.
    pub(super) is_http2: bool,
}

impl Dialer {
    /// Creates a connector. `server_name` replaces the host of the URL as the name that the
    /// certificates of servers and proxies must have.
    pub(super) fn new(
        config: ClientConfig,
        server_name: Option<ServerName<'static>>,
        offers_http2: bool,
    ) -> Self {
        let mut server = config.clone();
        if offers_http2 {
            server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        let tls = |config| TlsDialer::new(Arc::new(config), server_name.clone());
        Self { server: tls(server), proxy: tls(config) }
    }

    /// Connects to a server.
    pub(super) async fn connect(&self, route: &Route) -> Result<Dialed, ConnectError> {
        let (stream, endpoint): (BoxedStream, &Endpoint) = match route {
            Route::Direct(endpoint) => {
                (Box::new(tcp::connect(&endpoint.host, endpoint.port).await?), endpoint)
            }
            Route::Unix { path, endpoint } => {
                let error = |source| ConnectError::Unix { path: path.clone(), source };
                (Box::new(UnixStream::connect(path).await.map_err(error)?), endpoint)
            }
            Route::Forward(proxy) => {
                let stream = self.connect_proxy(&proxy.0).await?;
                return Ok(Dialed { stream, is_http2: false });
            }
            Route::Tunnel { proxy, endpoint } => {
                let proxy = &proxy.0;
                let stream = self.connect_proxy(proxy).await?;
                let tunnel = if proxy.kind == ProxyKind::Socks5 {
                    socks5::open(stream, proxy, endpoint).await
                } else {
                    http_proxy::open(stream, proxy, endpoint).await
                };
                (tunnel.map_err(|error| error.of_proxy(&proxy.url))?, endpoint)
            }
        };
        if !endpoint.is_https {
            return Ok(Dialed { stream, is_http2: false });
        }
        let stream = self.server.handshake(stream, &endpoint.host).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialed { stream: Box::new(stream), is_http2 })
    }

    async fn connect_proxy(&self, proxy: &ProxyServer) -> Result<BoxedStream, ConnectError> {
        let connect = async {
            let stream = tcp::connect(proxy.url.host(), proxy.url.port_or_default()).await?;
            if proxy.kind != ProxyKind::Https {
                return Ok(Box::new(stream) as BoxedStream);
            }
            let stream = self.proxy.handshake(Box::new(stream), proxy.url.host()).await?;
            Ok(Box::new(stream) as BoxedStream)
        };
        connect.await.map_err(|error: ConnectError| error.of_proxy(&proxy.url))
    }
}
