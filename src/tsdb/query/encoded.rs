//! A series of an answer as chunks: for streamed remote reads, and for Thanos.
//!
//! Chunks come in the order of time and do not overlap. Each is handed on as it is stored, its bytes neither decoded nor copied, unless
//! - it overlaps another one that is not its like,
//! - a deletion touches it,
//! - the reader does not know its encoding ([`Readable`]),
//! - it reaches beyond the range and is to be cut there ([`Series::encoded_within`]).
//!
//! Then its points in the range are encoded anew, with those that overlap it. What was one chunk stays one if its points go together;
//! of several, each new one has at most 120 points ([`crate::tsdb::chunk::recode`]).
//!
//! Lazy: one new chunk is in memory, and those are decoded at once that overlap at one time.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::any_chunk::{ChunkEncodings, HistogramStarts};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::recode::{MAX_SAMPLES, RecodeRules, Recoded, Recoder, Starts};
use crate::tsdb::query::samples::groups::{Group, Groups};
use crate::tsdb::query::samples::{PointIter, Series};
use crate::tsdb::query::source::{Chunk, ChunkData, QueryError};

/// Which encodings a reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// XOR and histograms without start times: what every reader of chunks knows. Start times of others are dropped.
    Classic,
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
    pub encoding: Encoding,
    /// The encoded points.
    pub data: ChunkData,
}

/// The chunks of a series; made by [`Series::encoded`] and [`Series::encoded_within`]. After an error it ends.
pub struct EncodedIter<'a> {
    groups: Groups<'a>,
    range: TimeRange,
    /// What reaches beyond these times is cut.
    uncut: TimeRange,
    readable: Readable,
    /// The group that is being encoded anew.
    anew: Option<Anew<'a>>,
}

impl Series {
    /// The chunks that overlap `range`. Those that are handed on as they are may reach beyond it.
    #[must_use]
    pub fn encoded(&self, range: TimeRange, readable: Readable) -> EncodedIter<'_> {
        EncodedIter { groups: self.groups(range), range, uncut: TimeRange::ALL, readable, anew: None }
    }

    /// The chunks with the points in `range` and no others.
    #[must_use]
    pub fn encoded_within(&self, range: TimeRange, readable: Readable) -> EncodedIter<'_> {
        EncodedIter { groups: self.groups(range), range, uncut: range, readable, anew: None }
    }
}

impl Iterator for EncodedIter<'_> {
    type Item = Result<EncodedChunk, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(anew) = &mut self.anew {
                match anew.next().transpose() {
                    Some(Ok(chunk)) => return Some(Ok(chunk.into())),
                    Some(Err(error)) => {
                        self.anew = None;
                        self.groups.end();
                        return Some(Err(error));
                    }
                    None => self.anew = None,
                }
            }
            let group = self.groups.next()?;
            match group.only() {
                Some(chunk) if self.is_handed_on(chunk) => return Some(Ok(chunk.into())),
                _ => self.anew = Some(Anew::new(&group, self.range, self.readable)),
            }
        }
    }
}

impl EncodedIter<'_> {
    fn is_handed_on(&self, chunk: &Chunk) -> bool {
        self.readable.has(chunk.encoding) && chunk.is_whole(self.uncut)
    }
}

impl Readable {
    fn has(self, encoding: Encoding) -> bool {
        match self {
            Self::All => true,
            Self::Classic => matches!(encoding, Encoding::Xor | Encoding::Histogram | Encoding::FloatHistogram),
        }
    }

    /// How the points of such a chunk, or of several, are encoded anew.
    fn rules(self, only: Option<&Chunk>) -> RecodeRules {
        let plain = ChunkEncodings { floats: FloatEncoding::Xor, histogram_starts: HistogramStarts::Dropped };
        let (encodings, starts) = match self {
            Self::Classic => (plain, Starts::Dropped),
            Self::All => (only.map_or(plain, |chunk| ChunkEncodings::like(chunk.encoding)), Starts::Kept),
        };
        RecodeRules { encodings, starts, most: if only.is_some() { u16::MAX } else { MAX_SAMPLES } }
    }
}

/// A group whose points become new chunks.
struct Anew<'a> {
    points: PointIter<'a>,
    recoder: Recoder,
}

impl<'a> Anew<'a> {
    fn new(group: &Group<'a>, range: TimeRange, readable: Readable) -> Self {
        Self { points: group.points(range), recoder: Recoder::new(readable.rules(group.only())) }
    }

    fn next(&mut self) -> Result<Option<Recoded>, QueryError> {
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
        Self { mint: chunk.mint, maxt: chunk.maxt, encoding: chunk.encoding, data: chunk.data.clone() }
    }
}

impl From<Recoded> for EncodedChunk {
    fn from(chunk: Recoded) -> Self {
        Self { mint: chunk.mint, maxt: chunk.maxt, encoding: chunk.encoding, data: ChunkData::new(chunk.bytes) }
    }
}

#[cfg(test)]
#[path = "encoded_tests.rs"]
mod tests;
