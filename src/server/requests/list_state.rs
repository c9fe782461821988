//! State of look-ups of labels, series, metadata and exemplars.

use crate::server::management::configuration::Configuration;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::transport::admission::ConcurrencyLimiter;
use crate::server::transport::body::{BodyLimits, ResponseLimits};
use crate::tsdb::db::DbHandle;
use std::sync::Arc;

/// State of look-ups in all protocols.
#[derive(Debug)]
pub struct ListState {
    /// Database of all samples.
    pub db: Arc<DbHandle>,
    /// Phase of the server.
    pub lifecycle: Arc<Lifecycle>,
    /// Configuration file, for the external labels.
    pub configuration: Arc<Configuration>,
    /// Limit of concurrent look-ups. It is separate from that of reads, which hold their permits
    /// while slow clients read streamed responses; look-ups are complete before they are sent.
    pub gate: ConcurrencyLimiter,
    /// Maximum memory of the strings of a list, bytes.
    pub max_bytes: usize,
    /// Time and memory limits of request bodies. `size` is a default that handlers replace.
    pub bodies: BodyLimits,
    /// Time and memory limits of responses.
    pub responses: ResponseLimits,
}
