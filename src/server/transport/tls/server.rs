//! The current context, handshakes.

use crate::metrics::registry::Registry;
use crate::server::transport::client_cert::ClientCertSlot;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::tls::context::TlsContext;
use crate::server::transport::tls::failure::HandshakeFailures;
use crate::server::transport::tls::stream::TlsStream;
use parking_lot::RwLock;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// TLS of a listener. The lock is held only to copy or to replace the context.
#[derive(Debug)]
pub(crate) struct TlsServer {
    context: RwLock<TlsContext>,
    failures: Arc<HandshakeFailures>,
}

impl TlsServer {
    /// Creates the server and registers its metrics.
    pub(crate) fn register(context: TlsContext, registry: &mut Registry) -> Arc<Self> {
        let failures = Arc::new(HandshakeFailures::register(registry));
        let server = Arc::new(Self { context: RwLock::new(context), failures });
        let served = Arc::clone(&server);
        registry.gauge_fn(
            "narthex_web_tls_certificate_expiry_timestamp_seconds",
            "End of validity of the served TLS certificate, as a Unix timestamp.",
            move || served.context.read().certificate_expiry as f64,
        );
        server
    }

    /// Uses `context` for later handshakes.
    pub(crate) fn replace(&self, context: TlsContext) {
        *self.context.write() = context;
    }

    /// Returns the stream of a new connection. Its first read is the handshake.
    pub(crate) fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        peer: PeerAddress,
        client_cert: ClientCertSlot,
    ) -> TlsStream<S> {
        let context = self.context.read().clone();
        TlsStream::new(context, Arc::clone(&self.failures), stream, peer, client_cert)
    }
}
