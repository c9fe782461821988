//! Which chunks of a series can be taken over as they are, and which are to be encoded anew. Pure.
//!
//! Chunks come in the order of their `mint`. Those that overlap belong together; a chunk that is there twice counts once.
//! Neighbours that are all encoded anew, into the same encoding, become one run, so that its chunks are full.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::query::source::Chunk;

/// A part of a series.
#[derive(Debug)]
pub enum Run {
    /// One chunk, to be taken over.
    AsIs(Chunk),
    /// Samples to be encoded anew.
    Anew {
        /// The times, both ends included, that hold these samples and no chunk of another run.
        times: TimeRange,
        /// Into what.
        encoding: FloatEncoding,
    },
    /// A chunk that would have to be encoded anew, and that this version can't decode.
    Opaque(Chunk),
}

/// The runs of a series within `range`, in the order of time; `overlapping` is the encoding of what overlaps.
#[must_use]
pub fn runs<'a>(chunks: impl Iterator<Item = &'a Chunk>, range: TimeRange, overlapping: FloatEncoding) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for group in groups(chunks.filter(|chunk| chunk.overlaps(range))) {
        match (group.run(range, overlapping), runs.last_mut()) {
            (Run::Anew { times, encoding }, Some(Run::Anew { times: open, encoding: same })) if encoding == *same => {
                open.maxt = times.maxt;
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
        if let [chunk] = self.chunks[..]
            && is_whole(chunk, range)
        {
            return Run::AsIs(Chunk { deleted: None, ..chunk.clone() });
        }
        if let Some(&chunk) = self.chunks.iter().find(|chunk| FloatEncoding::of(chunk.encoding).is_none()) {
            return Run::Opaque(chunk.clone());
        }
        let encoding = if self.chunks.len() > 1 { overlapping } else { FloatEncoding::Xor };
        let times = TimeRange::new(self.times.mint.max(range.mint), self.times.maxt.min(range.maxt));
        Run::Anew { times, encoding }
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
