//! State that all handlers share.

use crate::metrics::registry::{Counter, Registry};
use crate::remote::external_labels::ExternalLabels;
use crate::remote::read::metrics::ReadMetrics;
use crate::remote::read::{ReadLimits, ReadSource};
use crate::remote::write::RemoteWriter;
use crate::server::management::configuration::Configuration;
use crate::server::management::http_metrics::HttpMetrics;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::management::process_control::ControlHandle;
use crate::server::transport::admission::ConcurrencyLimiter;
use crate::server::transport::body::{BodyLimits, ResponseLimits};
use crate::server::transport::client_limit::ClientLimit;
use crate::server::transport::framing::decompress_body::MessageDecompressor;
use crate::tsdb::db::error::NotReady;
use crate::tsdb::db::handle::DbHandle;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Shared state of the handlers, one per process.
#[derive(Debug)]
pub struct ServerState {
    /// Database of all samples, once it is ready.
    pub db: Arc<DbHandle>,
    /// Flags and their displayed values.
    pub flags: BTreeMap<String, String>,
    /// Configuration file, without the database settings.
    pub configuration: Arc<Configuration>,
    /// Phase of the server.
    pub lifecycle: Arc<Lifecycle>,
    /// Writer of remote write requests.
    pub writer: RemoteWriter,
    /// Limit of concurrent write requests.
    pub write_gate: ConcurrencyLimiter,
    /// Limit of open write streams, without a queue.
    pub stream_gate: ConcurrencyLimiter,
    /// Limit of write streams per client.
    pub client_streams: ClientLimit,
    /// Decompressor of gRPC messages.
    pub inflater: MessageDecompressor,
    /// Maximum size of the body of an HTTP write request before decompression, bytes.
    pub max_write_body: usize,
    /// Limits of a read.
    pub read_limits: ReadLimits,
    /// Limit of concurrent reads.
    pub read_gate: ConcurrencyLimiter,
    /// Limit of concurrent look-ups of labels, series, metadata and exemplars. It is separate from
    /// reads, which hold their permits while slow clients read streamed responses; look-ups are
    /// complete before they are sent.
    pub list_gate: ConcurrencyLimiter,
    /// Maximum time to compute a response.
    pub query_timeout: Duration,
    /// Limit of concurrent exports.
    pub export_gate: ConcurrencyLimiter,
    /// Limit of admin operations: one runs, others wait.
    pub admin_gate: ConcurrencyLimiter,
    /// Channel for reload and shutdown requests.
    pub control: ControlHandle,
    /// Metrics of remote reads.
    pub read_metrics: ReadMetrics,
    /// Time and memory limits of request bodies. `size` is a default that handlers replace.
    pub body_limits: BodyLimits,
    /// Time and memory limits of responses.
    pub answer_limits: ResponseLimits,
    /// Metrics of HTTP requests.
    pub http_metrics: HttpMetrics,
    /// Number of WAL corruptions that the last start found.
    pub corruptions: Counter,
    /// Registry of all metrics of the process.
    pub registry: Registry,
}

impl ServerState {
    /// Returns the source of remote reads.
    ///
    /// # Errors
    /// [`NotReady`] until the database is recovered.
    pub fn read_source(&self) -> Result<ReadSource<'_>, NotReady> {
        let db = self.db.ready()?;
        Ok(ReadSource { db, external: self.external_labels(), limits: self.read_limits })
    }

    /// Returns the labels that are added to every series read; a reload may change them.
    #[must_use]
    pub fn external_labels(&self) -> ExternalLabels {
        self.configuration.external_labels()
    }
}

/// State as handlers receive it.
pub type SharedState = Arc<ServerState>;
