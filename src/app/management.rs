//! The management listener, which serves from before the replay until the database is closed.

use crate::app::config::ManagementConfig;
use crate::app::error::ServeError;
use crate::app::sockets;
use crate::server::router;
use crate::server::router::management;
use crate::server::state::SharedState;
use crate::server::transport::listener::{ConnectionMetrics, DrainOutcome, HttpVersions, Listener};
use crate::server::transport::response_headers::ResponseHeaders;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bound socket of the management listener.
#[derive(Debug)]
pub(crate) struct ManagementSocket {
    /// Bound address, with its port.
    pub(crate) address: SocketAddr,
    socket: TcpListener,
    config: ManagementConfig,
}

impl ManagementSocket {
    /// Binds the address of the flag.
    pub(crate) async fn bind(config: ManagementConfig) -> Result<Self, ServeError> {
        let address = std::slice::from_ref(&config.address);
        let mut sockets = sockets::bind_all("web.management-listen-address", address).await?;
        let socket = sockets.swap_remove(0);
        Ok(Self { address: socket.local_addr()?, socket, config })
    }

    /// Serves until [`ManagementTask::stop`]. Needs a tokio runtime.
    pub(crate) fn serve(self, states: &SharedState, metrics: ConnectionMetrics) -> ManagementTask {
        let listener = Listener {
            sockets: vec![self.socket],
            router: management::routes(states, self.config.metrics),
            overload_router: router::overload_router(),
            versions: HttpVersions::All,
            headers: ResponseHeaders::default(),
            limits: self.config.limits,
            metrics,
        };
        let (stop, stopped) = watch::channel(false);
        ManagementTask { stop, listening: tokio::spawn(listener.run(stopped)) }
    }
}

/// Running management listener.
#[derive(Debug)]
pub(crate) struct ManagementTask {
    stop: watch::Sender<bool>,
    listening: JoinHandle<DrainOutcome>,
}

impl ManagementTask {
    /// Finishes the requests in flight and closes the socket.
    pub(crate) async fn stop(self) {
        // Errors are ignored: the listener has ended already, and a response to a probe that is cut
        // off at the exit is no failure of the shutdown.
        let _ = self.stop.send(true);
        let _ = self.listening.await;
    }
}
