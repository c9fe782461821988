//! Storing a remote write 1.0 request: from the bytes of a body to what became of each sample.
//!
//! Blocks its thread (it waits for the log), knows no clock (the time is an argument), and is the same for HTTP and gRPC. Nothing
//! is stored of a request that is over a limit or not a request; of any other, what is good is stored and the rest is said.
//! For series that are known nothing is allocated: buffers come from a pool and labels stay where they are.

use crate::model::labels::{LabelError, Labels, LabelsBuilder, METRIC_NAME};
use crate::model::value::Point;
use crate::remote::metadata::{FamilyMetadata, MetadataLimits};
use crate::remote::metrics::WriteMetrics;
use crate::remote::outcome::Outcome;
use crate::remote::reader::{CountLimits, ReadError, RequestIndex};
use crate::remote::refusal::{Reason, Refusals, SeriesRefusals};
use crate::remote::series::Series;
use crate::tsdb::db::Db;
use crate::tsdb::db::appender::{Appender, Unavailable};
use crate::tsdb::head::append::metadata::FamilyError;
use crate::tsdb::wal::error::WalError;
use parking_lot::Mutex;
use std::fmt;

/// Buffers that are kept for later requests, and how large each may be.
const POOLED_BUFFERS: usize = 32;
const POOLED_BYTES: usize = 2 << 20;

/// How much is taken.
#[derive(Debug, Clone, Copy)]
pub struct WriteLimits {
    /// Bytes of a request after decompression.
    pub decoded_bytes: usize,
    /// Series and samples of a request.
    pub counts: CountLimits,
    /// Labels of a series that is not known.
    pub labels: LabelLimits,
    /// Metadata of a metric family.
    pub metadata: MetadataLimits,
    /// How far ahead of the clock a sample may be, ms.
    pub max_future_ms: i64,
}

/// How large the labels of a new series may be.
#[derive(Debug, Clone, Copy)]
pub struct LabelLimits {
    /// How many labels.
    pub count: usize,
    /// Bytes of a name.
    pub name_bytes: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
}

/// How the bytes of a body are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all (gRPC).
    Plain,
    /// As a snappy block (HTTP).
    SnappyBlock,
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
    pub fn store(&self, db: &Db, body: &[u8], packing: Packing, now_ms: i64) -> Result<Outcome, WriteError> {
        let size = self.unpacked_len(body, packing)?;
        let mut buffers = self.pool.lock().pop().unwrap_or_default();
        let Buffers { decoded, index } = &mut buffers;
        let result = unpack(body, packing, size, decoded).and_then(|request| {
            index.read(request, self.limits.counts)?;
            self.store_request(db, request, index, now_ms)
        });
        self.give_back(buffers);
        result
    }

    fn store_request(&self, db: &Db, body: &[u8], index: &RequestIndex, now_ms: i64) -> Result<Outcome, WriteError> {
        let mut storing = Storing {
            appender: db.appender()?,
            latest: now_ms.saturating_add(self.limits.max_future_ms),
            labels: self.limits.labels,
            outcome: Outcome { samples: 0, refusals: Refusals::default() },
        };
        for series in index.series(body) {
            storing.store(&series);
        }
        let mut families = 0;
        for entry in index.metadata(body) {
            families += 1;
            storing.store_metadata(entry, &self.limits.metadata)?;
        }
        let Storing { appender, outcome, .. } = storing;
        appender.commit()?;
        self.metrics.count(&outcome, families);
        Ok(outcome)
    }

    fn give_back(&self, buffers: Buffers) {
        if buffers.decoded.capacity() + buffers.index.kept_bytes() <= POOLED_BYTES {
            let mut pool = self.pool.lock();
            if pool.len() < POOLED_BUFFERS {
                pool.push(buffers);
            }
        }
    }
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

/// A request while it is stored.
struct Storing<'a> {
    appender: Appender<'a>,
    /// The last timestamp that is not too far ahead.
    latest: i64,
    labels: LabelLimits,
    outcome: Outcome,
}

impl Storing<'_> {
    fn store(&mut self, series: &Series<'_>) {
        self.refuse_unsupported(series);
        let count = series.samples().len() as u64;
        if count == 0 {
            return;
        }
        let refused = SeriesRefusals::default();
        let reject = |point: Point, rejection| refused.note(Reason::from(rejection), point.t);
        let samples = self.timely(series, &refused);
        let known = match series.packed_labels() {
            Some(packed) => self.appender.append_known(packed, samples, reject),
            None => false,
        };
        if !known {
            let labels = match canonical(series, &self.labels) {
                Ok(labels) => labels,
                Err(error) => return self.outcome.refusals.add(Reason::BadLabels, count, series.labels(), &error),
            };
            let samples = self.timely(series, &refused);
            if let Err(error) = self.appender.append(&labels, samples, reject) {
                return self.outcome.refusals.add(Reason::SeriesLimit, count, series.labels(), &error);
            }
        }
        self.outcome.samples += count - self.outcome.refusals.add_series(&refused, series.labels());
    }

    /// Stores what is said of a metric family.
    ///
    /// # Errors
    /// Where the log can't be written.
    fn store_metadata(&mut self, entry: FamilyMetadata<'_>, limits: &MetadataLimits) -> Result<(), WalError> {
        let refused: &dyn fmt::Display = match entry.to_metadata(limits) {
            Ok(metadata) => match self.appender.set_family_metadata(entry.family, &metadata) {
                Ok(()) => return Ok(()),
                Err(FamilyError::Log(error)) => return Err(error),
                Err(FamilyError::Limit(limit)) => &{ limit },
            },
            Err(bad) => &{ bad },
        };
        self.outcome.refusals.add(Reason::Metadata, 1, std::iter::once((METRIC_NAME, entry.family)), refused);
        Ok(())
    }

    /// The samples of a series that are not too far ahead; the others are noted.
    fn timely<'s>(&self, series: &Series<'s>, refused: &'s SeriesRefusals) -> impl Iterator<Item = Point> + use<'s> {
        let latest = self.latest;
        series.samples().map(Point::from).filter(move |point| {
            let timely = point.t <= latest;
            if !timely {
                refused.note(Reason::TooFarAhead, point.t);
            }
            timely
        })
    }

    /// Says what of the series this version has no place for.
    fn refuse_unsupported(&mut self, series: &Series<'_>) {
        for (reason, count) in [(Reason::Histogram, series.histograms()), (Reason::Exemplar, series.exemplars())] {
            if count > 0 {
                self.outcome.refusals.add(reason, u64::from(count), series.labels(), &reason);
            }
        }
    }
}

/// Why labels don't name a series.
#[derive(Debug, thiserror::Error)]
enum BadLabels {
    #[error(transparent)]
    NotASet(#[from] LabelError),
    #[error("no metric name")]
    NoMetricName,
    #[error("{0} labels, the limit is {1}")]
    TooMany(usize, usize),
    #[error("label name of {0} bytes, the limit is {1}")]
    LongName(usize, usize),
    #[error("label value of {0} bytes, the limit is {1}")]
    LongValue(usize, usize),
}

/// The label set that the labels of a series mean, in whatever order and form they were sent.
fn canonical(series: &Series<'_>, limits: &LabelLimits) -> Result<Labels, BadLabels> {
    let count = series.labels().count();
    if count > limits.count {
        return Err(BadLabels::TooMany(count, limits.count));
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in series.labels() {
        if name.len() > limits.name_bytes {
            return Err(BadLabels::LongName(name.len(), limits.name_bytes));
        }
        if value.len() > limits.value_bytes {
            return Err(BadLabels::LongValue(value.len(), limits.value_bytes));
        }
        builder.add(name, value);
    }
    let labels = builder.build()?;
    if labels.get(METRIC_NAME).is_none() { Err(BadLabels::NoMetricName) } else { Ok(labels) }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
