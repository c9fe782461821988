//! Which chunks of a series can be taken over as they are, and which are to be encoded anew. Pure.
//!
//! Neighbours that are all encoded anew, into the same encodings, become one run, so that its chunks are full.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::any_chunk::{ChunkEncodings, HistogramStarts};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::query::samples::Series;
use crate::tsdb::query::samples::groups::Group;
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
pub fn runs(series: &Series, range: TimeRange, overlapping: FloatEncoding) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for group in series.groups(range) {
        match (run(&group, range, overlapping), runs.last_mut()) {
            (Run::Anew(next), Some(Run::Anew(open))) if next.encodings == open.encodings => {
                open.times.maxt = next.times.maxt;
            }
            (run, _) => runs.push(run),
        }
    }
    runs
}

fn run(group: &Group<'_>, range: TimeRange, overlapping: FloatEncoding) -> Run {
    let encodings = match group.only() {
        Some(chunk) if chunk.is_whole(range) => return Run::AsIs(Chunk { deleted: None, ..chunk.clone() }),
        Some(chunk) => ChunkEncodings::like(chunk.encoding),
        None => ChunkEncodings { floats: overlapping, histogram_starts: HistogramStarts::Dropped },
    };
    let times = TimeRange::new(group.times().mint.max(range.mint), group.times().maxt.min(range.maxt));
    Run::Anew(Anew { times, encodings })
}
