//! Which chunks of a series can be taken over as they are, and which are to be encoded anew. Pure.
//!
//! Chunks come in the order of their `mint`. Those that overlap belong together; a chunk that is there twice counts once.
//! Neighbours that are all encoded anew, into the same encodings, become one run, so that its chunks are full.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::any_chunk::{ChunkEncodings, HistogramStarts};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::query::source::Chunk;

/// A part of a series.
#[derive(Debug)]
pub enum Run {
    /// One chunk, to be taken over.
    AsIs(Chunk),
    /// Points to be encoded anew.
    Anew(Anew),
}

/// Points that are to be encoded anew.
#[derive(Clone, Copy, Debug)]
pub struct Anew {
    /// The times, both ends included, that hold these points and no chunk of another run.
    pub times: TimeRange,
    /// Into what, where no start times are known; where some are, into what has a place for them.
    pub encodings: ChunkEncodings,
}

/// The runs of a series within `range`, in the order of time; `overlapping` is the encoding of floats that overlap.
#[must_use]
pub fn runs<'a>(chunks: impl Iterator<Item = &'a Chunk>, range: TimeRange, overlapping: FloatEncoding) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for group in groups(chunks.filter(|chunk| chunk.overlaps(range))) {
        match (group.run(range, overlapping), runs.last_mut()) {
            (Run::Anew(next), Some(Run::Anew(open))) if next.encodings == open.encodings => {
                open.times.maxt = next.times.maxt;
            }
            (run, _) => runs.push(run),
        }
    }
    runs
}

/// Chunks that overlap, each once.
struct Group<'a> {
    times: TimeRange,
    chunks: Vec<&'a Chunk>,
}

fn groups<'a>(chunks: impl Iterator<Item = &'a Chunk>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for chunk in chunks {
        match groups.last_mut() {
            Some(group) if chunk.mint <= group.times.maxt => group.add(chunk),
            _ => groups.push(Group { times: TimeRange::new(chunk.mint, chunk.maxt), chunks: vec![chunk] }),
        }
    }
    groups
}

impl<'a> Group<'a> {
    fn add(&mut self, chunk: &'a Chunk) {
        self.times.maxt = self.times.maxt.max(chunk.maxt);
        let as_old = self.chunks.iter().rev().take_while(|other| other.mint == chunk.mint);
        if !as_old.into_iter().any(|other| is_same(other, chunk)) {
            self.chunks.push(chunk);
        }
    }

    fn run(&self, range: TimeRange, overlapping: FloatEncoding) -> Run {
        let encodings = match self.chunks[..] {
            [chunk] if is_whole(chunk, range) => return Run::AsIs(Chunk { deleted: None, ..chunk.clone() }),
            [chunk] => same_encodings(chunk.encoding),
            _ => ChunkEncodings { floats: overlapping, histogram_starts: HistogramStarts::Dropped },
        };
        let times = TimeRange::new(self.times.mint.max(range.mint), self.times.maxt.min(range.maxt));
        Run::Anew(Anew { times, encodings })
    }
}

/// Those by which the points of such a chunk become such a chunk again.
fn same_encodings(encoding: Encoding) -> ChunkEncodings {
    let has_starts = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
    ChunkEncodings {
        floats: FloatEncoding::of(encoding).unwrap_or_default(),
        histogram_starts: if has_starts { HistogramStarts::Kept } else { HistogramStarts::Dropped },
    }
}

/// Whether everything in the chunk is wanted.
fn is_whole(chunk: &Chunk, range: TimeRange) -> bool {
    let times = TimeRange::new(chunk.mint, chunk.maxt);
    let is_touched = chunk.deleted.as_ref().is_some_and(|deleted| deleted.overlaps(times));
    range.contains(chunk.mint) && range.contains(chunk.maxt) && !is_touched
}

fn is_same(a: &Chunk, b: &Chunk) -> bool {
    (a.mint, a.maxt, a.encoding) == (b.mint, b.maxt, b.encoding)
        && a.deleted == b.deleted
        && a.data.bytes() == b.data.bytes()
}
