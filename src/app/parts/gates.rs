//! Limits of concurrent requests. Each kind of request has its own, so that none delays another.

use crate::metrics::registry::Registry;
use crate::server::transport::admission::{ConcurrencyLimiter, QueueLimits};
use std::time::Duration;

/// Maximum time a write waits for a permit. Senders time out after 30 s by default.
const WRITE_MAX_WAIT: Duration = Duration::from_secs(10);
/// Number of waiting reads per concurrent read, and their maximum wait.
const WAITING_READS_PER_SLOT: usize = 4;
const READ_MAX_WAIT: Duration = Duration::from_secs(5);
/// Number of waiting admin operations, and their maximum wait: cleaning tombstones can take
/// minutes.
const MAX_WAITING_ADMIN: usize = 8;
const ADMIN_MAX_WAIT: Duration = Duration::from_secs(600);

/// Number of concurrent requests per kind; `usize::MAX` = unlimited.
#[derive(Debug, Clone)]
pub(crate) struct GateConfig {
    pub(crate) writes: usize,
    /// Maximum number of waiting write requests.
    pub(crate) waiting_writes: usize,
    pub(crate) reads: usize,
    /// Look-ups of labels, series, metadata and exemplars.
    pub(crate) lists: usize,
    /// Exports have their own limit because slow clients delay them.
    pub(crate) exports: usize,
}

impl GateConfig {
    /// Returns the number of permits of all gates.
    pub(crate) fn permits(&self) -> usize {
        self.writes
            .saturating_add(self.reads)
            .saturating_add(self.exports)
            .saturating_add(self.lists)
    }
}

/// Limits of concurrent requests.
#[derive(Debug)]
pub(crate) struct Gates {
    /// Admin operations run one at a time.
    pub(crate) admin: ConcurrencyLimiter,
    pub(crate) writes: ConcurrencyLimiter,
    pub(crate) reads: ConcurrencyLimiter,
    pub(crate) lists: ConcurrencyLimiter,
    pub(crate) exports: ConcurrencyLimiter,
}

impl Gates {
    pub(crate) fn build(config: &GateConfig, registry: &mut Registry) -> Self {
        let mut gate = |permits, queue, name, requests| {
            let gate = ConcurrencyLimiter::new(permits, queue);
            gate.register(registry, name, requests);
            gate
        };
        let queue = |max_waiting, max_wait| QueueLimits { max_waiting, max_wait };
        let reads_queue =
            |reads: usize| queue(reads.saturating_mul(WAITING_READS_PER_SLOT), READ_MAX_WAIT);
        Self {
            admin: gate(
                1,
                queue(MAX_WAITING_ADMIN, ADMIN_MAX_WAIT),
                "narthex_admin_requests",
                "Admin operations",
            ),
            writes: gate(
                config.writes,
                queue(config.waiting_writes, WRITE_MAX_WAIT),
                "narthex_write_requests",
                "Write requests",
            ),
            reads: gate(config.reads, reads_queue(config.reads), "narthex_read_requests", "Reads")
                .named("reads"),
            lists: gate(
                config.lists,
                reads_queue(config.lists),
                "narthex_list_requests",
                "Look-ups of labels, series, metadata and exemplars",
            )
            .named("look-ups"),
            exports: gate(
                config.exports,
                queue(config.exports, READ_MAX_WAIT),
                "narthex_export_requests",
                "Exports",
            )
            .named("exports"),
        }
    }
}
