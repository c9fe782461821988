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
use crate::server::management::configuration::{Configuration, LoadedConfig};
use crate::server::management::http_metrics::HttpMetrics;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::management::process_control;
use crate::server::management::process_control::{ApiAccess, ControlChannel, ReloadRequest};
use crate::server::state::{ServerState, SharedState};
use crate::server::transport::framing::decompress_body::MessageDecompressor;
use crate::server::transport::listener::ConnectionMetrics;
use crate::tsdb::db::handle::DbHandle;
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
        let context = ServerState {
            control,
            corruptions: replay.corruptions.clone(),
            flags: config.flag_values,
            configuration: Arc::new(Configuration::new(labels)),
            admin_gate: gates.admin,
            db,
            lifecycle,
            writer: config.writes.writer(&mut registry),
            write_gate: gates.writes,
            stream_gate: streams.gate,
            client_streams: streams.clients,
            inflater: MessageDecompressor::register(&mut registry, config.decompressors),
            max_write_body: config.writes.max_body,
            read_limits: config.reads.limits,
            read_gate: gates.reads,
            list_gate: gates.lists,
            export_gate: gates.exports,
            query_timeout: config.reads.timeout,
            read_metrics: ReadMetrics::register(&mut registry),
            body_limits: budgets.bodies,
            answer_limits: budgets.responses,
            http_metrics: HttpMetrics::register(&mut registry),
            registry,
        };
        let (reloads, quit) = (orders.reload, orders.stop);
        Self { reloads, quit, reload, context: Arc::new(context), connections, replay }
    }
}
