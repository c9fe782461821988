//! Points of chunks that can't be taken over as they are, as new chunks. Where start times are known the encoding is one that has a
//! place for them.

use crate::tsdb::chunk::recode::{MAX_SAMPLES, RecodeRules, Recoded, Recoder, Starts};
use crate::tsdb::compact::merge::runs::Anew;
use crate::tsdb::query::samples::Series;
use crate::tsdb::query::source::{Chunk, ChunkData, QueryError};

/// Encodes points of `series` anew, behind the chunks that are there.
///
/// # Errors
/// [`QueryError`] where a chunk is damaged: nothing is lost on the way.
pub fn recode(series: &Series, run: Anew, chunks: &mut Vec<Chunk>) -> Result<(), QueryError> {
    let rules = RecodeRules { encodings: run.encodings, starts: Starts::Kept, most: MAX_SAMPLES };
    let mut recoder = Recoder::new(rules);
    for point in series.points(run.times) {
        chunks.extend(recoder.push(&point?).map(stored));
    }
    chunks.extend(recoder.finish().map(stored));
    Ok(())
}

fn stored(chunk: Recoded) -> Chunk {
    let Recoded { mint, maxt, encoding, bytes, .. } = chunk;
    Chunk { mint, maxt, encoding, data: ChunkData::new(bytes), deleted: None }
}
