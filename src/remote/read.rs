//! Answering a remote read with SAMPLES (floats and native histograms), in the pieces of a snappy block or as it is.
//!
//! The answer is encoded by hand while the series are read: labels are already in the form of the wire, a sample is a few
//! bytes, and the bits of each value are kept (-0 too, which proto3's own encoders leave out). Samples and histograms of a series stand in
//! the order of time, which for a decoder is that of two lists. What is in memory is the
//! answer and one series. Blocks its thread; the same for HTTP and gRPC.

use crate::model::float_sample::FloatSample;
use crate::model::sample::{Sample, SampleValue};
use crate::remote::external_labels::ExternalLabels;
use crate::remote::histogram_encoder::HistogramEncoder;
use crate::remote::pb::prometheus as pb;
use crate::remote::plain_writer::PlainWriter;
use crate::remote::read_request::{ReadAbort, ReadSelection, RemoteReadError};
use crate::remote::response_writer::{Placeholder, ResponseWriter};
use crate::remote::snappy_writer::SnappyWriter;
use crate::tsdb::db::Db;
use crate::tsdb::query::chunk_iter::SupportedEncodings;
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
/// Keys of Sample: `sample` (64 bits) and `timestamp` (varint).
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
    pub readable: SupportedEncodings,
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
pub struct SamplesResponse {
    /// A `prometheus.ReadResponse`, in pieces.
    pub pieces: Vec<Bytes>,
    /// Samples and histograms in it.
    pub samples: u64,
}

/// Answers a request with a snappy block. `reserve` is told how many more bytes are in memory, and may say that it is enough.
///
/// # Errors
/// [`RemoteReadError`]; there is no answer then, also no part of one.
pub fn read_samples(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    more: &mut dyn FnMut(usize) -> Result<(), ReadAbort>,
) -> Result<SamplesResponse, RemoteReadError> {
    read_samples_with::<SnappyWriter>(source, request, more)
}

/// As [`read_samples`], not compressed.
///
/// # Errors
/// [`RemoteReadError`]; there is no answer then, also no part of one.
pub fn read_samples_plain(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    more: &mut dyn FnMut(usize) -> Result<(), ReadAbort>,
) -> Result<SamplesResponse, RemoteReadError> {
    read_samples_with::<PlainWriter>(source, request, more)
}

fn read_samples_with<W: ResponseWriter>(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    more: &mut dyn FnMut(usize) -> Result<(), ReadAbort>,
) -> Result<SamplesResponse, RemoteReadError> {
    let mut answering = SamplesResponseEncoder {
        writer: W::default(),
        series: Vec::new(),
        histograms: HistogramEncoder::default(),
        source,
        samples: 0,
        reported_bytes: 0,
        reserve: more,
    };
    for query in &request.queries {
        answering.query(query)?;
    }
    let SamplesResponseEncoder { writer, samples, .. } = answering;
    Ok(SamplesResponse { pieces: writer.finish()?, samples })
}

/// An answer while it is made.
struct SamplesResponseEncoder<'a, W> {
    writer: W,
    /// The fields of the series that is being read, as far as they are not with the writer yet.
    series: Vec<u8>,
    histograms: HistogramEncoder,
    source: ReadSource<'a>,
    samples: u64,
    /// Bytes that were told to `reserve`.
    reported_bytes: usize,
    reserve: &'a mut dyn FnMut(usize) -> Result<(), ReadAbort>,
}

impl<W: ResponseWriter> SamplesResponseEncoder<'_, W> {
    fn query(&mut self, query: &pb::Query) -> Result<(), RemoteReadError> {
        let ReadSelection { matchers, range } = ReadSelection::new(query, &self.source.external)?;
        let result = self.writer.reserve_placeholder();
        let start = self.writer.content_len();
        let mut left = self.source.limits.samples.unwrap_or(u64::MAX);
        let querier = self.source.db.querier();
        for series in querier.select(&matchers, range)? {
            let series = series?;
            let labels = self.source.external.add(series.labels());
            self.add_series(labels.as_bytes(), series.samples(range), &mut left)?;
        }
        let len = self.writer.content_len() - start;
        self.writer.fill_placeholder(result, &message_header(RESULTS_KEY, len));
        Ok(())
    }

    /// Adds a series, if it has points.
    fn add_series(
        &mut self,
        packed_labels: &[u8],
        points: impl Iterator<Item = Result<Sample, QueryError>>,
        left: &mut u64,
    ) -> Result<(), RemoteReadError> {
        self.series.clear();
        self.series.extend_from_slice(packed_labels);
        let mut parts: Option<SplitSeries> = None;
        let mut empty = true;
        for point in points {
            let point = point?;
            empty = false;
            *left = left.checked_sub(1).ok_or_else(|| {
                RemoteReadError::SampleLimit(self.source.limits.samples.unwrap_or(u64::MAX))
            })?;
            self.samples += 1;
            self.put_sample(&point);
            if self.series.len() >= SERIES_BYTES {
                let writer = &mut self.writer;
                parts.get_or_insert_with(|| SplitSeries {
                    header: writer.reserve_placeholder(),
                    start: writer.content_len(),
                });
                self.flush_series()?;
            }
        }
        match parts {
            None if empty => {}
            None => {
                self.writer.write(&message_header(TIMESERIES_KEY, self.series.len() as u64));
                self.flush_series()?;
            }
            Some(SplitSeries { header: gap, start }) => {
                self.flush_series()?;
                let len = self.writer.content_len() - start;
                self.writer.fill_placeholder(gap, &message_header(TIMESERIES_KEY, len));
            }
        }
        Ok(())
    }

    fn put_sample(&mut self, point: &Sample) {
        let message = match &point.value {
            SampleValue::Float(v) => {
                return put_float_sample(&mut self.series, FloatSample::new(point.t, *v));
            }
            SampleValue::Histogram(histogram) => self.histograms.integer(point.t, histogram),
            SampleValue::FloatHistogram(histogram) => self.histograms.float(point.t, histogram),
        };
        self.series.push(HISTOGRAMS_KEY);
        encode_varint(message.len() as u64, &mut self.series);
        self.series.extend_from_slice(message);
    }

    fn flush_series(&mut self) -> Result<(), RemoteReadError> {
        self.writer.write(&self.series);
        self.series.clear();
        let written = self.writer.written_len();
        if written > self.source.limits.answer_bytes {
            return Err(RemoteReadError::AnswerLimit(self.source.limits.answer_bytes));
        }
        (self.reserve)(written - self.reported_bytes)?;
        self.reported_bytes = written;
        Ok(())
    }
}

/// A series that goes to the writer in parts: the gap for its header, and where its content begins.
struct SplitSeries {
    header: Placeholder,
    start: u64,
}

/// The key and length in front of a message.
pub(super) fn message_header(key: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![key];
    encode_varint(len, &mut bytes);
    bytes
}

pub(super) fn put_float_sample(out: &mut Vec<u8>, sample: FloatSample) {
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
