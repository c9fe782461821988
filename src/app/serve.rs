//! Life cycle of `narthex serve`: bind, lock, listen, replay, serve, drain, close.
//!
//! # Ordering
//! 1. Sockets are bound before the data directory is opened: a port in use changes nothing on disk.
//! 2. The listener answers health checks while the WAL is replayed on a blocking thread.
//! 3. The first SIGTERM, SIGINT or `/-/quit` drains requests, then closes the database.
//! 4. The second one ends the process at once. Acknowledged samples are in the WAL.

use crate::app::banner::BannerInfo;
use crate::app::reload::{ApplyConfigError, Reloader};
use crate::app::setup::ServerParts;
use crate::app::{banner, logging, reload, setup, sockets};
use crate::config::file;
use crate::config::flags::web::WebFlags;
use crate::config::flags::{ServeFlags, VERSION};
use crate::config::settings;
use crate::server::grpc::health;
use crate::server::management::lifecycle::Phase;
use crate::server::router;
use crate::server::router::host;
use crate::server::state::SharedState;
use crate::server::transport::listener::{ConnectionLimits, DrainOutcome, Listener};
use crate::tsdb::db::Db;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::recovery::{OpenError, ReplayError};
use crate::tsdb::wal::error::WalError;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};

/// Error of a run that did not shut down cleanly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listen address cannot be bound.
    #[error("cannot listen on --web.listen-address={address}: {source}")]
    Bind {
        /// Value of the flag `--web.listen-address`.
        address: String,
        /// Error of the system call.
        source: std::io::Error,
    },
    /// The runtime or a signal handler cannot be set up, or a thread cannot be spawned.
    #[error("cannot start server: {0}")]
    System(#[from] std::io::Error),
    /// The configuration file is invalid or cannot be applied.
    #[error(transparent)]
    Config(#[from] ApplyConfigError),
    /// The data directory cannot be opened.
    #[error("cannot open --storage.tsdb.path: {0}")]
    Open(#[from] OpenError),
    /// The data directory cannot be replayed.
    #[error("cannot replay --storage.tsdb.path: {0}")]
    Replay(#[from] ReplayError),
    /// A task of the server panicked.
    #[error("a task of the server panicked: {0}")]
    TaskPanicked(#[from] JoinError),
    /// The WAL cannot be written or synced.
    #[error("cannot close database: {0}")]
    Close(#[from] WalError),
    /// A second signal arrived during the shutdown.
    #[error("shutdown interrupted by a second signal")]
    SecondSignal,
}

/// Runs the server until a signal or a request stops it.
///
/// The exit code is 0 only after a clean shutdown. `ignored_flags` are flags of Prometheus without
/// effect; they are logged.
pub fn run(flags: &ServeFlags, ignored_flags: &[&str]) -> ExitCode {
    // Before the first log line: a write beyond a file size limit raises SIGXFSZ.
    let runtime = runtime(flags).and_then(|runtime| {
        let entered = runtime.enter();
        survive_signals()?;
        drop(entered);
        Ok(runtime)
    });
    // Dropped last, so that all log lines are flushed.
    let _logging = match logging::start(&flags.log) {
        Ok(logging) => logging,
        Err(error) => {
            // A failed write is ignored: the exit code reports the error, too.
            let _ = writeln!(std::io::stderr(), "error: cannot start the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    if !ignored_flags.is_empty() {
        let given: Vec<String> = ignored_flags.iter().map(|flag| format!("--{flag}")).collect();
        tracing::warn!(flags = given.join(" "), "ignored flags of Prometheus without effect");
    }
    let served = runtime.map_err(ServeError::System).and_then(|runtime| {
        let served = runtime.block_on(serve(flags));
        // Does not wait for an abandoned replay or for requests that exceed the shutdown timeout.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "narthex failed");
            ExitCode::FAILURE
        }
    }
}

fn runtime(flags: &ServeFlags) -> std::io::Result<Runtime> {
    let threads = setup::blocking_threads(flags);
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(threads).build()
}

/// Handles the signals that do not stop the process, as in Prometheus.
///
/// With a handler for SIGXFSZ, a write beyond a file size limit is an error (EFBIG).
fn survive_signals() -> std::io::Result<()> {
    let file_too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    let kinds = [
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
        file_too_large,
    ];
    // Dropping the stream does not remove the handler.
    kinds.into_iter().try_for_each(|kind| signal(kind).map(drop))
}

async fn serve(flags: &ServeFlags) -> Result<(), ServeError> {
    tracing::info!(version = VERSION, "starting narthex");
    let file = flags
        .config_file
        .as_deref()
        .map(file::load)
        .transpose()
        .map_err(ApplyConfigError::File)?
        .unwrap_or_default();
    let settings = settings::at_start(&flags.storage, &file);
    let hangup = signal(SignalKind::hangup())?;
    let signals = Signals::new()?;
    let sockets = bind(&flags.web).await?;
    let addresses: Vec<SocketAddr> =
        sockets.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let db = Arc::new(Db::open(setup::db_options(&flags.storage, settings))?);
    reload::check(&settings, &db)?;
    let loaded = reload::load_labels(&file)?;
    let ServerParts { orders, reload, context, connections, replay } =
        setup::build(flags, loaded, db.clone());
    let encoding = settings.float_encoding;
    let configuration = context.configuration.clone();
    let reloader = Reloader {
        flags: Arc::new(flags.clone()),
        db: db.clone(),
        metrics: reload,
        configuration,
        startup_encoding: encoding,
    };
    tokio::spawn(reloader.run(orders.reload, hangup));
    let mut stops = StopSignals { signals, quit: orders.stop };
    let (keeper, health) = health::service().await;
    tokio::spawn(keeper.run(context.clone()));
    let router = host::require_host(router::routes(context.clone(), health));
    let listener = Listener {
        sockets,
        router,
        overload_router: router::overload_router(),
        limits: ConnectionLimits::from(&flags.web),
        metrics: connections,
    };
    let (stop, stopped) = watch::channel(false);
    let listening = tokio::spawn(listener.run(stopped));
    tracing::info!(addresses = ?addresses, "listening, replaying WAL");

    let replaying = tokio::task::spawn_blocking({
        let db = db.clone();
        move || db.replay()
    });
    tokio::select! {
        replayed = replaying => {
            replay.observe(&replayed??);
            context.lifecycle.advance(Phase::Ready);
            spawn_maintenance(&db)?;
            print_banner(flags, &addresses, &db);
            stops.next().await;
        }
        () = stops.next() => tracing::warn!("shutdown requested, abandoning replay"),
    }

    tokio::select! {
        ended = shut_down(context, stop, listening) => ended,
        () = stops.next() => Err(ServeError::SecondSignal),
    }
}

/// Starts the maintenance thread, which ends when the database is closed.
fn spawn_maintenance(db: &Arc<Db>) -> std::io::Result<()> {
    let db = db.clone();
    let thread = std::thread::Builder::new().name("maintenance".to_owned());
    thread.spawn(move || db.run_maintenance_loop(now_ms)).map(drop)
}

/// Drains requests and closes the database.
async fn shut_down(
    context: SharedState,
    stop: watch::Sender<bool>,
    listening: JoinHandle<DrainOutcome>,
) -> Result<(), ServeError> {
    tracing::info!("shutting down, draining requests");
    // Before draining: an in-flight admin request must not delay the shutdown.
    context.db.cancel_maintenance();
    context.lifecycle.advance(Phase::Draining);
    // A send error is ignored: the listener has ended already.
    let _ = stop.send(true);
    if listening.await? == DrainOutcome::TimedOut {
        tracing::warn!("shutdown timeout exceeded (--web.shutdown-timeout), aborting requests");
    }
    tokio::task::spawn_blocking(move || context.db.close()).await??;
    tracing::info!("narthex stopped");
    Ok(())
}

/// Prints the banner to standard output: the server is ready.
fn print_banner(flags: &ServeFlags, addresses: &[SocketAddr], db: &Db) {
    let directory =
        std::path::absolute(&flags.storage.path).unwrap_or_else(|_| flags.storage.path.clone());
    let retention = db.settings().retention;
    let retention = if db.retention_is_held() {
        tracing::warn!(
            "default retention is held until a retention is set: data directory has older data"
        );
        banner::describe_held_retention(&retention)
    } else {
        banner::describe_retention(&retention)
    };
    let out_of_order_window_ms = db.settings().out_of_order_window_ms;
    let info = BannerInfo {
        addresses,
        directory: &directory,
        retention: &retention,
        out_of_order_window_ms,
    };
    logging::print(&banner::render(flags, &info));
    tracing::info!("server is ready");
}

/// Binds every address of `--web.listen-address`.
async fn bind(flags: &WebFlags) -> Result<Vec<TcpListener>, ServeError> {
    let mut listeners = Vec::new();
    for address in &flags.listen_address {
        let listener = sockets::bind(address).await;
        listeners.push(
            listener.map_err(|source| ServeError::Bind { address: address.to_string(), source })?,
        );
    }
    Ok(listeners)
}

/// Signals that stop the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Sources of a stop: signals and `/-/quit`.
struct StopSignals {
    signals: Signals,
    quit: mpsc::Receiver<()>,
}

impl StopSignals {
    async fn next(&mut self) {
        tokio::select! {
            () = self.signals.next() => {}
            Some(()) = self.quit.recv() => {}
        }
    }
}
