//! Answering a remote read with SAMPLES (floats and native histograms), in the pieces of a snappy block or as it is.
//!
//! The answer is encoded by hand while the series are read: labels are already in the form of the wire, a sample is a few
//! bytes, and the bits of each value are kept (-0 too, which proto3's own encoders leave out). Samples and histograms of a series stand in
//! the order of time, which for a decoder is that of two lists. What is in memory is the
//! answer and one series. Blocks its thread; the same for HTTP and gRPC.

use crate::model::sample::Sample;
use crate::model::value::{Point, Value};
use crate::remote::answer_writer::{AnswerWriter, Gap};
use crate::remote::external_labels::ExternalLabels;
use crate::remote::histogram_encoder::HistogramEncoder;
use crate::remote::packed::BlockWriter;
use crate::remote::pb::prometheus as pb;
use crate::remote::plain::PlainWriter;
use crate::remote::read_request::{ReadError, Selection, Stop};
use crate::tsdb::db::Db;
use crate::tsdb::query::encoded::Readable;
use crate::tsdb::query::source::QueryError;
use bytes::Bytes;
use prost::encoding::{encode_varint, encoded_len_varint};

/// A series is kept whole up to this size; a longer one goes to the answer in parts.
const SERIES_BYTES: usize = 1 << 20;

/// Keys of fields with a length: `results` of ReadResponse, `timeseries` of QueryResult, `samples` and `histograms` of TimeSeries.
const RESULTS_KEY: u8 = 0x0a;
pub(super) const TIMESERIES_KEY: u8 = 0x0a;
const SAMPLES_KEY: u8 = 0x12;
const HISTOGRAMS_KEY: u8 = 0x22;
/// Keys of Sample: `value` (64 bits) and `timestamp` (varint).
const VALUE_KEY: u8 = 0x09;
const TIMESTAMP_KEY: u8 = 0x10;

/// How much an answer may be, and how it is given.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Samples and histograms of one query that is answered with samples; `None` for no limit.
    pub samples: Option<u64>,
    /// Bytes of such an answer, as it is sent.
    pub answer_bytes: usize,
    /// Bytes of a frame of a streamed answer.
    pub frame_bytes: usize,
    /// Which encodings go to the reader of a streamed answer as they are stored.
    pub readable: Readable,
}

/// What answers are made of.
#[derive(Debug, Clone)]
pub struct ReadSource<'a> {
    /// The data.
    pub db: &'a Db,
    /// What each series gets besides its own labels.
    pub external: ExternalLabels,
    /// The bounds of the answer.
    pub limits: ReadLimits,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// A `prometheus.ReadResponse`, in pieces.
    pub pieces: Vec<Bytes>,
    /// Samples and histograms in it.
    pub samples: u64,
}

/// Answers a request with a snappy block. `more` is told how many more bytes are in memory, and may say that it is enough.
///
/// # Errors
/// [`ReadError`]; there is no answer then, also no part of one.
pub fn answer(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    more: &mut dyn FnMut(usize) -> Result<(), Stop>,
) -> Result<Answer, ReadError> {
    answer_with::<BlockWriter>(source, request, more)
}

/// As [`answer`], not compressed.
///
/// # Errors
/// [`ReadError`]; there is no answer then, also no part of one.
pub fn answer_plain(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    more: &mut dyn FnMut(usize) -> Result<(), Stop>,
) -> Result<Answer, ReadError> {
    answer_with::<PlainWriter>(source, request, more)
}

fn answer_with<W: AnswerWriter>(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    more: &mut dyn FnMut(usize) -> Result<(), Stop>,
) -> Result<Answer, ReadError> {
    let mut answering = Answering {
        writer: W::default(),
        series: Vec::new(),
        histograms: HistogramEncoder::default(),
        source,
        samples: 0,
        known: 0,
        more,
    };
    for query in &request.queries {
        answering.query(query)?;
    }
    let Answering { writer, samples, .. } = answering;
    Ok(Answer { pieces: writer.finish()?, samples })
}

/// An answer while it is made.
struct Answering<'a, W> {
    writer: W,
    /// The fields of the series that is being read, as far as they are not with the writer yet.
    series: Vec<u8>,
    histograms: HistogramEncoder,
    source: ReadSource<'a>,
    samples: u64,
    /// Bytes that were told to `more`.
    known: usize,
    more: &'a mut dyn FnMut(usize) -> Result<(), Stop>,
}

impl<W: AnswerWriter> Answering<'_, W> {
    fn query(&mut self, query: &pb::Query) -> Result<(), ReadError> {
        let Selection { matchers, range } = Selection::new(query, &self.source.external)?;
        let result = self.writer.gap();
        let start = self.writer.content_len();
        let mut left = self.source.limits.samples.unwrap_or(u64::MAX);
        let querier = self.source.db.querier();
        for series in querier.select(&matchers, range)? {
            let series = series?;
            let labels = self.source.external.add(series.labels());
            self.add_series(labels.as_packed(), series.points(range), &mut left)?;
        }
        let len = self.writer.content_len() - start;
        self.writer.fill(result, &header(RESULTS_KEY, len));
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
            *left = left
                .checked_sub(1)
                .ok_or_else(|| ReadError::SampleLimit(self.source.limits.samples.unwrap_or(u64::MAX)))?;
            self.samples += 1;
            self.put_point(&point);
            if self.series.len() >= SERIES_BYTES {
                let writer = &mut self.writer;
                parts.get_or_insert_with(|| Parts { header: writer.gap(), start: writer.content_len() });
                self.flush_series()?;
            }
        }
        match parts {
            None if empty => {}
            None => {
                self.writer.write(&header(TIMESERIES_KEY, self.series.len() as u64));
                self.flush_series()?;
            }
            Some(Parts { header: gap, start }) => {
                self.flush_series()?;
                let len = self.writer.content_len() - start;
                self.writer.fill(gap, &header(TIMESERIES_KEY, len));
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
        self.writer.write(&self.series);
        self.series.clear();
        let written = self.writer.written_len();
        if written > self.source.limits.answer_bytes {
            return Err(ReadError::AnswerLimit(self.source.limits.answer_bytes));
        }
        (self.more)(written - self.known)?;
        self.known = written;
        Ok(())
    }
}

/// A series that goes to the writer in parts: the gap for its header, and where its content begins.
struct Parts {
    header: Gap,
    start: u64,
}

/// The key and length in front of a message.
pub(super) fn header(key: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![key];
    encode_varint(len, &mut bytes);
    bytes
}

pub(super) fn put_sample(out: &mut Vec<u8>, sample: Sample) {
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
