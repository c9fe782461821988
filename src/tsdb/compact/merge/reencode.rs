//! Re-encoding of samples whose chunks cannot be copied. Chunks with start timestamps get an
//! encoding that keeps them.

use crate::tsdb::chunk::reencode::{
    MAX_SAMPLES, ReencodeOptions, ReencodedChunk, Reencoder, StPolicy,
};
use crate::tsdb::compact::merge::runs::ReencodeRange;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::{Chunk, ChunkData, QueryError};

/// Re-encodes the samples of `series` in a range and appends the chunks.
///
/// # Errors
/// [`QueryError`] if a chunk is corrupted. No sample is dropped silently.
pub fn reencode(
    series: &MergedSeries,
    run: ReencodeRange,
    chunks: &mut Vec<Chunk>,
) -> Result<(), QueryError> {
    let options = ReencodeOptions {
        encodings: run.encodings,
        starts: StPolicy::Preserve,
        max_samples: MAX_SAMPLES,
    };
    let mut reencoder = Reencoder::new(options);
    for sample in series.samples(run.times) {
        chunks.extend(reencoder.push(&sample?).map(into_chunk));
    }
    chunks.extend(reencoder.finish().map(into_chunk));
    Ok(())
}

fn into_chunk(chunk: ReencodedChunk) -> Chunk {
    let ReencodedChunk { mint, maxt, encoding, bytes, .. } = chunk;
    Chunk { mint, maxt, encoding, data: ChunkData::new(bytes), deleted_intervals: None }
}
