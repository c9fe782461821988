//! TLS of a listener: the current context, streams of connections.

use crate::metrics::registry::Registry;
use crate::server::transport::client_cert::ClientCertSlot;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::tls::context::{CurrentContext, TlsContext};
use crate::server::transport::tls::failure::HandshakeFailures;
use crate::server::transport::tls::stream::TlsStream;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// TLS of a listener.
#[derive(Debug)]
pub(crate) struct TlsServer {
    context: CurrentContext,
    failures: Arc<HandshakeFailures>,
}

impl TlsServer {
    /// Creates the server and registers its metrics.
    pub(crate) fn register(context: TlsContext, registry: &mut Registry) -> Arc<Self> {
        let failures = Arc::new(HandshakeFailures::register(registry));
        let server = Arc::new(Self { context: CurrentContext::new(context), failures });
        let served = server.context.clone();
        registry.gauge_fn(
            "narthex_web_tls_certificate_expiry_timestamp_seconds",
            "End of validity of the served TLS certificate, as a Unix timestamp.",
            move || served.get().certificate_expiry as f64,
        );
        server
    }

    /// Uses `context` for handshakes that start later.
    pub(crate) fn replace(&self, context: TlsContext) {
        self.context.replace(context);
    }

    /// Returns the stream of a new connection. Its first read is the handshake.
    pub(crate) fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        peer: PeerAddress,
        client_cert: ClientCertSlot,
    ) -> TlsStream<S> {
        TlsStream::new(self.context.clone(), Arc::clone(&self.failures), stream, peer, client_cert)
    }
}
