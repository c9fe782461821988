//! `narthex serve`: bind, open, listen, replay, say that it is ready, wait for the signal, drain, close.
//!
//! The sockets are bound before anything else is touched, so that a port in use costs nothing. The listener answers
//! health and progress while the log is replayed on a blocking thread.

use crate::config::flags::{ServeFlags, WebFlags};
use crate::metrics::process::Process;
use crate::metrics::registry::Registry;
use crate::server::context::Context;
use crate::server::http_metrics::HttpMetrics;
use crate::server::lifecycle::{Lifecycle, Phase};
use crate::server::listener::{ConnectionLimits, ConnectionMetrics, Listener};
use crate::server::router;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("can't listen on --web.listen-address={address}: {source}")]
    Bind {
        /// As it was given.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The runtime or the signal handlers could not be set up.
    #[error("can't start: {0}")]
    System(#[from] std::io::Error),
    /// The configuration file can't be used.
    #[error(transparent)]
    Config(#[from] crate::config::file::FileError),
}

/// Runs the server until it is told to stop; the exit code is 0 only after an orderly end.
pub fn run(flags: &ServeFlags, meaningless: &[&str]) -> ExitCode {
    crate::app::logging::start(&flags.log);
    if !meaningless.is_empty() {
        tracing::warn!(flags = meaningless.join(","), "flags of Prometheus that have no meaning here are ignored");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&StartError::System(error)),
    };
    match runtime.block_on(serve(flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &StartError) -> ExitCode {
    tracing::error!(%error, "narthex can't run");
    ExitCode::FAILURE
}

async fn serve(flags: &ServeFlags) -> Result<(), StartError> {
    if let Some(path) = &flags.config_file {
        crate::config::file::load(path)?;
    }
    let sockets = bind(&flags.web).await?;
    let mut registry = Registry::new();
    registry.collector(Process);
    let http_metrics = HttpMetrics::register(&mut registry);
    let metrics = ConnectionMetrics::register(&mut registry);
    let context = Arc::new(Context { lifecycle: Lifecycle::starting(), http_metrics, registry });
    let listener = Listener {
        sockets,
        router: router::routes(context.clone()),
        limits: ConnectionLimits::from(&flags.web),
        metrics,
    };
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(listener.run(stopped));
    context.lifecycle.advance(Phase::Ready);
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    context.lifecycle.advance(Phase::Draining);
    let _ = stop.send(true);
    let _ = running.await;
    Ok(())
}

/// Binds every address that was asked for.
async fn bind(flags: &WebFlags) -> Result<Vec<TcpListener>, StartError> {
    let mut sockets = Vec::new();
    for address in &flags.listen_address {
        let socket = TcpListener::bind((address.host.as_str(), address.port))
            .await
            .map_err(|source| StartError::Bind { address: address.to_string(), source })?;
        sockets.push(socket);
    }
    Ok(sockets)
}
