//! State of remote reads.

use crate::remote::external_labels::ExternalLabels;
use crate::remote::read::metrics::ReadMetrics;
use crate::remote::read::{ReadLimits, ReadSource};
use crate::server::management::configuration::Configuration;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::transport::admission::ConcurrencyLimiter;
use crate::server::transport::body::{BodyLimits, ResponseLimits};
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::error::NotReady;
use std::sync::Arc;

/// State of remote reads in all protocols.
#[derive(Debug)]
pub struct ReadState {
    /// Database of all samples.
    pub db: Arc<DbHandle>,
    /// Phase of the server.
    pub lifecycle: Arc<Lifecycle>,
    /// Configuration file, for the external labels.
    pub configuration: Arc<Configuration>,
    /// Limits of a read.
    pub limits: ReadLimits,
    /// Limit of concurrent reads.
    pub gate: ConcurrencyLimiter,
    /// Time and memory limits of request bodies. `size` is a default that handlers replace.
    pub bodies: BodyLimits,
    /// Time and memory limits of responses.
    pub responses: ResponseLimits,
    /// Metrics of remote reads.
    pub metrics: ReadMetrics,
}

impl ReadState {
    /// Returns the source of remote reads.
    ///
    /// # Errors
    /// [`NotReady`] until the database is recovered.
    pub fn source(&self) -> Result<ReadSource<'_>, NotReady> {
        let db = self.db.ready()?;
        Ok(ReadSource { db, external: self.external_labels(), limits: self.limits })
    }

    /// Returns the labels that are added to every series read; a reload may change them.
    #[must_use]
    pub fn external_labels(&self) -> ExternalLabels {
        self.configuration.external_labels()
    }
}
