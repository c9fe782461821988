//! Answering a remote read with SAMPLES (floats and native histograms): from the bytes of a request to the pieces of a compressed answer.
//!
//! The answer is encoded by hand while the series are read: labels are already in the form of the wire, a sample is a few
//! bytes, and the bits of each value are kept (-0 too, which proto3's own encoders leave out). Samples and histograms of a series stand in
//! the order of time, which for a decoder is that of two lists. What is in memory is the
//! compressed answer and one series. Blocks its thread; the same for HTTP and, later, gRPC.

use crate::model::matcher::error::MatcherError;
use crate::model::matcher::{MatchKind, Matcher};
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::model::value::{Point, Value};
use crate::remote::histogram_encoder::HistogramEncoder;
use crate::remote::packed::{BlockWriter, Gap, TooLong};
use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus::label_matcher::Type;
use crate::remote::pb::prometheus::read_request::ResponseType;
use crate::tsdb::db::Db;
use crate::tsdb::query::source::QueryError;
use bytes::Bytes;
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

/// Largest request after decompression. Matchers are short; with dozens of them it is a few KiB.
const MAX_REQUEST_BYTES: usize = 1 << 20;
/// Most queries, and matchers of one query.
const MAX_QUERIES: usize = 1000;
const MAX_MATCHERS: usize = 1000;
/// A series is kept whole up to this size; a longer one goes to the answer in parts.
const SERIES_BYTES: usize = 1 << 20;

/// Keys of fields with a length: `results` of ReadResponse, `timeseries` of QueryResult, `samples` and `histograms` of TimeSeries.
const RESULTS_KEY: u8 = 0x0a;
const TIMESERIES_KEY: u8 = 0x0a;
const SAMPLES_KEY: u8 = 0x12;
const HISTOGRAMS_KEY: u8 = 0x22;
/// Keys of Sample: `value` (64 bits) and `timestamp` (varint).
const VALUE_KEY: u8 = 0x09;
const TIMESTAMP_KEY: u8 = 0x10;

/// How much an answer may be.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Samples and histograms of one query; `None` for no limit.
    pub samples: Option<u64>,
    /// Bytes of the whole answer, compressed.
    pub answer_bytes: usize,
}

/// Why a read was given up by who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// There is no memory for it now.
    #[error("too many bytes in flight")]
    Busy,
    /// Nobody waits for the answer any more.
    #[error("the client is gone")]
    Gone,
}

/// Why a read has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The body is not a snappy block.
    #[error("the body is not a snappy block: {0}")]
    NotSnappy(#[from] snap::Error),
    /// The request is too large.
    #[error("the request has {size} bytes after decompression, the limit is {limit}", limit = MAX_REQUEST_BYTES)]
    TooLarge {
        /// Bytes, as the body declares them.
        size: usize,
    },
    /// It is not a request.
    #[error("the body is not a prometheus.ReadRequest: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// Too many queries or matchers.
    #[error("the request has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// No way of answering that is asked for is known.
    #[error("none of the accepted response types is supported: {0:?}; supported: [SAMPLES]")]
    ResponseType(Vec<i32>),
    /// A matcher of an unknown kind.
    #[error("unknown matcher type {0}")]
    MatcherType(i32),
    /// A matcher that can't be.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// More samples than allowed.
    #[error("exceeded sample limit ({0})")]
    SampleLimit(u64),
    /// A larger answer than allowed.
    #[error("the answer is larger than {0} bytes: ask for fewer series or a shorter time")]
    AnswerLimit(usize),
    /// A larger answer than can be.
    #[error("the answer is {0}")]
    TooLong(#[from] TooLong),
    /// Given up.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// The data can't be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// A snappy block of `prometheus.ReadResponse`, in pieces.
    pub pieces: Vec<Bytes>,
    /// Samples and histograms in it.
    pub samples: u64,
}

/// Reads a request.
///
/// # Errors
/// [`ReadError`] for whatever is not a request that can be answered.
pub fn decode_request(body: &[u8]) -> Result<pb::ReadRequest, ReadError> {
    if body.is_empty() {
        return Err(snap::Error::Empty.into());
    }
    let size = snap::raw::decompress_len(body)?;
    if size > MAX_REQUEST_BYTES {
        return Err(ReadError::TooLarge { size });
    }
    let request = pb::ReadRequest::decode(&snap::raw::Decoder::new().decompress_vec(body)?[..])?;
    if request.queries.len() > MAX_QUERIES {
        return Err(ReadError::TooMany { what: "queries", limit: MAX_QUERIES });
    }
    if request.queries.iter().any(|query| query.matchers.len() > MAX_MATCHERS) {
        return Err(ReadError::TooMany { what: "matchers in a query", limit: MAX_MATCHERS });
    }
    let accepted = &request.accepted_response_types;
    if !accepted.is_empty() && !accepted.contains(&(ResponseType::Samples as i32)) {
        return Err(ReadError::ResponseType(accepted.clone()));
    }
    Ok(request)
}

/// Answers a request. `more` is told how many more bytes are in memory, and may say that it is enough.
///
/// # Errors
/// [`ReadError`]; there is no answer then, also no part of one.
pub fn answer(
    db: &Db,
    request: &pb::ReadRequest,
    limits: ReadLimits,
    more: &mut dyn FnMut(usize) -> Result<(), Stop>,
) -> Result<Answer, ReadError> {
    let mut answering = Answering {
        block: BlockWriter::default(),
        series: Vec::new(),
        histograms: HistogramEncoder::default(),
        limits,
        samples: 0,
        known: 0,
        more,
    };
    for query in &request.queries {
        answering.query(db, query)?;
    }
    let Answering { block, samples, .. } = answering;
    Ok(Answer { pieces: block.finish()?, samples })
}

/// The matchers of a query.
///
/// # Errors
/// [`ReadError::MatcherType`], [`ReadError::Matcher`].
pub fn matchers(wire: &[pb::LabelMatcher]) -> Result<Vec<Matcher>, ReadError> {
    let matcher = |matcher: &pb::LabelMatcher| {
        let kind = match Type::try_from(matcher.r#type) {
            Ok(Type::Eq) => MatchKind::Equal,
            Ok(Type::Neq) => MatchKind::NotEqual,
            Ok(Type::Re) => MatchKind::Regex,
            Ok(Type::Nre) => MatchKind::NotRegex,
            Err(_) => return Err(ReadError::MatcherType(matcher.r#type)),
        };
        Ok(Matcher::new(kind, &matcher.name, &matcher.value)?)
    };
    wire.iter().map(matcher).collect()
}

/// An answer while it is made.
struct Answering<'a> {
    block: BlockWriter,
    /// The fields of the series that is being read, as far as they are not in the block yet.
    series: Vec<u8>,
    histograms: HistogramEncoder,
    limits: ReadLimits,
    samples: u64,
    /// Bytes that were told to `more`.
    known: usize,
    more: &'a mut dyn FnMut(usize) -> Result<(), Stop>,
}

impl Answering<'_> {
    fn query(&mut self, db: &Db, query: &pb::Query) -> Result<(), ReadError> {
        let matchers = matchers(&query.matchers)?;
        let range = TimeRange::new(query.start_timestamp_ms, query.end_timestamp_ms);
        let result = self.block.gap();
        let start = self.block.content_len();
        let mut left = self.limits.samples.unwrap_or(u64::MAX);
        let querier = db.querier();
        for series in querier.select(&matchers, range)? {
            let series = series?;
            self.add_series(series.labels().as_packed(), series.points(range), &mut left)?;
        }
        let len = self.block.content_len() - start;
        self.block.fill(result, &header(RESULTS_KEY, len));
        Ok(())
    }

    /// Adds a series, if it has points.
    fn add_series(
        &mut self,
        packed_labels: &[u8],
        points: impl Iterator<Item = Result<Point, QueryError>>,
        left: &mut u64,
    ) -> Result<(), ReadError> {
        self.series.clear();
        self.series.extend_from_slice(packed_labels);
        let mut parts: Option<Parts> = None;
        let mut empty = true;
        for point in points {
            let point = point?;
            empty = false;
            *left =
                left.checked_sub(1).ok_or_else(|| ReadError::SampleLimit(self.limits.samples.unwrap_or(u64::MAX)))?;
            self.samples += 1;
            self.put_point(&point);
            if self.series.len() >= SERIES_BYTES {
                let block = &mut self.block;
                parts.get_or_insert_with(|| Parts { header: block.gap(), start: block.content_len() });
                self.flush_series()?;
            }
        }
        match parts {
            None if empty => {}
            None => {
                self.block.write(&header(TIMESERIES_KEY, self.series.len() as u64));
                self.flush_series()?;
            }
            Some(Parts { header: gap, start }) => {
                self.flush_series()?;
                let len = self.block.content_len() - start;
                self.block.fill(gap, &header(TIMESERIES_KEY, len));
            }
        }
        Ok(())
    }

    fn put_point(&mut self, point: &Point) {
        let message = match &point.value {
            Value::Float(v) => return put_sample(&mut self.series, Sample::new(point.t, *v)),
            Value::Histogram(histogram) => self.histograms.integer(point.t, histogram),
            Value::FloatHistogram(histogram) => self.histograms.float(point.t, histogram),
        };
        self.series.push(HISTOGRAMS_KEY);
        encode_varint(message.len() as u64, &mut self.series);
        self.series.extend_from_slice(message);
    }

    fn flush_series(&mut self) -> Result<(), ReadError> {
        self.block.write(&self.series);
        self.series.clear();
        let packed = self.block.packed_len();
        if packed > self.limits.answer_bytes {
            return Err(ReadError::AnswerLimit(self.limits.answer_bytes));
        }
        (self.more)(packed - self.known)?;
        self.known = packed;
        Ok(())
    }
}

/// A series that goes to the block in parts: the gap for its header, and where its content begins.
struct Parts {
    header: Gap,
    start: u64,
}

/// The key and length in front of a message.
fn header(key: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![key];
    encode_varint(len, &mut bytes);
    bytes
}

fn put_sample(out: &mut Vec<u8>, sample: Sample) {
    let (bits, t) = (sample.v.to_bits(), sample.t as u64);
    // Fields that are zero are left out; -0 is not zero here.
    let value_len = if bits == 0 { 0 } else { 9 };
    let timestamp_len = if t == 0 { 0 } else { 1 + encoded_len_varint(t) };
    out.extend_from_slice(&[SAMPLES_KEY, (value_len + timestamp_len) as u8]);
    if value_len > 0 {
        out.push(VALUE_KEY);
        out.extend_from_slice(&bits.to_le_bytes());
    }
    if timestamp_len > 0 {
        out.push(TIMESTAMP_KEY);
        encode_varint(t, out);
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
