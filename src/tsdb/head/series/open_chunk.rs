//! In-memory chunks of a series: the open one, and sealed ones.

use crate::model::sample::{Sample, ValueType};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy};
use crate::tsdb::chunk::cut::{ChunkBoundary, CutPolicy};
use std::sync::Arc;

/// Chunk that takes appends.
#[derive(Debug)]
pub struct OpenChunk {
    /// Encoder with the samples so far.
    pub chunk: AnyChunk,
    /// Timestamp of the first sample, ms.
    pub mint: i64,
    /// Latest end of the chunk.
    pub window: ChunkBoundary,
}

/// Full chunk that is still in memory.
#[derive(Debug, Clone)]
pub struct SealedChunk {
    /// Timestamp of the first sample, ms.
    pub mint: i64,
    /// Timestamp of the last sample, ms.
    pub maxt: i64,
    /// Number of samples in `bytes`.
    pub samples: u16,
    /// Chunk encoding of `bytes`.
    pub encoding: ChunkEncoding,
    /// Encoded samples, without a header.
    pub bytes: Arc<[u8]>,
}

/// Cut policy and encodings of new chunks.
#[derive(Debug, Clone, Copy)]
pub struct ChunkPolicy {
    /// Rules that end the open chunk.
    pub policy: CutPolicy,
    /// Encodings of new chunks.
    pub encodings: EncodingPolicy,
}

impl OpenChunk {
    /// Creates a chunk with its first sample. `before` is the previous open chunk of the series.
    pub(super) fn with_first_sample(
        sample: &Sample,
        rules: &ChunkPolicy,
        before: Option<&AnyChunk>,
    ) -> Self {
        let chunk = AnyChunk::with_first_sample(rules.encodings, sample, before);
        Self { chunk, mint: sample.t, window: ChunkBoundary::starting_at(&rules.policy, sample.t) }
    }
}

/// Returns `true` if the encoding of the open chunk does not suit the sample. A float continues an
/// open float chunk of another encoding unless that cannot store its start timestamp.
#[inline]
pub(super) fn needs_other_encoding(
    open: &AnyChunk,
    encodings: EncodingPolicy,
    sample: &Sample,
) -> bool {
    let (encoding, kind) = (open.encoding(), sample.value.kind());
    if kind != ValueType::Float {
        return encoding != encodings.encoding_for(kind);
    }
    let needs_start_timestamp = sample.start_timestamp != 0
        && encoding == ChunkEncoding::Xor
        && encodings.encoding_for(kind) == ChunkEncoding::Xor2;
    encoding.value_type() != kind || needs_start_timestamp
}
