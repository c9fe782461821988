//! State of the management handlers.

use crate::metrics::registry::Registry;
use crate::server::management::http_metrics::HttpMetrics;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::management::notifications::Notifications;
use crate::server::management::process_control::ControlHandle;
use crate::tsdb::db::DbHandle;
use std::sync::Arc;

/// State of health checks, metrics, reloads and shutdowns.
#[derive(Debug)]
pub struct ProcessState {
    /// Database, for its health.
    pub db: Arc<DbHandle>,
    /// Phase of the server.
    pub lifecycle: Arc<Lifecycle>,
    /// Channel for reload and shutdown requests.
    pub control: ControlHandle,
    /// Notifications for operators.
    pub notifications: Arc<Notifications>,
    /// Metrics of HTTP requests.
    pub http_metrics: HttpMetrics,
    /// Registry of all metrics of the process.
    pub registry: Registry,
}
