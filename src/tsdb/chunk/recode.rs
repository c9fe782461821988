//! Points as new chunks: those of chunks that overlap, that a deletion touches, or whose encoding is not wanted.
//!
//! As where Prometheus encodes anew (`storage/series.go`), a new chunk has at most so many points, all of one kind, and ends where a
//! histogram does not go with those before it: a counter reset, another schema, other custom buckets, … What is known of a
//! counter reset between two chunks is what the end of the one and the beginning of the other say.
//!
//! Points go in one by one, and each chunk comes out when it is complete: of all of them one is in memory.

use crate::model::refs::SeriesRef;
use crate::model::value::Point;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::any_chunk::{AnyChunk, ChunkEncodings, HistogramStarts};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::head_chunks::format::NewChunk;
use crate::tsdb::chunk::histogram::append::Appended;

/// Points of a chunk of which several are made.
pub const MAX_SAMPLES: u16 = 120;

/// What becomes of start times that the wanted encodings have no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    /// Where one is known, the encoding is one that has a place for it.
    Kept,
    /// They are dropped.
    Dropped,
}

/// How points are encoded anew.
#[derive(Clone, Copy, Debug)]
pub struct RecodeRules {
    /// Into what.
    pub encodings: ChunkEncodings,
    /// What becomes of start times.
    pub starts: Starts,
    /// Most points of a chunk.
    pub most: u16,
}

impl RecodeRules {
    fn encodings(&self, point: &Point) -> ChunkEncodings {
        if point.start == 0 || self.starts == Starts::Dropped {
            return self.encodings;
        }
        ChunkEncodings { floats: FloatEncoding::Xor2, histogram_starts: HistogramStarts::Kept }
    }
}

/// A new chunk.
#[derive(Clone, Debug)]
pub struct Recoded {
    /// Time of its first point, ms.
    pub mint: i64,
    /// Time of its last point, ms.
    pub maxt: i64,
    /// How many points there are.
    pub samples: u16,
    /// How `bytes` are encoded.
    pub encoding: Encoding,
    /// The encoded points.
    pub bytes: Box<[u8]>,
}

impl Recoded {
    /// As a chunk of late points is written for `series`.
    #[must_use]
    pub fn as_late(&self, series: SeriesRef) -> NewChunk<'_> {
        let Self { mint, maxt, encoding, ref bytes, .. } = *self;
        NewChunk { series, mint, maxt, encoding, out_of_order: true, bytes }
    }
}

/// Makes chunks of points that rise.
#[derive(Debug)]
pub struct Recoder {
    rules: RecodeRules,
    open: Option<OpenChunk>,
}

impl Recoder {
    /// One that has no point yet.
    #[must_use]
    pub fn new(rules: RecodeRules) -> Self {
        Self { rules, open: None }
    }

    /// Takes the next point, and gives the chunk that is complete because this one begins another.
    pub fn push(&mut self, point: &Point) -> Option<Recoded> {
        let encodings = self.rules.encodings(point);
        let Some(open) = &mut self.open else {
            self.open = Some(OpenChunk::begin(encodings, point, None));
            return None;
        };
        let next = if open.has_room(encodings, point, self.rules.most) {
            if open.append(point) {
                return None;
            }
            OpenChunk::begin(encodings, point, Some(&open.chunk))
        } else {
            OpenChunk::begin(encodings, point, None)
        };
        Some(std::mem::replace(open, next).finish())
    }

    /// Time of the first point of the chunk that is being filled, ms.
    #[must_use]
    pub fn begins_at(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.mint)
    }

    /// The last chunk. From then on points begin anew.
    pub fn finish(&mut self) -> Option<Recoded> {
        self.open.take().map(OpenChunk::finish)
    }
}

/// A new chunk that is being filled.
#[derive(Debug)]
struct OpenChunk {
    mint: i64,
    maxt: i64,
    chunk: AnyChunk,
}

impl OpenChunk {
    fn begin(encodings: ChunkEncodings, point: &Point, before: Option<&AnyChunk>) -> Self {
        Self { mint: point.t, maxt: point.t, chunk: AnyChunk::begin(encodings, point, before) }
    }

    /// Whether there is room in it for a point, and its encoding is right. Floats of which no start is known may stand in either of theirs.
    fn has_room(&self, encodings: ChunkEncodings, point: &Point, most: u16) -> bool {
        let (own, wanted) = (self.chunk.encoding(), encodings.of(point.value.kind()));
        self.chunk.num_samples() < most && (own == wanted || (own, wanted) == (Encoding::Xor2, Encoding::Xor))
    }

    /// Whether the point goes with those in the chunk, and is its last one now.
    fn append(&mut self, point: &Point) -> bool {
        let is_taken = self.chunk.append(point) != Appended::NotTaken;
        if is_taken {
            self.maxt = point.t;
        }
        is_taken
    }

    fn finish(self) -> Recoded {
        let (samples, encoding) = (self.chunk.num_samples(), self.chunk.encoding());
        Recoded { mint: self.mint, maxt: self.maxt, samples, encoding, bytes: self.chunk.into_bytes() }
    }
}
