//! State of the handlers and its counterparts, built from all parts.

use crate::app::metrics::engine;
use crate::app::metrics::engine::ReplayMetrics;
use crate::app::parts::budgets::{BudgetConfig, Budgets};
use crate::app::parts::gates::{GateConfig, Gates};
use crate::app::parts::process;
use crate::app::parts::reads::ReadConfig;
use crate::app::parts::streams::{StreamConfig, Streams};
use crate::app::parts::writes::WriteConfig;
use crate::app::reload::ReloadMetrics;
use crate::metrics::registry::Registry;
use crate::remote::read::metrics::ReadMetrics;
use crate::server::api::admin::AdminState;
use crate::server::api::export::ExportState;
use crate::server::api::runtime_status::StatusState;
use crate::server::grpc::layers::GrpcState;
use crate::server::grpc::write_stream::StreamState;
use crate::server::management::configuration::{Configuration, LoadedConfig};
use crate::server::management::http_metrics::HttpMetrics;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::management::process_control;
use crate::server::management::process_control::{ApiAccess, ControlChannel, ReloadRequest};
use crate::server::management::process_state::ProcessState;
use crate::server::requests::list_state::ListState;
use crate::server::requests::read_state::ReadState;
use crate::server::requests::write_requests::WriteState;
use crate::server::state::{ServerStates, SharedState};
use crate::server::transport::framing::decompress_body::MessageDecompressor;
use crate::server::transport::listener::ConnectionMetrics;
use crate::tsdb::db::DbHandle;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Configuration of the server, one field per part.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    pub(crate) budgets: BudgetConfig,
    pub(crate) gates: GateConfig,
    pub(crate) streams: StreamConfig,
    pub(crate) writes: WriteConfig,
    pub(crate) reads: ReadConfig,
    pub(crate) access: AccessConfig,
    /// Number of gRPC messages that are decompressed at the same time.
    pub(crate) decompressors: usize,
    /// Value of every flag as `/api/v1/status/flags` shows it.
    pub(crate) flag_values: BTreeMap<String, String>,
}

/// Availability of APIs that change the server.
#[derive(Debug, Clone)]
pub(crate) struct AccessConfig {
    pub(crate) admin: ApiAccess,
    pub(crate) lifecycle: ApiAccess,
}

/// State of the handlers and its counterparts.
#[derive(Debug)]
pub(crate) struct ServerParts {
    /// Reloads that requests ask for.
    pub(crate) reloads: mpsc::Receiver<ReloadRequest>,
    /// Stops that requests ask for.
    pub(crate) quit: mpsc::Receiver<()>,
    /// Metrics for the [`Reloader`](crate::app::reload::Reloader).
    pub(crate) reload: ReloadMetrics,
    /// State that all handlers share.
    pub(crate) context: SharedState,
    /// Metrics for the listener.
    pub(crate) connections: ConnectionMetrics,
    /// Metrics that are set when the replay ends.
    pub(crate) replay: ReplayMetrics,
}

impl ServerParts {
    /// Builds the parts and registers all metrics.
    pub(crate) fn build(config: ServerConfig, labels: LoadedConfig, db: Arc<DbHandle>) -> Self {
        let mut registry = Registry::new();
        let lifecycle = Arc::new(Lifecycle::starting());
        let reload = ReloadMetrics::register(&mut registry);
        let replay = engine::register(&mut registry, &db);
        process::register(&mut registry, &lifecycle);
        let connections = ConnectionMetrics::register(&mut registry);
        let budgets = Budgets::build(&config.budgets, &mut registry);
        let gates = Gates::build(&config.gates, &mut registry);
        let streams = Streams::build(&config.streams, &mut registry);
        let ControlChannel { control, orders } =
            process_control::control_channel(config.access.admin, config.access.lifecycle);
        let configuration = Arc::new(Configuration::new(labels));
        let Budgets { bodies, responses } = budgets;
        let writes = Arc::new(WriteState {
            db: db.clone(),
            lifecycle: lifecycle.clone(),
            writer: config.writes.writer(&mut registry),
            gate: gates.writes,
            bodies: bodies.clone(),
        });
        let states = ServerStates {
            streams: Arc::new(StreamState {
                writes: writes.clone(),
                gate: streams.gate,
                clients: streams.clients,
            }),
            reads: Arc::new(ReadState {
                db: db.clone(),
                lifecycle: lifecycle.clone(),
                configuration: configuration.clone(),
                limits: config.reads.limits,
                timeout: config.reads.timeout,
                gate: gates.reads,
                bodies: bodies.clone(),
                responses: responses.clone(),
                metrics: ReadMetrics::register(&mut registry),
            }),
            lists: Arc::new(ListState {
                db: db.clone(),
                lifecycle: lifecycle.clone(),
                configuration: configuration.clone(),
                gate: gates.lists,
                max_bytes: config.reads.limits.answer_bytes,
                bodies: bodies.clone(),
                responses: responses.clone(),
            }),
            exports: Arc::new(ExportState {
                db: db.clone(),
                lifecycle: lifecycle.clone(),
                gate: gates.exports,
                responses: responses.clone(),
            }),
            admin: Arc::new(AdminState {
                db: db.clone(),
                access: control.admin,
                gate: gates.admin,
                bodies: bodies.clone(),
            }),
            status: Arc::new(StatusState {
                db: db.clone(),
                flags: config.flag_values,
                configuration,
                corruptions: replay.corruptions.clone(),
            }),
            grpc: Arc::new(GrpcState {
                decompressor: MessageDecompressor::register(&mut registry, config.decompressors),
                max_write_bytes: writes.writer.limits().decoded_bytes,
                bodies,
                response_budget: responses.budget,
            }),
            writes,
            process: Arc::new(ProcessState {
                db,
                lifecycle,
                control,
                http_metrics: HttpMetrics::register(&mut registry),
                registry,
            }),
        };
        let (reloads, quit) = (orders.reload, orders.stop);
        Self { reloads, quit, reload, context: SharedState::new(states), connections, replay }
    }
}
