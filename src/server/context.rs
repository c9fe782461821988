//! What every handler shares.

use crate::metrics::registry::Registry;
use crate::server::http_metrics::HttpMetrics;
use crate::server::lifecycle::Lifecycle;
use std::sync::Arc;

/// The parts that handlers use; one for the whole process.
#[derive(Debug)]
pub struct Context {
    /// Starting, ready or draining.
    pub lifecycle: Lifecycle,
    /// Counters of requests.
    pub http_metrics: HttpMetrics,
    /// All metrics of the process.
    pub registry: Registry,
}

/// The context as handlers get it.
pub type SharedContext = Arc<Context>;
