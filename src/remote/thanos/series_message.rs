//! Encoder of `thanos.SeriesResponse`.
//!
//! It is written by hand: labels are already in wire format, and the bytes of a chunk are copied
//! once.

use crate::model::labels::Labels;
use crate::remote::pb::thanos as pb;
use crate::tsdb::db::{ChunkEncoding, EncodedChunk};
use prost::encoding::{encode_varint, encoded_len_varint};

/// Keys of `SeriesResponse`: `series`, `batch`; of `SeriesBatch`: `series`.
const SERIES_KEY: u8 = 0x0a;
const BATCH_KEY: u8 = 0x22;
/// Key of `Series`: `chunks`. Its labels are encoded as in [`Labels`].
const CHUNKS_KEY: u8 = 0x12;
/// Keys of `AggrChunk`: `min_time`, `max_time`, `raw`.
const MIN_TIME_KEY: u8 = 0x08;
const MAX_TIME_KEY: u8 = 0x10;
const RAW_KEY: u8 = 0x1a;
/// Keys of `Chunk`: `type`, `data`.
const TYPE_KEY: u8 = 0x08;
const DATA_KEY: u8 = 0x12;

/// A message that is encoded on demand.
#[derive(Debug)]
pub struct SeriesMessage<'a> {
    pub(super) parts: &'a [SeriesPart],
    pub(super) is_batch: bool,
}

/// A series, or the part of it that one message holds.
#[derive(Debug)]
pub(super) struct SeriesPart {
    pub(super) labels: Labels,
    pub(super) chunks: Vec<EncodedChunk>,
}

impl SeriesPart {
    pub(super) fn len(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| field_len(aggr_chunk_len(chunk)));
        self.labels.as_bytes().len() + chunks.sum::<usize>()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_header(out, SERIES_KEY, self.len());
        out.extend_from_slice(self.labels.as_bytes());
        for chunk in &self.chunks {
            put_chunk(out, chunk);
        }
    }
}

impl SeriesMessage<'_> {
    /// Returns the encoded length of the message, bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let series = self.series_len();
        if self.is_batch { field_len(series) } else { series }
    }

    /// Appends the encoded message to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if self.is_batch {
            put_header(out, BATCH_KEY, self.series_len());
        }
        self.parts.iter().for_each(|part| part.encode(out));
    }

    fn series_len(&self) -> usize {
        self.parts.iter().map(|part| field_len(part.len())).sum()
    }
}

fn put_chunk(out: &mut Vec<u8>, chunk: &EncodedChunk) {
    put_header(out, CHUNKS_KEY, aggr_chunk_len(chunk));
    for (key, time) in [(MIN_TIME_KEY, chunk.mint), (MAX_TIME_KEY, chunk.maxt)] {
        if time != 0 {
            out.push(key);
            encode_varint(time as u64, out);
        }
    }
    put_header(out, RAW_KEY, raw_len(chunk));
    if encoding(chunk.encoding) != pb::chunk::Encoding::Xor {
        out.push(TYPE_KEY);
        encode_varint(encoding(chunk.encoding) as u64, out);
    }
    put_header(out, DATA_KEY, chunk.data.bytes().len());
    out.extend_from_slice(chunk.data.bytes());
}

pub(super) fn aggr_chunk_len(chunk: &EncodedChunk) -> usize {
    let time_len = |time: i64| if time == 0 { 0 } else { 1 + encoded_len_varint(time as u64) };
    time_len(chunk.mint) + time_len(chunk.maxt) + field_len(raw_len(chunk))
}

fn raw_len(chunk: &EncodedChunk) -> usize {
    let type_len = if encoding(chunk.encoding) == pb::chunk::Encoding::Xor { 0 } else { 2 };
    type_len + field_len(chunk.data.bytes().len())
}

/// Returns Thanos's number of an encoding. Encodings that Thanos does not know are re-encoded
/// before.
fn encoding(encoding: ChunkEncoding) -> pb::chunk::Encoding {
    match encoding {
        ChunkEncoding::Xor | ChunkEncoding::Xor2 => pb::chunk::Encoding::Xor,
        ChunkEncoding::Histogram | ChunkEncoding::HistogramSt => pb::chunk::Encoding::Histogram,
        ChunkEncoding::FloatHistogram | ChunkEncoding::FloatHistogramSt => {
            pb::chunk::Encoding::FloatHistogram
        }
    }
}

/// Returns the length of a field with key, length and `len` bytes.
fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

fn put_header(out: &mut Vec<u8>, key: u8, len: usize) {
    out.push(key);
    encode_varint(len as u64, out);
}
