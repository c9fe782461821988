//! Samples of chunks that can't be taken over as they are, as new chunks.
//!
//! A new chunk has at most 120 samples, as where Prometheus encodes anew (`storage/series.go`). Where start times are known it is
//! XOR2, which alone has a place for them.

use crate::model::time::TimeRange;
use crate::model::value::{Point, Value};
use crate::tsdb::chunk::float_chunk::{FloatChunk, FloatEncoding};
use crate::tsdb::query::samples::Series;
use crate::tsdb::query::source::{Chunk, ChunkData, QueryError};

/// A new chunk takes no more samples than this.
pub const MAX_SAMPLES: u16 = 120;

/// Encodes the samples of `series` in `times` anew, behind the chunks that are there.
///
/// # Errors
/// [`QueryError`] where a chunk is damaged, or would be passed over: nothing is lost on the way.
pub fn recode(
    series: &Series,
    times: TimeRange,
    encoding: FloatEncoding,
    chunks: &mut Vec<Chunk>,
) -> Result<(), QueryError> {
    let mut open: Option<OpenChunk> = None;
    for point in series.points(times) {
        let Point { start, t, value: Value::Float(v) } = point? else {
            return Err(QueryError::Damaged(format!("a chunk of {} is not one of floats", series.labels())));
        };
        if open.as_ref().is_some_and(|open| !open.takes(start)) {
            chunks.extend(open.take().and_then(OpenChunk::finish));
        }
        let fresh = || {
            let encoding = if start == 0 { encoding } else { FloatEncoding::Xor2 };
            OpenChunk { mint: t, chunk: FloatChunk::new(encoding) }
        };
        open.get_or_insert_with(fresh).chunk.append_with_start(start, t, v);
    }
    chunks.extend(open.and_then(OpenChunk::finish));
    Ok(())
}

/// A new chunk that is being filled.
struct OpenChunk {
    mint: i64,
    chunk: FloatChunk,
}

impl OpenChunk {
    /// Whether a sample with this start time fits in.
    fn takes(&self, start: i64) -> bool {
        self.chunk.num_samples() < MAX_SAMPLES && (start == 0 || self.chunk.encoding() == FloatEncoding::Xor2)
    }

    /// The chunk; `None` where it has no samples.
    fn finish(self) -> Option<Chunk> {
        let (mint, maxt) = (self.mint, self.chunk.last()?.t);
        let encoding = self.chunk.encoding().into();
        Some(Chunk { mint, maxt, encoding, data: ChunkData::new(self.chunk.into_bytes()), deleted: None })
    }
}
