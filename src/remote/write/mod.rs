//! Storage of remote write requests, from body to outcome.
//!
//! A request that is malformed or exceeds a limit stores nothing. Of any other request, valid items
//! are stored and invalid ones are reported.
//!
//! Blocks its thread while it waits for the WAL. The time is an argument. HTTP and gRPC share this
//! code. Float samples of known series cost no allocation: buffers are pooled, and labels are used
//! in place.
//!
//! | module | content |
//! |---|---|
//! | [`v1`] | remote write 1.0, decoded in place |
//! | [`v2`] | remote write 2.0, decoded in place |
//! | [`thanos`] | requests of a Thanos Receive router |
//! | [`stream_request`] | message of a gRPC write stream, decoded in place |
//! | [`limits`] | limits of a write request |
//! | [`decode_error`] | errors of malformed requests and of requests over a limit |
//! | [`metrics`] | metrics of writes |

pub mod decode_error;
pub mod limits;
pub mod metrics;
pub mod stream_request;
#[cfg(test)]
mod tests;
pub mod thanos;
pub mod v1;
pub mod v2;

use crate::ingest::ingester::ingest;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::write_request::WriteRequest;
use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress;
use crate::remote::decompress::BodyDecompressor;
use crate::remote::decompress::output::{DecompressBudget, DecompressError, OutOfBudget};
use crate::remote::write::decode_error::DecodeWriteRequestError;
use crate::remote::write::limits::WriteLimits;
use crate::remote::write::metrics::WriteMetrics;
use crate::remote::write::thanos::labeled_write::LabeledThanosWrite;
use crate::remote::write::thanos::request_index::{TenantLimits, ThanosRequestIndex};
use crate::remote::write::thanos::tenant::TenantLabel;
use crate::remote::write::v1::request_index::RequestIndexV1;
use crate::remote::write::v2::request_index::RequestLimitsV2;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use crate::tsdb::db::{Db, WalError};
use parking_lot::Mutex;

/// Maximum number of pooled buffers, and maximum size of each, bytes.
const POOLED_BUFFERS: usize = 32;
const POOLED_BYTES: usize = 2 << 20;

/// Version of remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteWriteVersion {
    /// Remote write 1.0: `prometheus.WriteRequest`.
    V1,
    /// Remote write 2.0: `io.prometheus.write.v2.Request`.
    V2,
}

/// Message type and compression of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireFormat {
    /// Version of the message.
    pub version: RemoteWriteVersion,
    /// Compression of the body.
    pub packing: BodyCompression,
}

/// A write request as it was received.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedRequest<'a> {
    /// Body as it was received.
    pub body: &'a [u8],
    /// Message type and compression.
    pub form: WireFormat,
    /// Time of arrival, ms since the Unix epoch.
    pub now_ms: i64,
}

/// Error of a write request. Nothing was stored, except for [`RemoteWriteError::Log`].
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    /// The body cannot be decompressed.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// The message is malformed or exceeds a limit.
    #[error(transparent)]
    Request(#[from] DecodeWriteRequestError),
    /// The message of a Thanos Receive router is malformed or exceeds a limit.
    #[error(transparent)]
    ThanosRequest(#[from] thanos::request_index::DecodeThanosRequestError),
    /// The database does not accept writes now.
    #[error(transparent)]
    Unavailable(#[from] WriteUnavailable),
    /// The WAL failed during the request.
    #[error("cannot write to the WAL: {0}")]
    Log(#[from] WalError),
}

/// Stores remote write requests in a database, within limits.
#[derive(Debug)]
pub struct RemoteWriter {
    limits: WriteLimits,
    metrics: WriteMetrics,
    tenants: TenantLabel,
    pool: Mutex<Vec<RequestBuffers>>,
}

/// Buffers of a request, reused for later ones.
#[derive(Debug, Default)]
struct RequestBuffers {
    decompressor: BodyDecompressor,
    index: RequestIndexV1,
    v2: v2::request_index::RequestIndexV2,
    tenants: ThanosRequestIndex,
    /// Labels of one series.
    labels: Vec<u8>,
}

impl RequestBuffers {
    fn retained_bytes(&self) -> usize {
        let read =
            self.index.retained_bytes() + self.v2.retained_bytes() + self.tenants.retained_bytes();
        self.decompressor.retained_bytes() + read + self.labels.capacity()
    }
}

/// Default name of the tenant label: that of Thanos.
const TENANT_LABEL: &str = "tenant_id";

impl RemoteWriter {
    /// Creates a writer with these limits.
    #[must_use]
    pub fn new(limits: WriteLimits, metrics: WriteMetrics) -> Self {
        Self { limits, metrics, tenants: TenantLabel::new(TENANT_LABEL), pool: Mutex::default() }
    }

    /// Sets the label that stores tenants.
    #[must_use]
    pub fn with_tenants(self, tenants: TenantLabel) -> Self {
        Self { tenants, ..self }
    }

    /// Returns the limits of requests.
    #[must_use]
    pub fn limits(&self) -> &WriteLimits {
        &self.limits
    }

    /// Checks a body before memory is reserved for it.
    ///
    /// # Errors
    /// [`RemoteWriteError::Decompress`] if the magic number is wrong, or the declared size exceeds
    /// the limit.
    pub fn precheck(&self, body: &[u8], packing: BodyCompression) -> Result<(), RemoteWriteError> {
        // A sender that compresses an empty message does not produce an empty body.
        if body.is_empty() && packing != BodyCompression::Plain {
            return Err(DecompressError::Malformed {
                named: packing,
                why: "empty body".to_owned(),
            }
            .into());
        }
        Ok(decompress::precheck(packing, body, self.limits.decoded_bytes)?)
    }

    /// Stores a request that arrived at `now_ms`, ms since the Unix epoch.
    ///
    /// # Errors
    /// [`RemoteWriteError`]. Nothing was stored, except for [`RemoteWriteError::Log`]: samples may
    /// be in the head, in the queue of the WAL or in the WAL, and a retry stores each of them once.
    #[cfg(any(test, feature = "testing"))]
    pub fn store(
        &self,
        db: &Db,
        body: &[u8],
        form: WireFormat,
        now_ms: i64,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        self.store_with_budget(db, ReceivedRequest { body, form, now_ms }, &mut |_| Ok(()))
    }

    /// Stores a request. `grant` is called with the bytes of decompressed data before they are
    /// allocated.
    ///
    /// # Errors
    /// [`RemoteWriteError`]. Nothing was stored, except for [`RemoteWriteError::Log`]: samples may
    /// be in the head, in the queue of the WAL or in the WAL, and a retry stores each of them once.
    pub fn store_with_budget(
        &self,
        db: &Db,
        request: ReceivedRequest<'_>,
        grant: &mut dyn FnMut(usize) -> Result<(), OutOfBudget>,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        let ReceivedRequest { body, form, now_ms } = request;
        self.precheck(body, form.packing)?;
        let budget = DecompressBudget { limit: self.limits.decoded_bytes, grant };
        let mut buffers = self.pool.lock().pop().unwrap_or_default();
        let RequestBuffers { decompressor, index, v2, labels, .. } = &mut buffers;
        let decompressed =
            decompressor.decompress(form.packing, body, budget).map_err(RemoteWriteError::from);
        let result = decompressed.and_then(|message| match form.version {
            RemoteWriteVersion::V1 => {
                let request = index.validate(message, self.limits.counts)?;
                self.ingest(db, request, now_ms)
            }
            RemoteWriteVersion::V2 => {
                let limits = RequestLimitsV2 {
                    counts: self.limits.counts,
                    text_bytes: self.limits.decoded_bytes,
                };
                let request = v2.validate(message, limits)?;
                self.ingest(db, request.with_label_buffer(labels), now_ms)
            }
        });
        self.recycle_buffers(buffers);
        result
    }

    /// Stores an uncompressed `thanos.WriteRequest` of a Thanos Receive router.
    ///
    /// # Errors
    /// [`RemoteWriteError`], as [`RemoteWriter::store_with_budget`].
    pub fn store_thanos(
        &self,
        db: &Db,
        message: &[u8],
        now_ms: i64,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        self.precheck(message, BodyCompression::Plain)?;
        let mut buffers = self.pool.lock().pop().unwrap_or_default();
        let result = self.store_tenants(db, message, &mut buffers, now_ms);
        self.recycle_buffers(buffers);
        result
    }

    fn store_tenants(
        &self,
        db: &Db,
        message: &[u8],
        buffers: &mut RequestBuffers,
        now_ms: i64,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        let WriteLimits { counts, decoded_bytes, .. } = self.limits;
        let RequestBuffers { tenants: index, labels, .. } = buffers;
        let limits = TenantLimits { counts, tenant_bytes: decoded_bytes };
        let request = index.validate(message, limits)?;
        self.ingest(db, LabeledThanosWrite { request, tenants: &self.tenants, labels }, now_ms)
    }

    /// Stores a checked request and counts it.
    fn ingest(
        &self,
        db: &Db,
        request: impl WriteRequest,
        now_ms: i64,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        let outcome = ingest(db.appender()?, request, &self.limits.items, now_ms)?;
        self.metrics.count(&outcome, now_ms);
        Ok(outcome)
    }

    fn recycle_buffers(&self, buffers: RequestBuffers) {
        if buffers.retained_bytes() <= POOLED_BYTES {
            let mut pool = self.pool.lock();
            if pool.len() < POOLED_BUFFERS {
                pool.push(buffers);
            }
        }
    }
}
