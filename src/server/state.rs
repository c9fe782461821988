//! What every handler shares.

use crate::metrics::registry::{Counter, Registry};
use crate::remote::external_labels::ExternalLabels;
use crate::remote::metrics::ReadMetrics;
use crate::remote::read::{ReadLimits, ReadSource};
use crate::remote::write::RemoteWriter;
use crate::server::admission::ConcurrencyLimiter;
use crate::server::body::{BodyLimits, ResponseLimits};
use crate::server::client_limit::ClientLimit;
use crate::server::configuration::Configuration;
use crate::server::grpc::decompress_body::MessageDecompressor;
use crate::server::http_metrics::HttpMetrics;
use crate::server::lifecycle::Lifecycle;
use crate::server::process_control::ControlHandle;
use crate::tsdb::db::Db;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The parts that handlers use; one for the whole process.
#[derive(Debug)]
pub struct ServerState {
    /// The data.
    pub db: Arc<Db>,
    /// The flags as they are shown.
    pub flags: BTreeMap<String, String>,
    /// What the configuration file says beside the database's settings.
    pub configuration: Arc<Configuration>,
    /// Starting, ready or draining.
    pub lifecycle: Arc<Lifecycle>,
    /// Stores write requests.
    pub writer: RemoteWriter,
    /// Write requests at work and waiting.
    pub write_gate: ConcurrencyLimiter,
    /// Write streams at once; none waits.
    pub stream_gate: ConcurrencyLimiter,
    /// Write streams of one client.
    pub client_streams: ClientLimit,
    /// Inflates messages of gRPC.
    pub inflater: MessageDecompressor,
    /// Largest body of a write request over HTTP, as it is sent.
    pub max_write_body: usize,
    /// How much a read may answer.
    pub read_limits: ReadLimits,
    /// Reads at work and waiting.
    pub read_gate: ConcurrencyLimiter,
    /// Look-ups of labels, series, metadata and exemplars at work and waiting. Reads hold their
    /// permits while slow clients take streamed responses; these responses are complete before they
    /// are sent.
    pub list_gate: ConcurrencyLimiter,
    /// How long it may take to work out an answer.
    pub query_timeout: Duration,
    /// Exports at work and waiting.
    pub export_gate: ConcurrencyLimiter,
    /// Orders to the database: one at work, others waiting.
    pub admin_gate: ConcurrencyLimiter,
    /// What requests may order.
    pub control: ControlHandle,
    /// Counters of reads.
    pub read_metrics: ReadMetrics,
    /// Time for a body and where its memory comes from; the size is that of the default, each surface has its own.
    pub body_limits: BodyLimits,
    /// Time for an answer and where its memory comes from.
    pub answer_limits: ResponseLimits,
    /// Counters of requests.
    pub http_metrics: HttpMetrics,
    /// Damages of the log that the last start found.
    pub corruptions: Counter,
    /// All metrics of the process.
    pub registry: Registry,
}

impl ServerState {
    /// What reads are answered from.
    #[must_use]
    pub fn read_source(&self) -> ReadSource<'_> {
        ReadSource { db: &self.db, external: self.external_labels(), limits: self.read_limits }
    }

    /// What is added to series that are read; it follows reloads.
    #[must_use]
    pub fn external_labels(&self) -> ExternalLabels {
        self.configuration.external_labels()
    }
}

/// The context as handlers get it.
pub type SharedState = Arc<ServerState>;
