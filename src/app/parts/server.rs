//! State of the handlers and its counterparts, built from all parts.

use crate::app::metrics::engine;
use crate::app::metrics::engine::ReplayMetrics;
use crate::app::parts::budgets::{BudgetConfig, Budgets};
use crate::app::parts::gates::{GateConfig, Gates};
use crate::app::parts::process;
use crate::app::parts::scraping::{ScrapingConfig, ScrapingParts};
use crate::app::parts::streams::{StreamConfig, Streams};
use crate::app::parts::web::AppearanceConfig;
use crate::app::parts::writes::WriteConfig;
use crate::app::reload::ReloadMetrics;
use crate::app::web_config::access::{Access, AccessConfig};
use crate::app::web_config::live::LiveWeb;
use crate::app::web_config::setup::WebSetup;
use crate::metrics::registry::Registry;
use crate::remote::read::ReadLimits;
use crate::remote::read::metrics::ReadMetrics;
use crate::remote::write::RemoteWriter;
use crate::server::api::admin::AdminState;
use crate::server::api::export::ExportState;
use crate::server::api::status::StatusState;
use crate::server::api::targets::TargetsState;
use crate::server::grpc::layers::GrpcState;
use crate::server::grpc::write_stream::StreamState;
use crate::server::management::configuration::{Configuration, LoadedConfig};
use crate::server::management::http_metrics::HttpMetrics;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::management::notifications::Notifications;
use crate::server::management::process_control;
use crate::server::management::process_control::{ApiAccess, ControlChannel, ReloadRequest};
use crate::server::management::process_state::ProcessState;
use crate::server::requests::list_state::ListState;
use crate::server::requests::read_state::ReadState;
use crate::server::requests::time_limits::{RouteKind, TimeLimit, TimeLimits};
use crate::server::requests::write_requests::WriteState;
use crate::server::state::{ServerStates, SharedState};
use crate::server::transport::admission::ConcurrencyLimiter;
use crate::server::transport::framing::decompress_body::MessageDecompressor;
use crate::server::transport::listener::ConnectionMetrics;
use crate::tsdb::db::DbHandle;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Configuration of the server, one field per part.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    pub(crate) budgets: BudgetConfig,
    pub(crate) gates: GateConfig,
    pub(crate) streams: StreamConfig,
    pub(crate) writes: WriteConfig,
    pub(crate) reads: ReadLimits,
    pub(crate) apis: ApiConfig,
    pub(crate) access: AccessConfig,
    pub(crate) appearance: AppearanceConfig,
    /// Maximum number of subscribers to notifications.
    pub(crate) max_subscribers: usize,
    pub(crate) time_limits: TimeLimits,
    /// Number of gRPC messages that are decompressed at the same time.
    pub(crate) decompressors: usize,
    /// Value of every flag as `/api/v1/status/flags` shows it.
    pub(crate) flag_values: BTreeMap<String, String>,
}

/// Availability of APIs that change the server.
#[derive(Debug, Clone)]
pub(crate) struct ApiConfig {
    pub(crate) admin: ApiAccess,
    pub(crate) lifecycle: ApiAccess,
}

/// State of the handlers and its counterparts.
#[derive(Debug)]
pub(crate) struct ServerParts {
    /// Requested reloads.
    pub(crate) reloads: mpsc::Receiver<ReloadRequest>,
    /// Requested stops.
    pub(crate) quit: mpsc::Receiver<()>,
    /// Metrics for the [`Reloader`](crate::app::reload::Reloader).
    pub(crate) reload: ReloadMetrics,
    /// Parts that a web configuration file sets.
    pub(crate) web: LiveWeb,
    /// State that all handlers share.
    pub(crate) context: SharedState,
    /// Metrics for the listener.
    pub(crate) connections: ConnectionMetrics,
    /// Metrics for the management listener.
    pub(crate) management_connections: ConnectionMetrics,
    /// Metrics that are set when the replay ends.
    pub(crate) replay: ReplayMetrics,
    /// Scraper and discovery.
    pub(crate) scraping: ScrapingParts,
}

/// Parts that most states share.
struct SharedParts {
    db: Arc<DbHandle>,
    lifecycle: Arc<Lifecycle>,
    configuration: Arc<Configuration>,
    budgets: Budgets,
}

impl ServerParts {
    /// Builds the parts and registers all metrics.
    ///
    /// # Errors
    /// The error of the system's random number generator.
    pub(crate) fn build(
        config: ServerConfig,
        scraping: &ScrapingConfig,
        labels: LoadedConfig,
        web: WebSetup,
        db: Arc<DbHandle>,
    ) -> io::Result<Self> {
        let mut registry = Registry::new();
        let lifecycle = Arc::new(Lifecycle::starting());
        let reload = ReloadMetrics::register(&mut registry);
        let replay = engine::register(&mut registry, &db);
        process::register(&mut registry, &lifecycle);
        let connections = ConnectionMetrics::register(&mut registry);
        let management_connections = ConnectionMetrics::register_management(&mut registry);
        let access = Access::build(&config.access, web.config.rate_limit, &mut registry)?;
        let web = LiveWeb::register(web, access.clone(), &mut registry);
        let configuration = Arc::new(Configuration::new(labels));
        let budgets = Budgets::build(&config.budgets, &mut registry);
        let shared = SharedParts { db, lifecycle, configuration, budgets };
        let gates = Gates::build(&config.gates, &mut registry);
        let streams = Streams::build(&config.streams, &mut registry);
        let ControlChannel { control, receiver } =
            process_control::control_channel(config.apis.admin, config.apis.lifecycle);
        let timeout = config.time_limits.of(RouteKind::Write);
        let writer = config.writes.writer(&mut registry);
        let writes = Arc::new(shared.writes(writer, gates.writes, timeout));
        let rejections = writes.rejections.clone();
        let scraping =
            ScrapingParts::build(scraping, shared.db.clone(), rejections, &mut registry)?;
        let (gate, clients) = (streams.gate, streams.clients);
        let states = ServerStates {
            access: access.control.clone(),
            streams: Arc::new(StreamState { writes: writes.clone(), gate, clients }),
            lists: Arc::new(shared.lists(&config.reads, gates.lists)),
            exports: Arc::new(shared.exports(gates.exports)),
            admin: Arc::new(shared.admin(control.admin, gates.admin)),
            reads: Arc::new(shared.reads(&config.reads, gates.reads, &mut registry)),
            status: Arc::new(shared.status(config.flag_values, &replay)),
            targets: Arc::new(TargetsState {
                scraper: scraping.scraper.clone(),
                address: config.appearance.server_address(),
            }),
            web: Arc::new(config.appearance.build(&shared.budgets.responses)),
            grpc: Arc::new(GrpcState {
                decompressor: MessageDecompressor::register(&mut registry, config.decompressors),
                max_write_size: writes.max_decoded_size(),
                bodies: shared.budgets.bodies,
                response_budget: shared.budgets.responses.budget,
                writes: writes.clone(),
            }),
            time_limits: config.time_limits,
            writes,
            process: Arc::new(ProcessState {
                db: shared.db,
                lifecycle: shared.lifecycle,
                control,
                notifications: Arc::new(Notifications::register(
                    &mut registry,
                    config.max_subscribers,
                )),
                http_metrics: HttpMetrics::register(&mut registry),
                registry,
            }),
        };
        let (reloads, quit) = (receiver.reload, receiver.stop);
        let context = SharedState::new(states);
        Ok(Self {
            reloads,
            quit,
            reload,
            web,
            context,
            connections,
            management_connections,
            replay,
            scraping,
        })
    }
}

impl SharedParts {
    fn writes(
        &self,
        writer: RemoteWriter,
        gate: ConcurrencyLimiter,
        time_limit: TimeLimit,
    ) -> WriteState {
        WriteState {
            db: self.db.clone(),
            lifecycle: self.lifecycle.clone(),
            writer,
            gate,
            time_limit,
            rejections: Arc::default(),
            bodies: self.budgets.bodies.clone(),
        }
    }

    fn reads(
        &self,
        limits: &ReadLimits,
        gate: ConcurrencyLimiter,
        registry: &mut Registry,
    ) -> ReadState {
        ReadState {
            db: self.db.clone(),
            lifecycle: self.lifecycle.clone(),
            configuration: self.configuration.clone(),
            limits: *limits,
            gate,
            bodies: self.budgets.bodies.clone(),
            responses: self.budgets.responses.clone(),
            metrics: ReadMetrics::register(registry),
        }
    }

    fn lists(&self, limits: &ReadLimits, gate: ConcurrencyLimiter) -> ListState {
        ListState {
            db: self.db.clone(),
            lifecycle: self.lifecycle.clone(),
            configuration: self.configuration.clone(),
            gate,
            max_bytes: limits.response_bytes,
            bodies: self.budgets.bodies.clone(),
            responses: self.budgets.responses.clone(),
        }
    }

    fn exports(&self, gate: ConcurrencyLimiter) -> ExportState {
        ExportState {
            db: self.db.clone(),
            lifecycle: self.lifecycle.clone(),
            gate,
            bodies: self.budgets.bodies.clone(),
            responses: self.budgets.responses.clone(),
        }
    }

    fn admin(&self, access: ApiAccess, gate: ConcurrencyLimiter) -> AdminState {
        AdminState { db: self.db.clone(), access, gate, bodies: self.budgets.bodies.clone() }
    }

    fn status(&self, flags: BTreeMap<String, String>, replay: &ReplayMetrics) -> StatusState {
        StatusState {
            db: self.db.clone(),
            flags,
            configuration: self.configuration.clone(),
            corruptions: replay.corruptions.clone(),
        }
    }
}
