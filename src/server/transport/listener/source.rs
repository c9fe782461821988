//! Sources of connections: a TCP socket, or anything else that accepts streams.

use crate::server::transport::client_cert::ClientCertSlot;
use crate::server::transport::client_limit::PeerAddress;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Accepted connection.
#[derive(Debug)]
pub struct Accepted<S> {
    /// Bytes of the connection.
    pub stream: S,
    /// Address of the client.
    pub peer: PeerAddress,
    /// Client certificate, which a handshake in the stream records.
    pub client_cert: ClientCertSlot,
}

impl<S> Accepted<S> {
    /// Returns a connection without a client certificate.
    pub fn plain(stream: S, peer: PeerAddress) -> Self {
        Self { stream, peer, client_cert: ClientCertSlot::default() }
    }
}

/// Source of connections.
pub trait ConnectionSource: Send + 'static {
    /// Stream of a connection. A handshake belongs into its first read, which runs in the task of
    /// the connection and under its timeouts; `accept` would delay all other clients.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection. Dropping the future loses no connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<Self::Stream>>> + Send;
}

impl ConnectionSource for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<Accepted<TcpStream>> {
        let (stream, peer) = Self::accept(self).await?;
        // Responses are written in full, so Nagle's algorithm only delays them. Without the option
        // they are slower, which is no reason to fail.
        let _ = stream.set_nodelay(true);
        // A dual-stack socket reports IPv4 addresses as IPv4-mapped IPv6 addresses.
        Ok(Accepted::plain(stream, PeerAddress(peer.ip().to_canonical())))
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionSource;
    use crate::server::transport::client_limit::PeerAddress;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn ipv4_client_of_dual_stack_socket_has_ipv4_address() {
        let mut socket = TcpListener::bind("[::]:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let _client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let accepted = ConnectionSource::accept(&mut socket).await.unwrap();
        assert_eq!(accepted.peer, PeerAddress([127, 0, 0, 1].into()));
    }
}
