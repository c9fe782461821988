//! Encoded chunks of a merged series, for streamed remote reads and Thanos.
//!
//! Chunks are returned in time order and without overlap. A stored chunk is returned as is, neither
//! decoded nor copied, unless
//!
//! - it overlaps another chunk that is not identical,
//! - it has deleted samples,
//! - the reader does not support its encoding ([`SupportedEncodings`]),
//! - it exceeds the range and must be clipped ([`MergedSeries::encoded_chunks_clipped`]).
//!
//! Otherwise its samples in the range are re-encoded ([`crate::tsdb::chunk::reencode`]), merged
//! with those of overlapping chunks. A single chunk stays a single chunk if its samples fit
//! together; a chunk from several has at most 120 samples.
//!
//! The iterator is lazy: it holds one new chunk, and it decodes several chunks at once only if they
//! overlap each other.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::{EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::reencode::{
    MAX_SAMPLES, ReencodeOptions, ReencodedChunk, Reencoder, StPolicy,
};
use crate::tsdb::query::merged_series::groups::{OverlapGroup, OverlapGroups};
use crate::tsdb::query::merged_series::{MergedSeries, SampleIter};
use crate::tsdb::query::source::{Chunk, ChunkData, QueryError};

/// Chunk encodings that a reader supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupportedEncodings {
    /// XOR and histograms without start timestamps, which every reader supports. Start timestamps
    /// are dropped.
    Baseline,
    /// All encodings of [`ChunkEncoding`].
    All,
}

/// Chunk of a query result. None of its samples is deleted.
#[derive(Clone, Debug)]
pub struct EncodedChunk {
    /// Timestamp of the first sample, ms.
    pub mint: i64,
    /// Timestamp of the last sample, ms, or a later one for an open chunk.
    pub maxt: i64,
    /// Codec of the bytes in `data`.
    pub encoding: ChunkEncoding,
    /// Encoded samples, a complete chunk.
    pub data: ChunkData,
}

/// Iterator over the encoded chunks of a series. An error is the last item.
pub struct EncodedChunkIter<'a> {
    groups: OverlapGroups<'a>,
    range: TimeRange,
    /// Range to which chunks are clipped; unlimited if chunks may exceed `range`.
    clip_range: TimeRange,
    readable: SupportedEncodings,
    /// Overlap group that is currently re-encoded.
    reencoding: Option<ReencodeRun<'a>>,
}

impl MergedSeries {
    /// Returns the chunks that overlap `range`. Chunks that need no re-encoding may exceed it.
    #[must_use]
    pub fn encoded_chunks(
        &self,
        range: TimeRange,
        readable: SupportedEncodings,
    ) -> EncodedChunkIter<'_> {
        EncodedChunkIter {
            groups: OverlapGroups::new(self, range),
            range,
            clip_range: TimeRange::ALL,
            readable,
            reencoding: None,
        }
    }

    /// Returns chunks with exactly the samples in `range`.
    #[must_use]
    pub fn encoded_chunks_clipped(
        &self,
        range: TimeRange,
        readable: SupportedEncodings,
    ) -> EncodedChunkIter<'_> {
        EncodedChunkIter {
            groups: OverlapGroups::new(self, range),
            range,
            clip_range: range,
            readable,
            reencoding: None,
        }
    }
}

impl Iterator for EncodedChunkIter<'_> {
    type Item = Result<EncodedChunk, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(run) = &mut self.reencoding {
                match run.next().transpose() {
                    Some(Ok(chunk)) => return Some(Ok(chunk.into())),
                    Some(Err(error)) => {
                        self.reencoding = None;
                        self.groups.finish();
                        return Some(Err(error));
                    }
                    None => self.reencoding = None,
                }
            }
            let group = self.groups.next()?;
            match group.single_chunk() {
                Some(chunk) if self.can_pass_through(chunk) => return Some(Ok(chunk.into())),
                _ => self.reencoding = Some(ReencodeRun::new(&group, self.range, self.readable)),
            }
        }
    }
}

impl EncodedChunkIter<'_> {
    fn can_pass_through(&self, chunk: &Chunk) -> bool {
        self.readable.supports(chunk.encoding) && chunk.is_fully_selected(self.clip_range)
    }
}

impl SupportedEncodings {
    fn supports(self, encoding: ChunkEncoding) -> bool {
        match self {
            Self::All => true,
            Self::Baseline => matches!(
                encoding,
                ChunkEncoding::Xor | ChunkEncoding::Histogram | ChunkEncoding::FloatHistogram
            ),
        }
    }

    /// Returns the options to re-encode a single chunk, or a group of several (`None`).
    fn reencode_options(self, single: Option<&Chunk>) -> ReencodeOptions {
        let plain = EncodingPolicy {
            floats: FloatEncoding::Xor,
            histogram_st_mode: HistogramStMode::WithoutSt,
        };
        let (encodings, starts) = match self {
            Self::Baseline => (plain, StPolicy::Discard),
            Self::All => (
                single.map_or(plain, |chunk| EncodingPolicy::from_encoding(chunk.encoding)),
                StPolicy::Preserve,
            ),
        };
        ReencodeOptions {
            encodings,
            starts,
            max_samples: if single.is_some() { u16::MAX } else { MAX_SAMPLES },
        }
    }
}

/// Re-encoding of the samples of one overlap group.
struct ReencodeRun<'a> {
    samples: SampleIter<'a>,
    reencoder: Reencoder,
}

impl<'a> ReencodeRun<'a> {
    fn new(group: &OverlapGroup<'a>, range: TimeRange, readable: SupportedEncodings) -> Self {
        Self {
            samples: group.samples(range),
            reencoder: Reencoder::new(readable.reencode_options(group.single_chunk())),
        }
    }

    fn next(&mut self) -> Result<Option<ReencodedChunk>, QueryError> {
        for sample in &mut self.samples {
            if let Some(chunk) = self.reencoder.push(&sample?) {
                return Ok(Some(chunk));
            }
        }
        Ok(self.reencoder.finish())
    }
}

impl From<&Chunk> for EncodedChunk {
    fn from(chunk: &Chunk) -> Self {
        Self {
            mint: chunk.mint,
            maxt: chunk.maxt,
            encoding: chunk.encoding,
            data: chunk.data.clone(),
        }
    }
}

impl From<ReencodedChunk> for EncodedChunk {
    fn from(chunk: ReencodedChunk) -> Self {
        Self {
            mint: chunk.mint,
            maxt: chunk.maxt,
            encoding: chunk.encoding,
            data: ChunkData::new(chunk.bytes),
        }
    }
}

#[cfg(test)]
mod tests;
