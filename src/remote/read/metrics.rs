//! Metrics of remote read, under Prometheus's names if it has them.

use crate::metrics::registry::{Counter, Gauge, Registry};
use crate::remote::read::chunked::FrameCounts;

/// Metrics of reads; clones share them.
#[derive(Debug, Clone)]
pub struct ReadMetrics {
    queries: Gauge,
    /// Number of samples and histograms in responses.
    pub samples: Counter,
    frames: Counter,
    chunks: Counter,
}

/// A running or queued read. It is counted until it is dropped, even if its client disconnects.
#[derive(Debug)]
pub struct ActiveRead(Gauge);

impl Drop for ActiveRead {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ReadMetrics {
    /// Counts a read that starts.
    #[must_use]
    pub fn start_read(&self) -> ActiveRead {
        self.queries.inc();
        ActiveRead(self.queries.clone())
    }

    /// Counts a complete streamed response.
    pub fn count(&self, sent: FrameCounts) {
        self.frames.inc_by(sent.frames);
        self.chunks.inc_by(sent.chunks);
    }

    /// Registers the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            queries: registry.gauge(
                "prometheus_remote_read_handler_queries",
                "The current number of remote read queries that are either in execution \
                 or queued on the handler.",
            ),
            samples: registry.counter(
                "narthex_remote_read_samples_total",
                "Total number of samples and histograms sent in remote read responses.",
            ),
            frames: registry.counter(
                "narthex_remote_read_frames_total",
                "Total number of messages sent in streamed remote read responses.",
            ),
            chunks: registry.counter(
                "narthex_remote_read_chunks_total",
                "Total number of chunks sent in streamed remote read responses.",
            ),
        }
    }
}
