//! Remote read responses of type SAMPLES: floats and native histograms.
//!
//! # Encoding
//! Responses are encoded by hand while the series are read. Labels are already stored in wire
//! format, and the bits of every value are kept (-0 too, which proto3 encoders leave out). Samples
//! and histograms of a series are interleaved by time; a decoder sorts them into two lists.
//!
//! # Memory
//! The response and one series. Blocks its thread. HTTP and gRPC share this code.
//!
//! | module | content |
//! |---|---|
//! | [`read_request`] | decoder and limits of a read request |
//! | [`chunked`] | streamed responses with chunks |
//! | `histogram_encoder` | encoder of native histograms |
//! | [`response_writer`] | trait for response output in pieces |
//! | [`snappy_writer`] | snappy block, written in pieces |
//! | [`plain_writer`] | uncompressed message, written in pieces |
//! | [`metrics`] | metrics of reads |

pub mod chunked;
mod histogram_encoder;
pub mod metrics;
pub mod plain_writer;
pub mod read_request;
pub mod response_writer;
pub mod snappy_writer;
#[cfg(test)]
mod tests;

use crate::model::float_sample::FloatSample;
use crate::model::sample::{Sample, SampleValue};
use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::prometheus as pb;
use crate::remote::read::histogram_encoder::HistogramEncoder;
use crate::remote::read::plain_writer::PlainWriter;
use crate::remote::read::read_request::{ReadAbort, ReadSelection, RemoteReadError};
use crate::remote::read::response_writer::{Placeholder, ResponseWriter};
use crate::remote::read::snappy_writer::SnappyWriter;
use crate::tsdb::db::querier::Querier;
use crate::tsdb::db::{Db, QueryError, SupportedEncodings};
use bytes::Bytes;
use prost::encoding::{encode_varint, encoded_len_varint};

/// Size up to which a series is buffered, bytes. A longer one is written in parts.
const SERIES_BYTES: usize = 1 << 20;

/// Keys of length-delimited fields: `results` of `ReadResponse`, `timeseries` of `QueryResult`,
/// `samples` and `histograms` of `TimeSeries`.
const RESULTS_KEY: u8 = 0x0a;
pub(crate) const TIMESERIES_KEY: u8 = 0x0a;
const SAMPLES_KEY: u8 = 0x12;
const HISTOGRAMS_KEY: u8 = 0x22;
/// Keys of `Sample`: `value` (64 bits) and `timestamp` (varint).
const VALUE_KEY: u8 = 0x09;
const TIMESTAMP_KEY: u8 = 0x10;

/// Limits and capabilities of read responses.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Maximum number of samples and histograms in a SAMPLES response, per query; `None` =
    /// unlimited.
    pub samples: Option<u64>,
    /// Maximum size of a SAMPLES response as it is sent, bytes.
    pub response_bytes: usize,
    /// Target size of a frame of a streamed response, bytes.
    pub frame_bytes: usize,
    /// Chunk encodings that a streamed response may contain; others are re-encoded.
    pub readable: SupportedEncodings,
}

/// Source of read responses: database, external labels and limits.
#[derive(Debug, Clone)]
pub struct ReadSource<'a> {
    /// Database that is queried.
    pub db: &'a Db,
    /// Labels that are added to each series.
    pub external: ExternalLabels,
    /// Limits of a response.
    pub limits: ReadLimits,
}

/// Encoded response of type SAMPLES.
#[derive(Debug)]
pub struct SamplesResponse {
    /// Encoded `prometheus.ReadResponse`, in pieces.
    pub pieces: Vec<Bytes>,
    /// Number of samples and histograms in it.
    pub samples: u64,
}

/// Reads the samples that `request` selects, as a snappy block.
///
/// `reserve` is called with the number of bytes by which the response grew, and may abort the read.
///
/// # Errors
/// [`RemoteReadError`]; no part of a response exists then.
pub fn read_samples(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    reserve: &mut dyn FnMut(usize) -> Result<(), ReadAbort>,
) -> Result<SamplesResponse, RemoteReadError> {
    read_samples_with::<SnappyWriter>(source, request, reserve)
}

/// Like [`read_samples`], without compression.
///
/// # Errors
/// [`RemoteReadError`]; no part of a response exists then.
pub fn read_samples_plain(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    reserve: &mut dyn FnMut(usize) -> Result<(), ReadAbort>,
) -> Result<SamplesResponse, RemoteReadError> {
    read_samples_with::<PlainWriter>(source, request, reserve)
}

fn read_samples_with<W: ResponseWriter>(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    reserve: &mut dyn FnMut(usize) -> Result<(), ReadAbort>,
) -> Result<SamplesResponse, RemoteReadError> {
    let mut encoder = SamplesResponseEncoder {
        querier: source.db.querier(),
        writer: W::default(),
        series: Vec::new(),
        histograms: HistogramEncoder::default(),
        source,
        samples: 0,
        reported_bytes: 0,
        reserve,
    };
    for query in &request.queries {
        encoder.query(query)?;
    }
    let SamplesResponseEncoder { writer, samples, .. } = encoder;
    Ok(SamplesResponse { pieces: writer.finish()?, samples })
}

/// Encoder of a SAMPLES response.
struct SamplesResponseEncoder<'a, W> {
    querier: Querier<'a>,
    writer: W,
    /// Encoded fields of the current series that are not written yet.
    series: Vec<u8>,
    histograms: HistogramEncoder,
    source: ReadSource<'a>,
    samples: u64,
    /// Bytes already reported to `reserve`.
    reported_bytes: usize,
    reserve: &'a mut dyn FnMut(usize) -> Result<(), ReadAbort>,
}

impl<W: ResponseWriter> SamplesResponseEncoder<'_, W> {
    fn query(&mut self, query: &pb::Query) -> Result<(), RemoteReadError> {
        let ReadSelection { matchers, range } = ReadSelection::new(query, &self.source.external)?;
        let result = self.writer.reserve_placeholder();
        let start = self.writer.content_len();
        let mut remaining = self.source.limits.samples.unwrap_or(u64::MAX);
        for series in self.querier.select(&matchers, range)? {
            let series = series?;
            let labels = self.source.external.add(series.labels());
            self.add_series(labels.as_bytes(), series.samples(range), &mut remaining)?;
        }
        let len = self.writer.content_len() - start;
        self.writer.fill_placeholder(result, &message_header(RESULTS_KEY, len));
        Ok(())
    }

    /// Adds a series, unless it has no samples.
    fn add_series(
        &mut self,
        label_bytes: &[u8],
        samples: impl Iterator<Item = Result<Sample, QueryError>>,
        remaining: &mut u64,
    ) -> Result<(), RemoteReadError> {
        self.series.clear();
        self.series.extend_from_slice(label_bytes);
        let mut parts: Option<SplitSeries> = None;
        let mut empty = true;
        for sample in samples {
            let sample = sample?;
            empty = false;
            *remaining = remaining.checked_sub(1).ok_or_else(|| {
                RemoteReadError::SampleLimit(self.source.limits.samples.unwrap_or(u64::MAX))
            })?;
            self.samples += 1;
            self.put_sample(&sample);
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
            Some(SplitSeries { header: placeholder, start }) => {
                self.flush_series()?;
                let len = self.writer.content_len() - start;
                self.writer.fill_placeholder(placeholder, &message_header(TIMESERIES_KEY, len));
            }
        }
        Ok(())
    }

    fn put_sample(&mut self, sample: &Sample) {
        let message = match &sample.value {
            SampleValue::Float(v) => {
                return put_float_sample(&mut self.series, FloatSample::new(sample.t, *v));
            }
            SampleValue::Histogram(histogram) => self.histograms.integer(sample.t, histogram),
            SampleValue::FloatHistogram(histogram) => self.histograms.float(sample.t, histogram),
        };
        self.series.push(HISTOGRAMS_KEY);
        encode_varint(message.len() as u64, &mut self.series);
        self.series.extend_from_slice(message);
    }

    fn flush_series(&mut self) -> Result<(), RemoteReadError> {
        self.writer.write(&self.series);
        self.series.clear();
        let written = self.writer.written_len();
        if written > self.source.limits.response_bytes {
            return Err(RemoteReadError::ResponseLimit(self.source.limits.response_bytes));
        }
        (self.reserve)(written - self.reported_bytes)?;
        self.reported_bytes = written;
        Ok(())
    }
}

/// A series written in parts: the placeholder for its header, and the content offset after it.
struct SplitSeries {
    header: Placeholder,
    start: u64,
}

/// Returns the key and length that precede a message.
pub(crate) fn message_header(key: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![key];
    encode_varint(len, &mut bytes);
    bytes
}

pub(crate) fn put_float_sample(out: &mut Vec<u8>, sample: FloatSample) {
    let (bits, t) = (sample.v.to_bits(), sample.t as u64);
    // Zero fields are omitted. -0 is not zero here.
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
