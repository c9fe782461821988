//! Storing a remote write request: from the bytes of a body to what became of each sample.
//!
//! Blocks its thread (it waits for the log), knows no clock (the time is an argument), and is the same for HTTP and gRPC. Nothing
//! is stored of a request that is over a limit or not a request; of any other, what is good is stored and the rest is said.
//! For floats of series that are known nothing is allocated: buffers come from a pool and labels stay where they are.

use crate::remote::limits::WriteLimits;
use crate::remote::metrics::WriteMetrics;
use crate::remote::outcome::Outcome;
use crate::remote::reader::{ReadError, RequestIndex};
use crate::remote::storing::Storing;
use crate::remote::v2;
use crate::remote::v2::reader::Bounds;
use crate::tsdb::db::Db;
use crate::tsdb::db::appender::Unavailable;
use crate::tsdb::wal::error::WalError;
use parking_lot::Mutex;

/// Buffers that are kept for later requests, and how large each may be.
const POOLED_BUFFERS: usize = 32;
const POOLED_BYTES: usize = 2 << 20;

/// How the bytes of a body are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all (gRPC).
    Plain,
    /// As a snappy block (HTTP).
    SnappyBlock,
}

/// Which message a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`: remote write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request`: remote write 2.0.
    V2,
}

/// What the bytes of a request are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The message.
    pub version: Version,
    /// How it is packed.
    pub packing: Packing,
}

/// Why nothing of a request was stored, or it is not known what.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The body is not packed as was said.
    #[error("the body is not a snappy block: {0}")]
    NotSnappy(#[from] snap::Error),
    /// The body can be seen to be packed in another way.
    #[error("the body is {0}, not a snappy block")]
    OtherPacking(&'static str),
    /// It says that it is larger than a request may be.
    #[error("the request has {size} bytes after decompression, the limit is {limit}")]
    TooLarge {
        /// Bytes, as the body declares them.
        size: usize,
        /// Bytes that are taken.
        limit: usize,
    },
    /// It is not a request, or has too much in it.
    #[error(transparent)]
    Request(#[from] ReadError),
    /// No write is taken now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The log failed while it was stored.
    #[error("the write-ahead log failed: {0}")]
    Log(#[from] WalError),
}

/// Stores requests.
#[derive(Debug)]
pub struct Writer {
    limits: WriteLimits,
    metrics: WriteMetrics,
    pool: Mutex<Vec<Buffers>>,
}

/// What a request needs while it is stored.
#[derive(Debug, Default)]
struct Buffers {
    decoded: Vec<u8>,
    index: RequestIndex,
    v2: v2::reader::RequestIndex,
    /// Labels of one series of a 2.0 request.
    labels: Vec<u8>,
}

impl Buffers {
    fn kept_bytes(&self) -> usize {
        self.decoded.capacity() + self.index.kept_bytes() + self.v2.kept_bytes() + self.labels.capacity()
    }
}

impl Writer {
    /// A writer with these limits.
    #[must_use]
    pub fn new(limits: WriteLimits, metrics: WriteMetrics) -> Self {
        Self { limits, metrics, pool: Mutex::default() }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &WriteLimits {
        &self.limits
    }

    /// How many bytes the body will take when it is unpacked; to be asked before memory is set aside for it.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`], or [`WriteError::NotSnappy`] where the body does not begin with a length.
    pub fn unpacked_len(&self, body: &[u8], packing: Packing) -> Result<usize, WriteError> {
        let size = match packing {
            Packing::Plain => body.len(),
            Packing::SnappyBlock if body.is_empty() => return Err(snap::Error::Empty.into()),
            Packing::SnappyBlock => snap::raw::decompress_len(body).map_err(|error| not_snappy(body, error))?,
        };
        let limit = self.limits.decoded_bytes;
        if size > limit { Err(WriteError::TooLarge { size, limit }) } else { Ok(size) }
    }

    /// Stores a request. `now_ms` is the time, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`WriteError`]; except for [`WriteError::Log`] nothing was stored then.
    pub fn store(&self, db: &Db, body: &[u8], form: Form, now_ms: i64) -> Result<Outcome, WriteError> {
        let size = self.unpacked_len(body, form.packing)?;
        let mut buffers = self.pool.lock().pop().unwrap_or_default();
        let Buffers { decoded, index, v2, labels } = &mut buffers;
        let result = unpack(body, form.packing, size, decoded).and_then(|request| match form.version {
            Version::V1 => {
                index.read(request, self.limits.counts)?;
                self.store_request(db, request, index, now_ms)
            }
            Version::V2 => {
                let bounds = Bounds { counts: self.limits.counts, text_bytes: self.limits.decoded_bytes };
                v2.read(request, bounds)?;
                self.store_request_v2(db, RequestV2 { body: request, index: v2 }, labels, now_ms)
            }
        });
        self.give_back(buffers);
        result
    }

    fn store_request(&self, db: &Db, body: &[u8], index: &RequestIndex, now_ms: i64) -> Result<Outcome, WriteError> {
        let mut storing = Storing::new(db.appender()?, &self.limits, now_ms);
        for series in index.series(body) {
            storing.store_points(&series);
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
        self.metrics.count(&outcome, families);
        Ok(outcome)
    }

    fn store_request_v2(
        &self,
        db: &Db,
        request: RequestV2<'_>,
        labels: &mut Vec<u8>,
        now_ms: i64,
    ) -> Result<Outcome, WriteError> {
        let RequestV2 { body, index } = request;
        let mut storing = Storing::new(db.appender()?, &self.limits, now_ms);
        for series in index.series(body) {
            if series.is_empty() {
                storing.refuse_empty(&series);
            } else {
                storing.store_points(&series.pack(labels));
            }
        }
        // Behind all points, and alone: senders give an exemplar a series entry of its own.
        if index.has_exemplars() {
            index
                .series(body)
                .filter(v2::series::Series::has_exemplars)
                .for_each(|series| storing.store_exemplars(&series));
        }
        let outcome = storing.commit()?;
        self.metrics.count(&outcome, 0);
        Ok(outcome)
    }

    fn give_back(&self, buffers: Buffers) {
        if buffers.kept_bytes() <= POOLED_BYTES {
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
    index: &'a v2::reader::RequestIndex,
}

/// The request, which has `size` bytes, unpacked into the buffer if it is packed.
fn unpack<'a>(body: &'a [u8], packing: Packing, size: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], WriteError> {
    if packing == Packing::Plain {
        return Ok(body);
    }
    // Only ever grown, so that what was used before is not cleared again.
    if buffer.len() < size {
        buffer.resize(size, 0);
    }
    let request = &mut buffer[..size];
    snap::raw::Decoder::new().decompress(body, request).map_err(|error| not_snappy(body, error))?;
    Ok(request)
}

/// Tells a body of another format from a damaged one. None of these can begin a snappy block: the first element would copy
/// from before the start.
fn not_snappy(body: &[u8], error: snap::Error) -> WriteError {
    const OTHERS: [(&[u8], &str); 3] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xff\x06\x00\x00sNaPpY", "in snappy's framing format"),
    ];
    match OTHERS.iter().find(|(magic, _)| body.starts_with(magic)) {
        Some((_, name)) => WriteError::OtherPacking(name),
        None => WriteError::NotSnappy(error),
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "write_v2_tests.rs"]
mod v2_tests;
