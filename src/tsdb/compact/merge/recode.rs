//! Points of chunks that can't be taken over as they are, as new chunks.
//!
//! As where Prometheus encodes anew (`storage/series.go`), a new chunk has at most 120 points, all of one kind, and ends where a histogram
//! does not go with those before it: a counter reset, another schema, other custom buckets, … What is known of a
//! counter reset between two chunks is what the end of the one and the beginning of the other say. Where start times
//! are known the encoding is one that has a place for them.

use crate::model::value::Point;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::any_chunk::{AnyChunk, ChunkEncodings, HistogramStarts};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::histogram::append::Appended;
use crate::tsdb::compact::merge::runs::Anew;
use crate::tsdb::query::samples::Series;
use crate::tsdb::query::source::{Chunk, ChunkData, QueryError};

/// A new chunk takes no more points than this.
pub const MAX_SAMPLES: u16 = 120;

/// Encodes points of `series` anew, behind the chunks that are there.
///
/// # Errors
/// [`QueryError`] where a chunk is damaged: nothing is lost on the way.
pub fn recode(series: &Series, run: Anew, chunks: &mut Vec<Chunk>) -> Result<(), QueryError> {
    let mut open: Option<OpenChunk> = None;
    for point in series.points(run.times) {
        let point = point?;
        let encodings = with_start(run.encodings, point.start);
        open = Some(match open.take() {
            Some(chunk) if chunk.has_room(encodings, &point) => chunk.append(encodings, &point, chunks),
            full => {
                chunks.extend(full.and_then(OpenChunk::finish));
                OpenChunk::begin(encodings, &point, None)
            }
        });
    }
    chunks.extend(open.and_then(OpenChunk::finish));
    Ok(())
}

/// `encodings`, or those that have a place for a start time where there is one.
fn with_start(encodings: ChunkEncodings, start: i64) -> ChunkEncodings {
    match start {
        0 => encodings,
        _ => ChunkEncodings { floats: FloatEncoding::Xor2, histogram_starts: HistogramStarts::Kept },
    }
}

/// A new chunk that is being filled.
struct OpenChunk {
    mint: i64,
    chunk: AnyChunk,
}

impl OpenChunk {
    fn begin(encodings: ChunkEncodings, point: &Point, before: Option<&AnyChunk>) -> Self {
        Self { mint: point.t, chunk: AnyChunk::begin(encodings, point, before) }
    }

    /// Whether there is room in it for a point, and its encoding is right. Floats of which no start is known may stand in either of theirs.
    fn has_room(&self, encodings: ChunkEncodings, point: &Point) -> bool {
        let (own, wanted) = (self.chunk.encoding(), encodings.of(point.value.kind()));
        self.chunk.num_samples() < MAX_SAMPLES && (own == wanted || (own, wanted) == (Encoding::Xor2, Encoding::Xor))
    }

    /// Appends a point; where it does not go with those in the chunk, that is finished and the point begins another.
    fn append(mut self, encodings: ChunkEncodings, point: &Point, chunks: &mut Vec<Chunk>) -> Self {
        match self.chunk.append(point) {
            Appended::Done | Appended::Rewritten => self,
            Appended::NotTaken => {
                let next = Self::begin(encodings, point, Some(&self.chunk));
                chunks.extend(self.finish());
                next
            }
        }
    }

    /// The chunk; `None` where it has no points.
    fn finish(self) -> Option<Chunk> {
        let (mint, maxt, encoding) = (self.mint, self.chunk.last_t()?, self.chunk.encoding());
        Some(Chunk { mint, maxt, encoding, data: ChunkData::new(self.chunk.into_bytes()), deleted: None })
    }
}
