//! Chunks of `chunks_head/` by series, until the WAL replay reaches the record of their series.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use hashbrown::HashMap;

/// In-order chunks that belong to no series yet.
#[derive(Debug, Default)]
pub(super) struct DiskChunks {
    series: HashMap<SeriesRef, SeriesChunks>,
    skipped: u64,
}

/// Chunks of one reference, in file order.
#[derive(Debug, Default)]
struct SeriesChunks {
    chunks: Vec<MappedChunk>,
    /// Whether a chunk was out of order; it and all later ones are skipped.
    is_skipping: bool,
}

impl DiskChunks {
    /// Adds a chunk. Skips it if it or an earlier one of its series is not in time order.
    pub(super) fn add(&mut self, chunk: &HeadChunkMeta) {
        let series = self.series.entry(chunk.series).or_default();
        series.is_skipping |= series.chunks.last().is_some_and(|last| chunk.mint <= last.maxt());
        if series.is_skipping {
            self.skipped += 1;
        } else {
            let (mint, maxt) = (chunk.mint, chunk.maxt);
            let mapped =
                MappedChunk::new(chunk.chunk_ref, mint, maxt, chunk.samples, chunk.encoding);
            series.chunks.push(mapped);
        }
    }

    /// Removes the chunks of a reference.
    pub(super) fn take(&mut self, series_ref: SeriesRef) -> Option<Vec<MappedChunk>> {
        self.series.remove(&series_ref).map(|series| series.chunks)
    }

    /// Number of chunks that are left.
    pub(super) fn len(&self) -> u64 {
        self.series.values().map(|series| series.chunks.len() as u64).sum()
    }

    /// Number of skipped chunks.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}
