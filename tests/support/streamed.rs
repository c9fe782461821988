//! Client of streamed remote reads: requests, frames with checksums, messages declared by hand.
//!
//! Only chunks are decoded by narthex, whose decoder is tested with golden data (`chunk_golden`).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use narthex::model::histogram::{CounterResetHint, Span};
use narthex::model::sample::{Sample, SampleValue};
use narthex::tsdb::chunk::ChunkEncoding;
use narthex::tsdb::chunk::any_chunk::AnyChunkIter;
use prost::Message;

use super::http::{Answer, Http};
use super::points::{PlainHistogram, PointValue, Points};
use super::remote::{READ, READ_HEADERS};
use super::samples::{Samples, label_set};
use super::wire::{BucketSpan, Histogram, Label, Matcher, Query, ReadRequest, snappy};

/// Content type of a streamed response.
pub(crate) const STREAMED: &str =
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Message `prometheus.ChunkedReadResponse`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChunkedReadResponse {
    /// Series of the frame. Prometheus and narthex send one.
    #[prost(message, repeated, tag = "1")]
    pub(crate) chunked_series: Vec<ChunkedSeries>,
    /// Index of the query.
    #[prost(int64, tag = "2")]
    pub(crate) query_index: i64,
}

/// Message `prometheus.ChunkedSeries`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChunkedSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) chunks: Vec<Chunk>,
}

/// Message `prometheus.Chunk`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Chunk {
    /// Timestamp of the first sample, ms.
    #[prost(int64, tag = "1")]
    pub(crate) mint: i64,
    /// Timestamp of the last sample, ms.
    #[prost(int64, tag = "2")]
    pub(crate) maxt: i64,
    #[prost(int32, tag = "3")]
    pub(crate) encoding: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) data: Vec<u8>,
}

/// Returns a request that queries all series `queries` times and accepts only a streamed response.
pub(crate) fn everything(start: i64, end: i64, queries: usize) -> ReadRequest {
    let query = Query { start, end, matchers: vec![Matcher::regex("__name__", ".+")], hints: None };
    ReadRequest { queries: vec![query; queries], accepted_response_types: vec![1] }
}

/// Sends a streamed read request.
pub(crate) fn ask(http: &Http, request: &ReadRequest) -> Answer {
    http.post(READ, &READ_HEADERS, &snappy(&request.encode_to_vec()))
}

/// Decodes the messages of a complete body and checks their checksums.
pub(crate) fn messages(mut body: &[u8]) -> Vec<ChunkedReadResponse> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let length = prost::encoding::decode_varint(&mut body).expect("a length") as usize;
        let (checksum, rest) = body.split_first_chunk::<4>().expect("a checksum");
        assert!(rest.len() >= length, "the last frame is cut off");
        let (message, rest) = rest.split_at(length);
        assert_eq!(
            crc32c::crc32c(message),
            u32::from_be_bytes(*checksum),
            "the checksum of a frame"
        );
        messages
            .push(ChunkedReadResponse::decode(message).expect("a frame is a ChunkedReadResponse"));
        body = rest;
    }
    messages
}

/// Decodes the messages of one query: samples and known start timestamps.
pub(crate) fn contents(messages: &[ChunkedReadResponse]) -> (Points, Samples) {
    let (mut points, mut starts) = (Points::new(), Samples::new());
    let mut last: Option<(&[Label], i64)> = None;
    for message in messages {
        assert_eq!(message.chunked_series.len(), 1, "a frame has one series");
        let series = &message.chunked_series[0];
        let labels = label_set(&series.labels);
        assert!(!series.chunks.is_empty(), "a frame of {labels:?} has no chunk");
        for chunk in &series.chunks {
            if let Some((_, before)) = last.filter(|(labels, _)| *labels == series.labels) {
                assert!(before < chunk.mint, "chunks of {labels:?} overlap at {}", chunk.mint);
            }
            last = Some((&series.labels, chunk.maxt));
            let encoding = u8::try_from(chunk.encoding)
                .ok()
                .and_then(ChunkEncoding::from_byte)
                .expect("a known encoding");
            let decoded: Vec<Sample> = AnyChunkIter::new(encoding, &chunk.data)
                .collect::<Result<_, _>>()
                .expect("a chunk that can be decoded");
            let ends = (decoded.first().map(|point| point.t), decoded.last().map(|point| point.t));
            assert_eq!(
                ends,
                (Some(chunk.mint), Some(chunk.maxt)),
                "the times of a chunk of {labels:?}"
            );
            for point in decoded {
                points.add(&labels, point.t, plain(&point));
                if point.start_timestamp != 0 {
                    starts.add(&labels, point.t, point.start_timestamp as u64);
                }
            }
        }
    }
    (points, starts)
}

fn plain(point: &Sample) -> PointValue {
    let spans = |spans: &[Span]| {
        spans.iter().map(|one| BucketSpan { offset: one.offset, length: one.length }).collect()
    };
    let hint = |hint: CounterResetHint| if hint == CounterResetHint::Gauge { 3 } else { 0 };
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
    let wire = match &point.value {
        SampleValue::Float(value) => return PointValue::Float(value.to_bits()),
        SampleValue::Histogram(h) => Histogram {
            count_int: Some(h.count),
            zero_count_int: Some(h.zero_count),
            positive_deltas: h.positive_buckets.clone(),
            negative_deltas: h.negative_buckets.clone(),
            schema: h.schema,
            sum: h.sum.to_bits(),
            zero_threshold: h.zero_threshold.to_bits(),
            positive_spans: spans(&h.positive_spans),
            negative_spans: spans(&h.negative_spans),
            custom_values: bits(&h.custom_values),
            reset_hint: hint(h.reset_hint),
            ..Histogram::default()
        },
        SampleValue::FloatHistogram(h) => Histogram {
            count_float: Some(h.count.to_bits()),
            zero_count_float: Some(h.zero_count.to_bits()),
            positive_counts: bits(&h.positive_buckets),
            negative_counts: bits(&h.negative_buckets),
            schema: h.schema,
            sum: h.sum.to_bits(),
            zero_threshold: h.zero_threshold.to_bits(),
            positive_spans: spans(&h.positive_spans),
            negative_spans: spans(&h.negative_spans),
            custom_values: bits(&h.custom_values),
            reset_hint: hint(h.reset_hint),
            ..Histogram::default()
        },
    };
    PointValue::Histogram(Box::new(PlainHistogram::from_wire(&wire)))
}

/// Read whose response a test consumes step by step.
pub(crate) struct SlowRead {
    stream: TcpStream,
}

impl SlowRead {
    /// Sends the request and reads nothing.
    pub(crate) fn begin(http: &Http, request: &ReadRequest) -> SlowRead {
        let body = snappy(&request.encode_to_vec());
        let mut stream = TcpStream::connect(("127.0.0.1", http.port()))
            .expect("the server accepts a connection");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout can be set");
        let head = format!(
            "POST {READ} HTTP/1.1\r\nHost: narthex\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body))
            .expect("the request is sent");
        SlowRead { stream }
    }

    /// Reads up to `most` bytes. Returns their number, 0 at the end.
    pub(crate) fn take(&mut self, most: usize) -> usize {
        let mut buffer = vec![0; 64 << 10];
        let mut taken = 0;
        while taken < most {
            match self.stream.read(&mut buffer) {
                Ok(read) if read > 0 => taken += read,
                _ => break,
            }
        }
        taken
    }

    /// Reads the rest. Returns `true` if the response ends with the last chunk of chunked encoding.
    pub(crate) fn ends_whole(mut self) -> bool {
        let mut rest = Vec::new();
        let ended = self.stream.read_to_end(&mut rest);
        ended.is_ok() && rest.ends_with(b"0\r\n\r\n")
    }
}
