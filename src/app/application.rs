//! The application: a server on a data directory, built from its configuration.
//!
//! # Ordering
//! 1. Sockets are bound before the data directory is opened: a port in use changes nothing on disk.
//! 2. The listener responds to health checks while the WAL is replayed on a blocking thread.
//! 3. The first stop drains requests, closes the database, then stops the management listener.
//! 4. The second stop ends the run at once. Acknowledged samples are in the WAL.

use crate::app::banner::AccessInfo;
use crate::app::config::AppConfig;
use crate::app::config_watcher::ConfigWatcher;
use crate::app::error::ServeError;
use crate::app::management::{ManagementSocket, ManagementTask};
use crate::app::metrics::engine::ReplayMetrics;
use crate::app::parts::scraping::ScrapingParts;
use crate::app::parts::server::ServerParts;
use crate::app::reload::{ApplyConfigError, Reloader};
use crate::app::scraping::Scraping;
use crate::app::scraping::self_scrape::SelfScrape;
use crate::app::signals::Events;
use crate::app::web_config::watcher::WebConfigWatcher;
use crate::app::{banner, logging, reload, sockets};
use crate::config::file::contents::ConfigFile;
use crate::discovery::providers::updates::TargetUpdates;
use crate::log_limit;
use crate::server::grpc::health;
use crate::server::grpc::health::HealthUpdater;
use crate::server::management::lifecycle::Phase;
use crate::server::management::notifications::Notice;
use crate::server::management::process_control::ReloadRequest;
use crate::server::router;
use crate::server::router::host;
use crate::server::state::SharedState;
use crate::server::transport::listener::{ConnectionMetrics, DrainOutcome, Listener};
use crate::server::transport::tls::socket::ListenSocket;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::LockedDir;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::maintenance::Maintenance;
use crate::tsdb::db::recovery::Recovered;
use crate::tsdb::db::recovery::error::RecoveryError;
use crate::tsdb::db::recovery::report::RecoveryReport;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Application with bound sockets and a locked data directory. [`App::run`] starts its tasks.
pub(crate) struct App {
    addresses: Vec<SocketAddr>,
    locked: LockedDir,
    context: SharedState,
    listener: Listener<ListenSocket>,
    management: Option<ManagementSocket>,
    management_connections: ConnectionMetrics,
    health: HealthUpdater,
    reloader: Reloader,
    scraping: Arc<Scraping>,
    updates: TargetUpdates,
    reloads: mpsc::Receiver<ReloadRequest>,
    /// `None` without a web configuration file.
    watcher: Option<WebConfigWatcher>,
    /// `None` without `--config.auto-reload`.
    config_watcher: Option<ConfigWatcher>,
    quit: mpsc::Receiver<()>,
    replay: ReplayMetrics,
    access: AccessInfo,
}

impl App {
    /// Binds the sockets, locks the data directory and builds all parts. Nothing is served yet.
    pub(crate) async fn build(config: AppConfig) -> Result<Self, ServeError> {
        let sockets = sockets::bind_all("web.listen-address", &config.listener.addresses).await?;
        let addresses: Vec<SocketAddr> =
            sockets.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let management = match config.management {
            Some(config) => Some(ManagementSocket::bind(config).await?),
            None => None,
        };
        let settings = config.db.settings;
        let locked = LockedDir::open(config.db)?;
        reload::check(&settings, locked.shared().options())?;
        let db = Arc::new(DbHandle::new(locked.shared().clone()));
        let is_grpc_enabled = config.server.access.is_grpc_enabled;
        let access = AccessInfo::from_config(&config.web.config, is_grpc_enabled);
        let ServerParts {
            reloads,
            quit,
            reload,
            web,
            context,
            connections,
            management_connections,
            replay,
            scraping,
        } = ServerParts::build(
            config.server,
            &config.scraping,
            config.labels,
            config.web,
            db.clone(),
        )?;
        let (health, health_service) = health::service().await;
        let listener = Listener {
            sockets: web.listen(sockets),
            router: host::require_host(router::routes(
                context.clone(),
                is_grpc_enabled.then_some(health_service),
            )),
            overload_router: router::overload_router(),
            versions: web.http_versions(),
            headers: web.response_headers(),
            limits: config.listener.limits,
            metrics: connections,
        };
        let self_scrape = config.self_scrape.then(|| {
            let port = addresses.first().map_or(0, SocketAddr::port);
            let address = format!("localhost:{port}");
            SelfScrape::new(
                address,
                format!("{}/metrics", context.web.route_prefix.as_str()),
                context.process.clone(),
            )
        });
        let ScrapingParts { scraper, providers, updates, start_timestamps } = scraping;
        let scraping = Arc::new(Scraping::new(scraper, providers, start_timestamps, self_scrape));
        let file = context.status.configuration.file();
        reload::log_warnings(&file, &ConfigFile::default());
        scraping.apply(scraping.prepare(&file).map_err(ApplyConfigError::from)?);
        let reloader = Reloader {
            config: config.reload,
            db,
            scraping: scraping.clone(),
            metrics: reload,
            configuration: context.status.configuration.clone(),
            notifications: context.process.notifications.clone(),
        };
        let watcher = config.watched.map(|watched| {
            let notifications = context.process.notifications.clone();
            WebConfigWatcher::new(watched, web.clone(), notifications)
        });
        let config_watcher =
            config.auto_reload.map(|file| ConfigWatcher::new(file, context.process.clone()));
        Ok(Self {
            addresses,
            locked,
            context,
            listener,
            management,
            management_connections,
            health,
            reloader,
            scraping,
            updates,
            reloads,
            watcher,
            config_watcher,
            quit,
            replay,
            access,
        })
    }

    /// Returns the bound addresses, with their ports.
    #[cfg(test)]
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the bound address of the management listener, if there is one.
    #[cfg(test)]
    pub(crate) fn management_address(&self) -> Option<SocketAddr> {
        self.management.as_ref().map(|socket| socket.address)
    }

    /// Replays the WAL and serves until a stop is requested.
    pub(crate) async fn run(self, events: Events) -> Result<(), ServeError> {
        self.context.process.notifications.raise(Notice::Starting);
        tokio::spawn(self.reloader.run(self.reloads, events.reload));
        if let Some(watcher) = self.watcher {
            tokio::spawn(watcher.run());
        }
        if let Some(watcher) = self.config_watcher {
            tokio::spawn(watcher.run());
        }
        tokio::spawn(self.health.run(self.context.process.clone()));
        tokio::spawn(logging::report_suppressed_lines());
        tokio::spawn(self.scraping.clone().run_updates(self.updates));
        let (drain, draining) = watch::channel(false);
        let listening = tokio::spawn(self.listener.run(draining));
        let management_address = self.management.as_ref().map(|socket| socket.address);
        let management =
            self.management.map(|socket| socket.serve(&self.context, self.management_connections));
        tracing::info!(
            addresses = ?self.addresses,
            management = management_address.map(tracing::field::display),
            "listening, replaying WAL"
        );

        let mut stops = Stops { outside: events.stop, quit: self.quit };
        tokio::select! {
            recovered = recover(self.locked, self.context.process.db.clone()) => {
                let (report, maintenance) = recovered?;
                self.replay.observe(&report);
                self.context.process.lifecycle.advance(Phase::Ready);
                self.context.process.notifications.clear(Notice::Starting);
                spawn_maintenance(maintenance)?;
                self.scraping.start();
                announce(&self.addresses, management_address, self.access, &self.context);
                stops.next().await;
            }
            () = stops.next() => tracing::warn!("shutdown requested, abandoning replay"),
        }

        tokio::select! {
            ended = shut_down(self.context, &self.scraping, drain, listening, management) => ended,
            () = stops.next() => Err(ServeError::SecondSignal),
        }
    }
}

/// Recovers the database on a blocking thread and publishes it to `handle`.
async fn recover(
    locked: LockedDir,
    handle: Arc<DbHandle>,
) -> Result<(RecoveryReport, Maintenance), ServeError> {
    let recovering = tokio::task::spawn_blocking(move || {
        let Recovered { db, report } = locked.into_recovery().run()?;
        let maintenance = db.maintenance();
        // Here and not by the caller, which may have gone: a stop then closes the database.
        handle.publish(db);
        Ok::<_, RecoveryError>((report, maintenance))
    });
    Ok(recovering.await??)
}

/// Starts the maintenance thread, which ends when the database is closed.
fn spawn_maintenance(maintenance: Maintenance) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("maintenance".to_owned());
    thread.spawn(move || maintenance.run_loop(now_ms)).map(drop)
}

/// Prints the banner to standard output: the server is ready.
fn announce(
    addresses: &[SocketAddr],
    management: Option<SocketAddr>,
    access: AccessInfo,
    context: &SharedState,
) {
    let db = context.process.db.shared();
    logging::print(&banner::banner(addresses, management, access, &context.web, db));
    tracing::info!("server is ready");
}

/// Drains requests, closes the database and stops the management listener.
async fn shut_down(
    context: SharedState,
    scraping: &Scraping,
    drain: watch::Sender<bool>,
    listening: JoinHandle<DrainOutcome>,
    management: Option<ManagementTask>,
) -> Result<(), ServeError> {
    tracing::info!("shutting down, draining requests");
    // Before draining: an in-flight admin request must not delay the shutdown.
    context.process.db.cancel_maintenance();
    // Before the phase, which ends live notifications.
    context.process.notifications.raise(Notice::ShuttingDown);
    context.process.lifecycle.advance(Phase::Draining);
    // A send error is ignored: the listener has ended already.
    let _ = drain.send(true);
    if listening.await? == DrainOutcome::TimedOut {
        tracing::warn!("shutdown timeout exceeded (--web.shutdown-timeout), aborting requests");
    }
    scraping.stop().await;
    // Before the context is dropped, which has the limits.
    log_limit::report_all();
    tokio::task::spawn_blocking(move || context.process.db.close()).await??;
    if let Some(management) = management {
        management.stop().await;
    }
    tracing::info!("narthex stopped");
    Ok(())
}

/// Sources of a stop: the caller and `/-/quit`.
struct Stops {
    outside: mpsc::Receiver<()>,
    quit: mpsc::Receiver<()>,
}

impl Stops {
    async fn next(&mut self) {
        tokio::select! {
            Some(()) = self.outside.recv() => {}
            Some(()) = self.quit.recv() => {}
            else => std::future::pending().await,
        }
    }
}
