//! Writes of open out-of-order chunks to `chunks_head/`, and lookups of stored values.
//!
//! Both hold the mutex of the series; a write takes the mutex of the chunk files within it.

use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::head_chunks::format::NewChunk;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::Head;
use crate::tsdb::head::out_of_order::encode::encode;
use crate::tsdb::head::out_of_order::mapped::OutOfOrderChunks;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use std::sync::atomic::Ordering;

impl Head {
    /// Writes the open out-of-order chunk, empties it, and returns the references of the chunks.
    ///
    /// # Errors
    /// [`HeadChunksError`] if the write fails: the samples stay in memory, and the failure is
    /// counted.
    pub(in crate::tsdb::head) fn flush_ooo_chunk(
        &self,
        series: SeriesRef,
        ooo: &mut OutOfOrderState,
    ) -> Result<Vec<HeadChunkRef>, HeadChunksError> {
        let chunks = encode(ooo.open.samples(), self.chunk_policy().encodings);
        let new: Vec<NewChunk<'_>> =
            chunks.iter().map(|chunk| chunk.as_out_of_order(series)).collect();
        let chunk_refs = self
            .mapping
            .files()
            .write(&new)
            .inspect_err(|error| self.record_write_failure(error))?;
        for (chunk, at) in chunks.iter().zip(&chunk_refs) {
            self.attach_ooo(
                ooo,
                MappedChunk::new(*at, chunk.mint, chunk.maxt, chunk.samples, chunk.encoding),
            );
        }
        ooo.open.clear();
        self.stats.ooo_chunks_written.fetch_add(chunk_refs.len() as u64, Ordering::Relaxed);
        self.stats.chunks_created.fetch_add(chunk_refs.len() as u64, Ordering::Relaxed);
        self.stats.chunks_mapped.fetch_add(chunk_refs.len() as u64, Ordering::Relaxed);
        Ok(chunk_refs)
    }

    /// Adds a chunk that is in `chunks_head/` to the out-of-order chunks of a series.
    pub(in crate::tsdb::head) fn attach_ooo(&self, ooo: &mut OutOfOrderState, chunk: MappedChunk) {
        ooo.attach(chunk, |chunk| {
            let Ok(data) = self.mapping.read(chunk.chunk_ref()) else { return Vec::new() };
            decode_samples(data.encoding(), data.as_ref()).map(|sample| sample.t).collect()
        });
    }

    fn record_write_failure(&self, error: &HeadChunksError) {
        let before = self.stats.chunk_write_failures.fetch_add(1, Ordering::Relaxed);
        self.stats
            .chunk_writes_without_space
            .fetch_add(u64::from(error.is_no_space()), Ordering::Relaxed);
        if before.is_multiple_of(1000) {
            tracing::error!(%error, "cannot write out-of-order chunk, keeping it in memory");
        }
    }

    /// Returns the newest out-of-order value at `t` ms.
    pub(in crate::tsdb::head) fn find_ooo_value(
        &self,
        ooo: &OutOfOrderState,
        t: i64,
    ) -> Option<SampleValue> {
        let open = ooo.open.get(t).map(|sample| sample.value.clone());
        open.or_else(|| self.find_mapped_ooo_value(&ooo.mapped, t))
    }

    fn find_mapped_ooo_value(&self, mapped: &OutOfOrderChunks, t: i64) -> Option<SampleValue> {
        mapped.covering(t).into_iter().find_map(|at| {
            let data = self.mapping.read(at).ok()?;
            value_at(data.encoding(), data.as_ref(), t)
        })
    }

    /// Drops the samples of the open chunk that the chunk `stored` contains with the same value.
    pub(in crate::tsdb::head) fn drop_stored(
        &self,
        ooo: &mut OutOfOrderState,
        stored: &MappedChunk,
    ) {
        if ooo.open.is_empty() {
            return;
        }
        let Ok(data) = self.mapping.read(stored.chunk_ref()) else { return };
        decode_samples(stored.encoding(), data.as_ref())
            .for_each(|sample| ooo.open.forget_equal(&sample));
    }

    /// Drops the samples of the open chunk that any chunk in `chunks_head/` contains with the same
    /// value.
    pub(in crate::tsdb::head) fn drop_all_stored(&self, ooo: &mut OutOfOrderState) {
        let OutOfOrderState { open, mapped, .. } = ooo;
        open.drop_matching(|sample| {
            self.find_mapped_ooo_value(mapped, sample.t)
                .is_some_and(|stored| stored.is_equivalent(&sample.value))
        });
    }
}

/// Returns the value at `t` in a chunk.
pub(in crate::tsdb::head) fn value_at(
    encoding: ChunkEncoding,
    chunk: &[u8],
    t: i64,
) -> Option<SampleValue> {
    let samples = AnyChunkIter::new(encoding, chunk).map_while(Result::ok);
    samples
        .take_while(|sample| sample.t <= t)
        .find(|sample| sample.t == t)
        .map(|sample| sample.value)
}

/// Decodes the samples of a chunk, up to the first corruption.
pub(in crate::tsdb::head) fn decode_samples(
    encoding: ChunkEncoding,
    chunk: &[u8],
) -> impl Iterator<Item = Sample> {
    AnyChunkIter::new(encoding, chunk).map_while(Result::ok)
}
