//! `narthex serve`: bind, lock, listen, replay, say that it is ready, wait for the signal (or `/-/quit`), drain, close.
//!
//! The sockets are bound before anything else is touched, so that a port in use costs nothing. The listener answers
//! health and progress while the log is replayed on a blocking thread. A first SIGTERM or SIGINT drains; a second one ends the
//! process where it stands, which costs nothing that was acknowledged.

use crate::app::banner::BannerInfo;
use crate::app::reload::{ApplyConfigError, Reloader};
use crate::app::setup::ServerParts;
use crate::app::{banner, logging, reload, setup, sockets};
use crate::config::file;
use crate::config::flags::{ServeFlags, VERSION, WebFlags};
use crate::config::settings;
use crate::server::grpc::health;
use crate::server::lifecycle::Phase;
use crate::server::listener::{ConnectionLimits, DrainOutcome, Listener};
use crate::server::router;
use crate::server::state::SharedState;
use crate::tsdb::db::Db;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::open::{OpenError, ReplayError};
use crate::tsdb::fs::fail_point;
use crate::tsdb::fs::fail_point::ArmError;
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

/// Why the server could not run to an orderly end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address can't be listened on.
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
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ApplyConfigError),
    /// The data directory can't be used.
    #[error("can't open --storage.tsdb.path: {0}")]
    Open(#[from] OpenError),
    /// What is in the data directory can't be used.
    #[error("can't replay --storage.tsdb.path: {0}")]
    Replay(#[from] ReplayError),
    /// A thread of our own broke.
    #[error("a task of the server broke: {0}")]
    TaskPanicked(#[from] JoinError),
    /// The last bytes could not be written.
    #[error("can't close the database: {0}")]
    Close(#[from] WalError),
    /// A second signal came before everything was done.
    #[error("stopped by a second signal before everything was done")]
    SecondSignal,
}

/// Runs the server until it is told to stop; the exit code is 0 only after an orderly end.
pub fn run(flags: &ServeFlags, meaningless: &[&str]) -> ExitCode {
    // Before the first line is written: it may reach a limit of its file's size.
    let runtime = runtime(flags).and_then(|runtime| {
        let entered = runtime.enter();
        survive_signals()?;
        drop(entered);
        Ok(runtime)
    });
    // Dropped last, when all lines are logged.
    let _logging = match logging::start(&flags.log) {
        Ok(logging) => logging,
        Err(error) => {
            // The exit code says it, too, if nobody reads this.
            let _ = writeln!(std::io::stderr(), "error: cannot start the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    if !meaningless.is_empty() {
        let given: Vec<String> = meaningless.iter().map(|flag| format!("--{flag}")).collect();
        tracing::warn!(
            flags = given.join(" "),
            "flags of Prometheus that mean nothing here are ignored"
        );
    }
    if let Err(error) = arm_fail_points() {
        tracing::error!(%error, "narthex ends");
        return ExitCode::FAILURE;
    }
    let served = runtime.map_err(ServeError::System).and_then(|runtime| {
        let served = runtime.block_on(serve(flags));
        // Not waited for: a replay that was interrupted, or requests that took longer than the time to drain.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "narthex ends");
            ExitCode::FAILURE
        }
    }
}

/// Arms the fail points that a test asks for in the environment.
fn arm_fail_points() -> Result<(), ArmError> {
    match std::env::var(fail_point::ENV_VAR) {
        Ok(text) if !text.is_empty() => {
            fail_point::arm_from_spec(&text)?;
            tracing::warn!(
                points = text,
                "fail points are armed by {}: this process is for tests only",
                fail_point::ENV_VAR
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

fn runtime(flags: &ServeFlags) -> std::io::Result<Runtime> {
    let threads = setup::blocking_threads(flags);
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(threads).build()
}

/// Keeps signals from ending the process that do not mean "stop", as in Prometheus. A write beyond
/// a limit of a file's size is an error (EFBIG) after that.
fn survive_signals() -> std::io::Result<()> {
    let file_too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    let kinds = [
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
        file_too_large,
    ];
    // The handler remains when the stream of signals is dropped.
    kinds.into_iter().try_for_each(|kind| signal(kind).map(drop))
}

async fn serve(flags: &ServeFlags) -> Result<(), ServeError> {
    tracing::info!(version = VERSION, "narthex starts");
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
    let router = router::routes(context.clone(), health);
    let listener = Listener {
        sockets,
        router,
        limits: ConnectionLimits::from(&flags.web),
        metrics: connections,
    };
    let (stop, stopped) = watch::channel(false);
    let listening = tokio::spawn(listener.run(stopped));
    tracing::info!(addresses = ?addresses, "listening; the log is replayed now");

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
        () = stops.next() => tracing::warn!("told to stop during the replay, which is given up"),
    }

    tokio::select! {
        ended = shut_down(context, stop, listening) => ended,
        () = stops.next() => Err(ServeError::SecondSignal),
    }
}

/// Starts the thread that compacts; it ends when the database is closed.
fn spawn_maintenance(db: &Arc<Db>) -> std::io::Result<()> {
    let db = db.clone();
    let thread = std::thread::Builder::new().name("maintenance".to_owned());
    thread.spawn(move || db.run_maintenance_loop(now_ms)).map(drop)
}

/// Drains and closes.
async fn shut_down(
    context: SharedState,
    stop: watch::Sender<bool>,
    listening: JoinHandle<DrainOutcome>,
) -> Result<(), ServeError> {
    tracing::info!("told to stop: no new requests, those under way are finished");
    // Now, and not after the requests: what an operator ordered may be one of them.
    context.db.cancel_maintenance();
    context.lifecycle.advance(Phase::Draining);
    // The receiver is the listener, which may have ended.
    let _ = stop.send(true);
    if listening.await? == DrainOutcome::TimedOut {
        tracing::warn!(
            "some requests were not finished within --web.shutdown-timeout and are cut off"
        );
    }
    tokio::task::spawn_blocking(move || context.db.close()).await??;
    tracing::info!("narthex has ended in order");
    Ok(())
}

/// Says on standard output that the server is ready, and how to use it.
fn print_banner(flags: &ServeFlags, addresses: &[SocketAddr], db: &Db) {
    let directory =
        std::path::absolute(&flags.storage.path).unwrap_or_else(|_| flags.storage.path.clone());
    let retention = db.settings().retention;
    let retention = if db.retention_is_held() {
        tracing::warn!(
            "the directory has data older than the default retention: nothing is deleted until a retention is set, by flag or in the configuration file"
        );
        banner::describe_held_retention(&retention)
    } else {
        banner::describe_retention(&retention)
    };
    let out_of_order_window_ms = db.settings().out_of_order_window_ms;
    let holds = BannerInfo {
        addresses,
        directory: &directory,
        retention: &retention,
        out_of_order_window_ms,
    };
    logging::print(&banner::render(flags, &holds));
    tracing::info!("ready for requests");
}

/// Binds every address that was asked for.
async fn bind(flags: &WebFlags) -> Result<Vec<TcpListener>, ServeError> {
    let mut bound = Vec::new();
    for address in &flags.listen_address {
        let socket = sockets::bind(address).await;
        bound.push(
            socket.map_err(|source| ServeError::Bind { address: address.to_string(), source })?,
        );
    }
    Ok(bound)
}

/// The signals that mean "stop".
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

/// Everything that means "stop": a signal, or a request.
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
