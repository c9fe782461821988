//! Points of chunks that can't be taken over as they are, as new chunks. Where start times are known the encoding is one that has a
//! place for them.

use crate::tsdb::chunk::reencode::{
    MAX_SAMPLES, ReencodeOptions, ReencodedChunk, Reencoder, StPolicy,
};
use crate::tsdb::compact::merge::runs::ReencodeRange;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::{Chunk, ChunkData, QueryError};

/// Encodes points of `series` anew, behind the chunks that are there.
///
/// # Errors
/// [`QueryError`] where a chunk is damaged: nothing is lost on the way.
pub fn reencode(
    series: &MergedSeries,
    run: ReencodeRange,
    chunks: &mut Vec<Chunk>,
) -> Result<(), QueryError> {
    let rules = ReencodeOptions {
        encodings: run.encodings,
        starts: StPolicy::Preserve,
        max_samples: MAX_SAMPLES,
    };
    let mut recoder = Reencoder::new(rules);
    for point in series.samples(run.times) {
        chunks.extend(recoder.push(&point?).map(into_chunk));
    }
    chunks.extend(recoder.finish().map(into_chunk));
    Ok(())
}

fn into_chunk(chunk: ReencodedChunk) -> Chunk {
    let ReencodedChunk { mint, maxt, encoding, bytes, .. } = chunk;
    Chunk { mint, maxt, encoding, data: ChunkData::new(bytes), deleted_intervals: None }
}
