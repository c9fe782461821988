//! Writer of out-of-order chunks: open chunks to `chunks_head/`, and chunks there to their series.
//!
//! The caller holds the mutex of the series; a write takes the mutex of the chunk files within it.

use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::head_chunks::format::NewChunk;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::chunks::lookup::{decode_samples, find_mapped_ooo_value};
use crate::tsdb::head::chunks::store::ChunkStore;
use crate::tsdb::head::out_of_order::encode::encode;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::stats::HeadStats;
use std::sync::atomic::Ordering;

/// Writer of the out-of-order chunks of all series.
#[derive(Clone, Copy, Debug)]
pub struct OutOfOrderWriter<'a> {
    chunks: &'a ChunkStore,
    stats: &'a HeadStats,
}

impl<'a> OutOfOrderWriter<'a> {
    /// Creates a writer to the files of `chunks`.
    #[must_use]
    pub fn new(chunks: &'a ChunkStore, stats: &'a HeadStats) -> Self {
        Self { chunks, stats }
    }

    /// Writes the open out-of-order chunk, empties it, and returns the references of the chunks.
    ///
    /// # Errors
    /// [`HeadChunksError`] if the write fails: the samples stay in memory, and the failure is
    /// counted.
    pub fn flush(
        &self,
        series_ref: SeriesRef,
        ooo: &mut OutOfOrderState,
    ) -> Result<Vec<HeadChunkRef>, HeadChunksError> {
        let chunks = encode(ooo.open.samples(), self.chunks.settings.chunk_policy().encodings);
        let new: Vec<NewChunk<'_>> =
            chunks.iter().map(|chunk| chunk.as_out_of_order(series_ref)).collect();
        let written = self.chunks.mapper.files().write(&new);
        let chunk_refs = written.inspect_err(|error| self.record_failure(error))?;
        for (chunk, chunk_ref) in chunks.iter().zip(&chunk_refs) {
            let (mint, maxt) = (chunk.mint, chunk.maxt);
            self.add(ooo, MappedChunk::new(*chunk_ref, mint, maxt, chunk.samples, chunk.encoding));
        }
        ooo.open.clear();
        let count = chunk_refs.len() as u64;
        self.stats.ooo_chunks_written.fetch_add(count, Ordering::Relaxed);
        self.stats.chunks_created.fetch_add(count, Ordering::Relaxed);
        self.stats.chunks_mapped.fetch_add(count, Ordering::Relaxed);
        Ok(chunk_refs)
    }

    /// Adds a chunk that was found in `chunks_head/`.
    pub fn attach(&self, ooo: &mut OutOfOrderState, chunk: MappedChunk) {
        self.add(ooo, chunk);
        self.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops the samples of the open chunk that the chunk `stored` contains with the same value.
    pub fn drop_stored(&self, ooo: &mut OutOfOrderState, stored: &MappedChunk) {
        if ooo.open.is_empty() {
            return;
        }
        let Ok(data) = self.chunks.mapper.read(stored.chunk_ref()) else { return };
        decode_samples(stored.encoding(), data.as_ref())
            .for_each(|sample| ooo.open.drop_equal(&sample));
    }

    /// Drops the samples of the open chunk that any chunk in `chunks_head/` contains with the same
    /// value.
    pub fn drop_all_stored(&self, ooo: &mut OutOfOrderState) {
        let OutOfOrderState { open, mapped, .. } = ooo;
        open.drop_matching(|sample| {
            find_mapped_ooo_value(&self.chunks.mapper, mapped, sample.t)
                .is_some_and(|stored| stored.is_equivalent(&sample.value))
        });
    }

    fn add(&self, ooo: &mut OutOfOrderState, chunk: MappedChunk) {
        ooo.attach(chunk, |chunk| {
            let Ok(data) = self.chunks.mapper.read(chunk.chunk_ref()) else { return Vec::new() };
            decode_samples(data.encoding(), data.as_ref()).map(|sample| sample.t).collect()
        });
    }

    fn record_failure(&self, error: &HeadChunksError) {
        let before = self.stats.chunk_write_failures.fetch_add(1, Ordering::Relaxed);
        self.stats
            .chunk_writes_without_space
            .fetch_add(u64::from(error.is_no_space()), Ordering::Relaxed);
        if before.is_multiple_of(1000) {
            tracing::error!(%error, "cannot write out-of-order chunk, keeping it in memory");
        }
    }
}
