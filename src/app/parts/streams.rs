//! Limits of write streams over gRPC.

use crate::metrics::registry::Registry;
use crate::server::transport::admission::{ConcurrencyLimiter, QueueLimits};
use crate::server::transport::client_limit::ClientLimit;
use std::time::Duration;

/// Number of concurrent write streams; `usize::MAX` = unlimited.
#[derive(Debug, Clone)]
pub(crate) struct StreamConfig {
    pub(crate) streams: usize,
    pub(crate) streams_per_client: usize,
}

/// Limits of write streams.
#[derive(Debug)]
pub(crate) struct Streams {
    /// Limit of open streams. Streams do not wait for a permit.
    pub(crate) gate: ConcurrencyLimiter,
    pub(crate) clients: ClientLimit,
}

impl Streams {
    pub(crate) fn build(config: &StreamConfig, registry: &mut Registry) -> Self {
        let clients = ClientLimit::new(config.streams_per_client);
        clients.register(registry, "narthex_grpc_write_streams", "write streams of gRPC");
        let no_queue = QueueLimits { max_waiting: 0, max_wait: Duration::ZERO };
        let gate = ConcurrencyLimiter::new(config.streams, no_queue);
        gate.register(registry, "narthex_grpc_write_streams", "Write streams of gRPC");
        Self { gate, clients }
    }
}
