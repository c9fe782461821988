//! Remote read responses of type STREAMED_XOR_CHUNKS: messages of `prometheus.ChunkedReadResponse`.
//!
//! # Format
//! Over HTTP each message has a header; over gRPC it has none.
//!
//! ```text
//! ┌─────────────────┬──────────────────────┬─────────┐
//! │ length (varint) │ CRC-32C (4 bytes BE) │ message │ ...
//! └─────────────────┴──────────────────────┴─────────┘
//! ```
//!
//! A message has chunks of one series. A larger series is split as in Prometheus
//! (`StreamChunkedReadResponses` in `storage/remote/codec.go`), with its labels repeated: a message
//! ends when its chunks use up what the labels leave of the limit. So it has at least one chunk and
//! may exceed the limit by part of one. Chunks at both ends of the range are clipped, and series
//! without samples are left out, as in Prometheus.
//!
//! # Memory
//! The chunks of one message, mostly as pins of mapped files; their bytes are copied once, into the
//! buffer of the sink. Blocks its thread. HTTP and gRPC share this code.

use crate::model::labels::Labels;
use crate::remote::pb::prometheus as pb;
use crate::remote::read::ReadSource;
use crate::remote::read::read_request::{ReadAbort, ReadSelection, RemoteReadError};
use crate::tsdb::db::{EncodedChunk, MergedSeries, crc32c};
use prost::encoding::{encode_varint, encoded_len_varint};

/// Keys of `ChunkedReadResponse`: `chunked_series`, `query_index`.
const CHUNKED_SERIES_KEY: u8 = 0x0a;
const QUERY_INDEX_KEY: u8 = 0x10;
/// Key of `ChunkedSeries`: `chunks`. Its labels are encoded as in [`Labels`].
const CHUNKS_KEY: u8 = 0x12;
/// Keys of `Chunk`: `min_time_ms`, `max_time_ms`, `type`, `data`.
const MIN_TIME_KEY: u8 = 0x08;
const MAX_TIME_KEY: u8 = 0x10;
const TYPE_KEY: u8 = 0x18;
const DATA_KEY: u8 = 0x22;
/// Length of the checksum, bytes.
const CHECKSUM_LEN: usize = 4;

/// Receiver of the messages of a response.
pub trait FrameSink {
    /// Checks if the response is still needed; called for each series, also if nothing of it is
    /// sent.
    ///
    /// # Errors
    /// [`ReadAbort`] ends the response.
    fn check(&mut self) -> Result<(), ReadAbort>;

    /// Receives the next message of the response.
    ///
    /// # Errors
    /// [`ReadAbort`] ends the response.
    fn frame(&mut self, frame: &ReadFrame<'_>) -> Result<(), ReadAbort>;
}

/// A message that is encoded on demand.
#[derive(Debug)]
pub struct ReadFrame<'a> {
    labels: &'a Labels,
    chunks: &'a [EncodedChunk],
    query_index: u64,
    /// Length of its `ChunkedSeries`, bytes.
    series_len: usize,
}

/// Numbers of messages and chunks that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Number of sent messages.
    pub frames: u64,
    /// Number of chunks in these messages.
    pub chunks: u64,
}

/// Sends the chunks that `request` selects to `sink`. An invalid query anywhere in the request
/// sends nothing.
///
/// # Errors
/// [`RemoteReadError`]; a response that has begun is truncated then and must not appear complete.
pub fn read_chunks(
    source: ReadSource<'_>,
    request: &pb::ReadRequest,
    sink: &mut dyn FrameSink,
) -> Result<FrameCounts, RemoteReadError> {
    let select = |query| ReadSelection::new(query, &source.external);
    let selections = request.queries.iter().map(select).collect::<Result<Vec<_>, _>>()?;
    let querier = source.db.querier();
    let mut frames = FrameEncoder {
        source,
        sink,
        chunks: Vec::new(),
        query_index: 0,
        sent: FrameCounts::default(),
    };
    for (query_index, selection) in (0..).zip(&selections) {
        frames.query_index = query_index;
        for series in querier.select(&selection.matchers, selection.range)? {
            frames.sink.check()?;
            frames.add(&series?, selection)?;
        }
    }
    Ok(frames.sent)
}

/// Encoder of a streamed response.
struct FrameEncoder<'a> {
    source: ReadSource<'a>,
    sink: &'a mut dyn FrameSink,
    /// Chunks of the next message.
    chunks: Vec<EncodedChunk>,
    query_index: u64,
    sent: FrameCounts,
}

impl FrameEncoder<'_> {
    fn add(
        &mut self,
        series: &MergedSeries,
        selection: &ReadSelection,
    ) -> Result<(), RemoteReadError> {
        let labels = &self.source.external.add(series.labels());
        let limits = self.source.limits;
        let max_bytes = limits.frame_bytes as i64 - labels_len(labels) as i64;
        let mut remaining = max_bytes;
        for chunk in series.encoded_chunks_clipped(selection.range, limits.readable) {
            let chunk = chunk?;
            remaining -= chunk_len(&chunk) as i64;
            self.chunks.push(chunk);
            if remaining <= 0 {
                self.send(labels)?;
                remaining = max_bytes;
            }
        }
        if self.chunks.is_empty() { Ok(()) } else { self.send(labels) }
    }

    fn send(&mut self, labels: &Labels) -> Result<(), RemoteReadError> {
        self.sink.frame(&ReadFrame::new(labels, &self.chunks, self.query_index))?;
        self.sent.frames += 1;
        self.sent.chunks += self.chunks.len() as u64;
        self.chunks.clear();
        Ok(())
    }
}

impl<'a> ReadFrame<'a> {
    fn new(labels: &'a Labels, chunks: &'a [EncodedChunk], query_index: u64) -> Self {
        let chunks_len: usize = chunks.iter().map(|chunk| field_len(chunk_len(chunk))).sum();
        Self { labels, chunks, query_index, series_len: labels.as_bytes().len() + chunks_len }
    }

    /// Returns the encoded length of the message, bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        field_len(self.series_len) + varint_field_len(self.query_index)
    }

    /// Appends the encoded message to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        put_header(CHUNKED_SERIES_KEY, self.series_len, out);
        out.extend_from_slice(self.labels.as_bytes());
        self.chunks.iter().for_each(|chunk| put_chunk(chunk, out));
        put_varint(QUERY_INDEX_KEY, self.query_index, out);
    }

    /// Appends the encoded message with its length and checksum in front, as it is sent over HTTP.
    pub fn encode_delimited(&self, out: &mut Vec<u8>) {
        encode_varint(self.encoded_len() as u64, out);
        let checksum_at = out.len();
        out.extend_from_slice(&[0; CHECKSUM_LEN]);
        self.encode(out);
        let (head, message) = out.split_at_mut(checksum_at + CHECKSUM_LEN);
        head[checksum_at..].copy_from_slice(&crc32c(message).to_be_bytes());
    }
}

/// Returns the size of labels as Prometheus counts it: each label as a message without its header.
fn labels_len(labels: &Labels) -> usize {
    let label = |(name, value): (&str, &str)| string_len(name) + string_len(value);
    labels.iter().map(label).sum()
}

fn string_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { field_len(text.len()) }
}

/// Returns the length of a field with a key of one byte, a length and `len` bytes.
fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

/// Returns the length of a varint field with its key; 0 is left out.
fn varint_field_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + encoded_len_varint(value) }
}

/// Returns the encoded length of a chunk message.
fn chunk_len(chunk: &EncodedChunk) -> usize {
    let data = chunk.data.bytes().len();
    varint_field_len(chunk.mint as u64)
        + varint_field_len(chunk.maxt as u64)
        + varint_field_len(chunk.encoding as u64)
        + if data == 0 { 0 } else { field_len(data) }
}

fn put_chunk(chunk: &EncodedChunk, out: &mut Vec<u8>) {
    put_header(CHUNKS_KEY, chunk_len(chunk), out);
    put_varint(MIN_TIME_KEY, chunk.mint as u64, out);
    put_varint(MAX_TIME_KEY, chunk.maxt as u64, out);
    put_varint(TYPE_KEY, chunk.encoding as u64, out);
    let data = chunk.data.bytes();
    if !data.is_empty() {
        put_header(DATA_KEY, data.len(), out);
        out.extend_from_slice(data);
    }
}

fn put_header(key: u8, len: usize, out: &mut Vec<u8>) {
    out.push(key);
    encode_varint(len as u64, out);
}

fn put_varint(key: u8, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(key);
        encode_varint(value, out);
    }
}

#[cfg(test)]
mod tests;
