//! Accept loop: accepts connections, limits their number and drains them at shutdown.
//!
//! The caller owns the sockets and the stop signal. Each connection runs in its own task. A
//! connection beyond the limit is still accepted for a few seconds, so that its client gets a 503.
//!
//! | file       | content                                        |
//! |------------|------------------------------------------------|
//! | [`source`] | sources of connections: TCP, or another stream |

pub mod source;

use crate::config::flags::web::WebFlags;
use crate::metrics::registry::{Counter, Gauge, Registry};
use crate::server::transport::connection::{ConnectionTimeouts, IdleTimeoutStream};
use crate::server::transport::connection_service::{ConnectionService, ConnectionState};
use crate::server::transport::lingering::{Lingering, LingeringMetrics, UnreadStream};
use crate::server::transport::listener::source::{Accepted, ConnectionSource};
use crate::server::transport::response_headers::ResponseHeaders;
use crate::server::transport::response_start::{HeldStream, HeldWrites, StreamExecutor};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Maximum time for the head of an HTTP/1.1 request, from its first byte, and until the first
/// request of an HTTP/2 connection; never more than the idle timeout.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of the head of a request, bytes.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// HTTP/2 flow-control windows per stream and per connection, bytes. This memory is not part of the
/// byte budget; the number of connections limits it.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// Time without frames after which an HTTP/2 connection is pinged, so that a client that is gone
/// loses its streams. The responses to pings do not keep a connection without streams open.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum number of connections beyond the limit that get a response, and the time for each.
const MAX_SHED: usize = 64;
const SHED_TIMEOUT: Duration = Duration::from_secs(5);
/// Limits of the management listener, whose requests are short: connections, time without traffic,
/// time to drain.
const MANAGEMENT_CONNECTIONS: usize = 64;
const MANAGEMENT_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MANAGEMENT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after a failed accept (for example without file descriptors), so that the loop cannot
/// spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of the listener and its connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Maximum number of connections.
    pub max_connections: usize,
    /// Time without traffic, or over HTTP/2 without a stream, after which a connection is closed.
    pub idle_timeout: Duration,
    /// Maximum time for the head of an HTTP/1.1 request, from its first byte, and until the first
    /// request of an HTTP/2 connection.
    pub head_timeout: Duration,
    /// Maximum time to discard what a client still sends after its response.
    pub lingering_timeout: Duration,
    /// Maximum number of concurrent streams per HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Maximum time to finish requests in flight at shutdown.
    pub drain_timeout: Duration,
}

impl From<&WebFlags> for ConnectionLimits {
    fn from(flags: &WebFlags) -> Self {
        Self {
            max_connections: usize::try_from(flags.max_connections).unwrap_or(usize::MAX),
            idle_timeout: flags.read_timeout,
            head_timeout: HEAD_TIMEOUT.min(flags.read_timeout),
            lingering_timeout: flags.lingering_timeout,
            max_concurrent_streams: u32::try_from(flags.max_concurrent_streams).unwrap_or(u32::MAX),
            drain_timeout: flags.shutdown_timeout,
        }
    }
}

impl ConnectionLimits {
    /// Returns the limits of the management listener. They are separate, so that a flood of the
    /// other listeners does not fail its probes.
    #[must_use]
    pub fn management(flags: &WebFlags) -> Self {
        let idle_timeout = MANAGEMENT_IDLE_TIMEOUT.min(flags.read_timeout);
        Self {
            max_connections: MANAGEMENT_CONNECTIONS,
            idle_timeout,
            head_timeout: idle_timeout,
            drain_timeout: MANAGEMENT_DRAIN_TIMEOUT,
            ..Self::from(flags)
        }
    }
}

/// Versions of HTTP that a listener serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpVersions {
    /// HTTP/1.1 and HTTP/2.
    #[default]
    All,
    /// HTTP/1.1 only, so no gRPC.
    Http1,
}

/// Metrics of connections, named as in the library that Prometheus uses.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    accepted: Counter,
    closed: Counter,
    shed: Counter,
    open: Gauge,
    lingering: LingeringMetrics,
}

impl ConnectionMetrics {
    /// Registers the metrics of connections.
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            accepted: registry.counter(
                "net_conntrack_listener_conn_accepted_total",
                "Connections accepted by the listener.",
            ),
            closed: registry.counter(
                "net_conntrack_listener_conn_closed_total",
                "Accepted connections that were closed.",
            ),
            shed: registry.counter(
                "narthex_http_connections_shed_total",
                "Connections beyond --web.max-connections, which got a 503 or were dropped.",
            ),
            open: registry.gauge("narthex_http_connections", "Open connections."),
            lingering: LingeringMetrics::register(registry),
        }
    }

    /// Registers the metrics of the management listener, which the other metrics do not include.
    pub fn register_management(registry: &mut Registry) -> Self {
        Self {
            accepted: Counter::default(),
            closed: Counter::default(),
            shed: registry.counter(
                "narthex_management_connections_shed_total",
                "Connections of the management listener beyond its limit.",
            ),
            open: registry.gauge(
                "narthex_management_connections",
                "Open connections of the management listener.",
            ),
            lingering: LingeringMetrics::default(),
        }
    }
}

/// Server that is ready to run.
#[derive(Debug)]
pub struct Listener<L = TcpListener> {
    /// Bound sockets to accept from.
    pub sockets: Vec<L>,
    /// Routes of all requests.
    pub router: Router,
    /// Responses to the requests of connections beyond the limit.
    pub overload_router: Router,
    /// Versions of HTTP to serve.
    pub versions: HttpVersions,
    /// Configured headers of every response.
    pub headers: ResponseHeaders,
    /// Limits of the connections.
    pub limits: ConnectionLimits,
    /// Metrics of the connections.
    pub metrics: ConnectionMetrics,
}

/// Outcome of draining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainOutcome {
    /// All requests were finished.
    Complete,
    /// Some requests were aborted after the drain timeout.
    TimedOut,
}

impl<L: ConnectionSource> Listener<L> {
    /// Serves until the value of `stop` becomes `true`, then finishes the requests in flight.
    pub async fn run(self, stop: watch::Receiver<bool>) -> DrainOutcome {
        let graceful = Arc::new(GracefulShutdown::new());
        let shared = Arc::new(Acceptor {
            slots: Arc::new(Semaphore::new(self.limits.max_connections)),
            shed_permits: Arc::new(Semaphore::new(MAX_SHED)),
            router: self.router,
            overload_router: self.overload_router,
            versions: self.versions,
            headers: self.headers,
            limits: self.limits.clone(),
            lingering: Arc::new(Lingering::new(
                self.limits.lingering_timeout,
                self.metrics.lingering.clone(),
            )),
            metrics: self.metrics,
        });
        let mut loops = JoinSet::new();
        for socket in self.sockets {
            loops.spawn(accept_loop(socket, shared.clone(), graceful.clone(), stop.clone()));
        }
        // Each loop ends on `stop` and closes its socket.
        while loops.join_next().await.is_some() {}
        // The loops dropped their clones, so this is the last one.
        let Some(graceful) = Arc::into_inner(graceful) else {
            return DrainOutcome::TimedOut;
        };
        match tokio::time::timeout(self.limits.drain_timeout, graceful.shutdown()).await {
            Ok(()) => DrainOutcome::Complete,
            Err(_) => DrainOutcome::TimedOut,
        }
    }
}

/// State that all accept loops share.
#[derive(Debug)]
struct Acceptor {
    slots: Arc<Semaphore>,
    shed_permits: Arc<Semaphore>,
    router: Router,
    overload_router: Router,
    versions: HttpVersions,
    headers: ResponseHeaders,
    limits: ConnectionLimits,
    lingering: Arc<Lingering>,
    metrics: ConnectionMetrics,
}

/// Part of a connection in the drain.
#[derive(Debug)]
struct Drain {
    /// Ends the connection gracefully at shutdown.
    watcher: Watcher,
    /// Held until the connection has lingered; the drain waits for it.
    held: Watcher,
}

impl Drain {
    fn new(graceful: &GracefulShutdown) -> Self {
        Self { watcher: graceful.watcher(), held: graceful.watcher() }
    }
}

async fn accept_loop(
    mut socket: impl ConnectionSource,
    shared: Arc<Acceptor>,
    graceful: Arc<GracefulShutdown>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok(connection) => shared.clone().spawn_connection(connection, Drain::new(&graceful)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Acceptor {
    /// Spawns the task of a connection.
    fn spawn_connection<S>(self: Arc<Self>, connection: Accepted<S>, drain: Drain)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.metrics.accepted.inc();
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            tokio::spawn(async move {
                self.metrics.open.inc();
                self.serve(connection, self.router.clone(), drain).await;
                self.metrics.open.dec();
                self.metrics.closed.inc();
                drop(slot);
            });
            return;
        }
        self.metrics.shed.inc();
        let Ok(slot) = self.shed_permits.clone().try_acquire_owned() else {
            self.metrics.closed.inc();
            return;
        };
        tokio::spawn(async move {
            let _ = tokio::time::timeout(
                SHED_TIMEOUT,
                self.serve(connection, self.overload_router.clone(), drain),
            )
            .await;
            self.metrics.closed.inc();
            drop(slot);
        });
    }

    /// Runs a connection to its end, and lingers. Its errors are usually the client's, so they are
    /// logged at DEBUG.
    async fn serve<S>(&self, connection: Accepted<S>, router: Router, drain: Drain)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Accepted { stream, peer, client_cert } = connection;
        let state = ConnectionState::default();
        let writes = state.writes.clone();
        let timeouts =
            ConnectionTimeouts { idle: self.limits.idle_timeout, head: self.limits.head_timeout };
        let unread = UnreadStream::default();
        let stream =
            IdleTimeoutStream::new(stream, timeouts, state.progress.clone(), Arc::clone(&unread));
        let stream = HeldStream::new(stream, writes.clone());
        let (lingering, headers) = (self.lingering.clone(), self.headers.clone());
        let service = ConnectionService::new(router, state, lingering, peer, client_cert, headers);
        let builder = self.builder(writes);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let served = drain.watcher.watch(connection).await;
        if let Err(error) = served {
            tracing::debug!(error, "connection failed");
        }
        // The buffers of the connection are dropped by now.
        let unread = unread.lock().take();
        if let Some(stream) = unread {
            self.lingering.discard_stream(stream).await;
        }
        drop(drain.held);
    }

    /// Returns the settings of a connection with these writes.
    fn builder(&self, writes: Arc<HeldWrites>) -> Builder<StreamExecutor> {
        let mut builder = Builder::new(StreamExecutor::new(writes));
        builder
            .http1()
            .timer(TokioTimer::new())
            // hyper would start this timeout while the connection waits for the next request.
            // [`IdleTimeoutStream`] has both timeouts.
            .header_read_timeout(None)
            .max_buf_size(MAX_HEADER_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.max_concurrent_streams)
            .max_header_list_size(MAX_HEADER_BYTES as u32)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        match self.versions {
            HttpVersions::All => builder,
            HttpVersions::Http1 => builder.http1_only(),
        }
    }
}

#[cfg(test)]
mod tests;
