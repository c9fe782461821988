//! A series of an answer as chunks: for streamed remote reads, and for Thanos.
//!
//! Chunks come in the order of time and do not overlap. Each is handed on as it is stored, its bytes neither decoded nor copied, unless
//! - it overlaps another one that is not its like,
//! - a deletion touches it,
//! - the reader does not know its encoding ([`SupportedEncodings`]),
//! - it reaches beyond the range and is to be cut there ([`MergedSeries::encoded_chunks_clipped`]).
//!
//! Then its points in the range are encoded anew, with those that overlap it. What was one chunk stays one if its points go together;
//! of several, each new one has at most 120 points ([`crate::tsdb::chunk::reencode`]).
//!
//! Lazy: one new chunk is in memory, and those are decoded at once that overlap at one time.

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

/// Which encodings a reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupportedEncodings {
    /// XOR and histograms without start times: what every reader of chunks knows. Start times of others are dropped.
    Baseline,
    /// All: chunks are handed on whatever their encoding.
    All,
}

/// A chunk of an answer; nothing of it is deleted.
#[derive(Clone, Debug)]
pub struct EncodedChunk {
    /// Time of its first point, ms.
    pub mint: i64,
    /// Time of its last point, ms, or a later one where it was still growing.
    pub maxt: i64,
    /// How `data` is encoded.
    pub encoding: ChunkEncoding,
    /// The encoded points.
    pub data: ChunkData,
}

/// The chunks of a series; made by [`MergedSeries::encoded_chunks`] and [`MergedSeries::encoded_chunks_clipped`]. After an error it ends.
pub struct EncodedChunkIter<'a> {
    groups: OverlapGroups<'a>,
    range: TimeRange,
    /// What reaches beyond these times is cut.
    clip_range: TimeRange,
    readable: SupportedEncodings,
    /// The group that is being encoded anew.
    reencoding: Option<ReencodeRun<'a>>,
}

impl MergedSeries {
    /// The chunks that overlap `range`. Those that are handed on as they are may reach beyond it.
    #[must_use]
    pub fn encoded_chunks(
        &self,
        range: TimeRange,
        readable: SupportedEncodings,
    ) -> EncodedChunkIter<'_> {
        EncodedChunkIter {
            groups: self.groups(range),
            range,
            clip_range: TimeRange::ALL,
            readable,
            reencoding: None,
        }
    }

    /// The chunks with the points in `range` and no others.
    #[must_use]
    pub fn encoded_chunks_clipped(
        &self,
        range: TimeRange,
        readable: SupportedEncodings,
    ) -> EncodedChunkIter<'_> {
        EncodedChunkIter {
            groups: self.groups(range),
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
            if let Some(anew) = &mut self.reencoding {
                match anew.next().transpose() {
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

    /// How the points of such a chunk, or of several, are encoded anew.
    fn reencode_options(self, only: Option<&Chunk>) -> ReencodeOptions {
        let plain = EncodingPolicy {
            floats: FloatEncoding::Xor,
            histogram_st_mode: HistogramStMode::WithoutSt,
        };
        let (encodings, starts) = match self {
            Self::Baseline => (plain, StPolicy::Discard),
            Self::All => (
                only.map_or(plain, |chunk| EncodingPolicy::from_encoding(chunk.encoding)),
                StPolicy::Preserve,
            ),
        };
        ReencodeOptions {
            encodings,
            starts,
            max_samples: if only.is_some() { u16::MAX } else { MAX_SAMPLES },
        }
    }
}

/// A group whose points become new chunks.
struct ReencodeRun<'a> {
    points: SampleIter<'a>,
    recoder: Reencoder,
}

impl<'a> ReencodeRun<'a> {
    fn new(group: &OverlapGroup<'a>, range: TimeRange, readable: SupportedEncodings) -> Self {
        Self {
            points: group.samples(range),
            recoder: Reencoder::new(readable.reencode_options(group.single_chunk())),
        }
    }

    fn next(&mut self) -> Result<Option<ReencodedChunk>, QueryError> {
        for point in &mut self.points {
            if let Some(chunk) = self.recoder.push(&point?) {
                return Ok(Some(chunk));
            }
        }
        Ok(self.recoder.finish())
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
#[path = "chunk_iter_tests.rs"]
mod tests;
