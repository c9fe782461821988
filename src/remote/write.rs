//! Storing a remote write request: from the bytes of a body to what became of each sample.
//!
//! Blocks its thread (it waits for the log), knows no clock (the time is an argument), and is the same for HTTP and gRPC. Nothing
//! is stored of a request that is over a limit or not a request; of any other, what is good is stored and the rest is said.
//! For floats of series that are known nothing is allocated: buffers come from a pool and labels stay where they are.

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress;
use crate::remote::decompress::BodyDecompressor;
use crate::remote::decompress::output::{DecompressBudget, DecompressError, OutOfBudget};
use crate::remote::ingester::RequestIngester;
use crate::remote::limits::WriteLimits;
use crate::remote::metrics::WriteMetrics;
use crate::remote::request_index_v1::{DecodeWriteRequestError, RequestIndexV1};
use crate::remote::thanos;
use crate::remote::thanos::ingest::ThanosBuffers;
use crate::remote::thanos::request_index::TenantLimits;
use crate::remote::thanos::tenant::TenantLabel;
use crate::remote::v2;
use crate::remote::v2::request_index::RequestLimitsV2;
use crate::remote::write_outcome::WriteOutcome;
use crate::tsdb::db::Db;
use crate::tsdb::db::appender::WriteUnavailable;
use crate::tsdb::wal::error::WalError;
use parking_lot::Mutex;

/// Buffers that are kept for later requests, and how large each may be.
const POOLED_BUFFERS: usize = 32;
const POOLED_BYTES: usize = 2 << 20;

/// Which message a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteWriteVersion {
    /// `prometheus.WriteRequest`: remote write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request`: remote write 2.0.
    V2,
}

/// What the bytes of a request are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireFormat {
    /// The message.
    pub version: RemoteWriteVersion,
    /// How it is packed.
    pub packing: BodyCompression,
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedRequest<'a> {
    /// Its bytes.
    pub body: &'a [u8],
    /// What they are.
    pub form: WireFormat,
    /// When: milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// Why nothing of a request was stored, or it is not known what.
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    /// The body can't be unpacked.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// It is not a request, or has too much in it.
    #[error(transparent)]
    Request(#[from] DecodeWriteRequestError),
    /// The same, of a Thanos Receive router's.
    #[error(transparent)]
    ThanosRequest(#[from] thanos::request_index::DecodeThanosRequestError),
    /// No write is taken now.
    #[error(transparent)]
    Unavailable(#[from] WriteUnavailable),
    /// The log failed while it was stored.
    #[error("the write-ahead log failed: {0}")]
    Log(#[from] WalError),
}

/// Stores requests.
#[derive(Debug)]
pub struct RemoteWriter {
    limits: WriteLimits,
    metrics: WriteMetrics,
    tenants: TenantLabel,
    pool: Mutex<Vec<RequestBuffers>>,
}

/// What a request needs while it is stored.
#[derive(Debug, Default)]
struct RequestBuffers {
    unpacker: BodyDecompressor,
    index: RequestIndexV1,
    v2: v2::request_index::RequestIndexV2,
    /// Labels of one series of a 2.0 request.
    labels: Vec<u8>,
    tenants: ThanosBuffers,
}

impl RequestBuffers {
    fn retained_bytes(&self) -> usize {
        let read =
            self.index.retained_bytes() + self.v2.retained_bytes() + self.tenants.retained_bytes();
        self.unpacker.retained_bytes() + read + self.labels.capacity()
    }
}

/// What tenants' labels are named unless it is said: Thanos's own name for it.
const TENANT_LABEL: &str = "tenant_id";

impl RemoteWriter {
    /// A writer with these limits.
    #[must_use]
    pub fn new(limits: WriteLimits, metrics: WriteMetrics) -> Self {
        Self { limits, metrics, tenants: TenantLabel::new(TENANT_LABEL), pool: Mutex::default() }
    }

    /// The same writer, that keeps tenants so.
    #[must_use]
    pub fn with_tenants(self, tenants: TenantLabel) -> Self {
        Self { tenants, ..self }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &WriteLimits {
        &self.limits
    }

    /// What can be said of a body before memory is taken for it.
    ///
    /// # Errors
    /// [`RemoteWriteError::Decompress`] where it does not begin as it should, or declares more than a request may have.
    pub fn precheck(&self, body: &[u8], packing: BodyCompression) -> Result<(), RemoteWriteError> {
        // What writes nothing where it should write an empty message is no sender.
        if body.is_empty() && packing != BodyCompression::Plain {
            return Err(DecompressError::Malformed {
                named: packing,
                why: "it is empty".to_owned(),
            }
            .into());
        }
        Ok(decompress::precheck(packing, body, self.limits.decoded_bytes)?)
    }

    /// Stores a request. `now_ms` is the time, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`RemoteWriteError`]; nothing was stored then, except for [`RemoteWriteError::Log`]: samples may be in
    /// the head, in the queue of the WAL or in the WAL, and a retry stores each of them once.
    pub fn store(
        &self,
        db: &Db,
        body: &[u8],
        form: WireFormat,
        now_ms: i64,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        self.store_with_budget(db, ReceivedRequest { body, form, now_ms }, &mut |_| Ok(()))
    }

    /// Stores a request, with the memory for what is unpacked asked for before it is taken.
    ///
    /// # Errors
    /// [`RemoteWriteError`]; nothing was stored then, except for [`RemoteWriteError::Log`]: samples may be in
    /// the head, in the queue of the WAL or in the WAL, and a repeat stores each of them once.
    pub fn store_with_budget(
        &self,
        db: &Db,
        arrived: ReceivedRequest<'_>,
        grant: &mut dyn FnMut(usize) -> Result<(), OutOfBudget>,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        let ReceivedRequest { body, form, now_ms } = arrived;
        self.precheck(body, form.packing)?;
        let room = DecompressBudget { limit: self.limits.decoded_bytes, grant };
        let mut buffers = self.pool.lock().pop().unwrap_or_default();
        let RequestBuffers { unpacker, index, v2, labels, .. } = &mut buffers;
        let unpacked =
            unpacker.decompress(form.packing, body, room).map_err(RemoteWriteError::from);
        let result = unpacked.and_then(|request| match form.version {
            RemoteWriteVersion::V1 => {
                index.read(request, self.limits.counts)?;
                self.store_request(db, request, index, now_ms)
            }
            RemoteWriteVersion::V2 => {
                let bounds = RequestLimitsV2 {
                    counts: self.limits.counts,
                    text_bytes: self.limits.decoded_bytes,
                };
                v2.read(request, bounds)?;
                self.store_request_v2(db, RequestV2 { body: request, index: v2 }, labels, now_ms)
            }
        });
        self.recycle_buffers(buffers);
        result
    }

    /// Stores what a Thanos Receive router forwards, a `thanos.WriteRequest` as it is.
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
        let result = self.store_tenants(db, message, &mut buffers.tenants, now_ms);
        self.recycle_buffers(buffers);
        result
    }

    fn store_tenants(
        &self,
        db: &Db,
        message: &[u8],
        buffers: &mut ThanosBuffers,
        now_ms: i64,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        let WriteLimits { counts, decoded_bytes, .. } = self.limits;
        buffers.read(message, TenantLimits { counts, tenant_bytes: decoded_bytes })?;
        let mut storing = RequestIngester::new(db.appender()?, &self.limits, now_ms);
        buffers.store(message, &self.tenants, &mut storing);
        let outcome = storing.commit()?;
        self.metrics.count(&outcome, 0, now_ms);
        Ok(outcome)
    }

    fn store_request(
        &self,
        db: &Db,
        body: &[u8],
        index: &RequestIndexV1,
        now_ms: i64,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        let mut storing = RequestIngester::new(db.appender()?, &self.limits, now_ms);
        for series in index.series(body) {
            storing.ingest_samples(&series);
        }
        // Behind all points: an exemplar may stand in front of the series that it is of.
        if index.has_exemplars() {
            index.series(body).for_each(|series| storing.store_exemplars(&series));
        }
        let mut families = 0;
        for entry in index.metadata(body) {
            families += 1;
            storing.store_metadata(entry)?;
        }
        let outcome = storing.commit()?;
        self.metrics.count(&outcome, families, now_ms);
        Ok(outcome)
    }

    fn store_request_v2(
        &self,
        db: &Db,
        request: RequestV2<'_>,
        labels: &mut Vec<u8>,
        now_ms: i64,
    ) -> Result<WriteOutcome, RemoteWriteError> {
        let RequestV2 { body, index } = request;
        let mut storing = RequestIngester::new(db.appender()?, &self.limits, now_ms);
        for series in index.series(body) {
            if series.is_empty() {
                storing.reject_empty(&series);
            } else {
                storing.ingest_samples(&series.with_label_bytes(labels));
            }
        }
        // Behind all points, and alone: senders give an exemplar a series entry of its own.
        if index.has_exemplars() {
            index
                .series(body)
                .filter(v2::series::SeriesV2::has_exemplars)
                .for_each(|series| storing.store_exemplars(&series));
        }
        let outcome = storing.commit()?;
        self.metrics.count(&outcome, 0, now_ms);
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

/// A 2.0 request that was checked.
#[derive(Clone, Copy)]
struct RequestV2<'a> {
    body: &'a [u8],
    index: &'a v2::request_index::RequestIndexV2,
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "write_v2_tests.rs"]
mod v2_tests;
