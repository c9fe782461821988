//! Points as new chunks: those of chunks that overlap, that a deletion touches, or whose encoding is not wanted.
//!
//! As where Prometheus encodes anew (`storage/series.go`), a new chunk has at most so many points, all of one kind, and ends where a
//! histogram does not go with those before it: a counter reset, another schema, other custom buckets, … What is known of a
//! counter reset between two chunks is what the end of the one and the beginning of the other say.
//!
//! Points go in one by one, and each chunk comes out when it is complete: of all of them one is in memory.

use crate::model::refs::SeriesRef;
use crate::model::sample::Sample;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::head_chunks::format::NewChunk;
use crate::tsdb::chunk::histogram::append::AppendOutcome;

/// Points of a chunk of which several are made.
pub const MAX_SAMPLES: u16 = 120;

/// What becomes of start times that the wanted encodings have no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StPolicy {
    /// Where one is known, the encoding is one that has a place for it.
    Preserve,
    /// They are dropped.
    Discard,
}

/// How points are encoded anew.
#[derive(Clone, Copy, Debug)]
pub struct ReencodeOptions {
    /// Into what.
    pub encodings: EncodingPolicy,
    /// What becomes of start times.
    pub starts: StPolicy,
    /// Most points of a chunk.
    pub max_samples: u16,
}

impl ReencodeOptions {
    fn encodings_for(&self, point: &Sample) -> EncodingPolicy {
        if point.start_timestamp == 0 || self.starts == StPolicy::Discard {
            return self.encodings;
        }
        EncodingPolicy { floats: FloatEncoding::Xor2, histogram_st_mode: HistogramStMode::WithSt }
    }
}

/// A new chunk.
#[derive(Clone, Debug)]
pub struct ReencodedChunk {
    /// Time of its first point, ms.
    pub mint: i64,
    /// Time of its last point, ms.
    pub maxt: i64,
    /// How many points there are.
    pub samples: u16,
    /// How `bytes` are encoded.
    pub encoding: ChunkEncoding,
    /// The encoded points.
    pub bytes: Box<[u8]>,
}

impl ReencodedChunk {
    /// As a chunk of late points is written for `series`.
    #[must_use]
    pub fn as_out_of_order(&self, series: SeriesRef) -> NewChunk<'_> {
        let Self { mint, maxt, encoding, ref bytes, .. } = *self;
        NewChunk { series, mint, maxt, encoding, out_of_order: true, bytes }
    }
}

/// Makes chunks of points that rise.
#[derive(Debug)]
pub struct Reencoder {
    rules: ReencodeOptions,
    open: Option<PendingChunk>,
}

impl Reencoder {
    /// One that has no point yet.
    #[must_use]
    pub fn new(rules: ReencodeOptions) -> Self {
        Self { rules, open: None }
    }

    /// Takes the next point, and gives the chunk that is complete because this one begins another.
    pub fn push(&mut self, point: &Sample) -> Option<ReencodedChunk> {
        let encodings = self.rules.encodings_for(point);
        let Some(open) = &mut self.open else {
            self.open = Some(PendingChunk::with_first_sample(encodings, point, None));
            return None;
        };
        let next = if open.has_room(encodings, point, self.rules.max_samples) {
            if open.append(point) {
                return None;
            }
            PendingChunk::with_first_sample(encodings, point, Some(&open.chunk))
        } else {
            PendingChunk::with_first_sample(encodings, point, None)
        };
        Some(std::mem::replace(open, next).finish())
    }

    /// Time of the first point of the chunk that is being filled, ms.
    #[must_use]
    pub fn begins_at(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.mint)
    }

    /// The last chunk. From then on points begin anew.
    pub fn finish(&mut self) -> Option<ReencodedChunk> {
        self.open.take().map(PendingChunk::finish)
    }
}

/// A new chunk that is being filled.
#[derive(Debug)]
struct PendingChunk {
    mint: i64,
    maxt: i64,
    chunk: AnyChunk,
}

impl PendingChunk {
    fn with_first_sample(
        encodings: EncodingPolicy,
        point: &Sample,
        before: Option<&AnyChunk>,
    ) -> Self {
        Self {
            mint: point.t,
            maxt: point.t,
            chunk: AnyChunk::with_first_sample(encodings, point, before),
        }
    }

    /// Whether there is room in it for a point, and its encoding is right. Floats of which no start is known may stand in either of theirs.
    fn has_room(&self, encodings: EncodingPolicy, point: &Sample, most: u16) -> bool {
        let (own, wanted) = (self.chunk.encoding(), encodings.encoding_for(point.value.kind()));
        self.chunk.num_samples() < most
            && (own == wanted || (own, wanted) == (ChunkEncoding::Xor2, ChunkEncoding::Xor))
    }

    /// Whether the point goes with those in the chunk, and is its last one now.
    fn append(&mut self, point: &Sample) -> bool {
        let is_taken = self.chunk.append(point) != AppendOutcome::NeedsNewChunk;
        if is_taken {
            self.maxt = point.t;
        }
        is_taken
    }

    fn finish(self) -> ReencodedChunk {
        let (samples, encoding) = (self.chunk.num_samples(), self.chunk.encoding());
        ReencodedChunk {
            mint: self.mint,
            maxt: self.maxt,
            samples,
            encoding,
            bytes: self.chunk.into_bytes(),
        }
    }
}
