//! Writing open chunks of late points to `chunks_head/`, and finding what is stored at a time.
//!
//! Both under the mutex of the series; the mutex of the chunk files is taken within, for the write.

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
    /// Writes the open chunk of late points, and gives where its chunks are. It is empty then.
    ///
    /// # Errors
    /// [`HeadChunksError`]: the points stay where they are, and the failure is counted.
    pub(in crate::tsdb::head) fn flush_ooo_chunk(
        &self,
        series: SeriesRef,
        late: &mut OutOfOrderState,
    ) -> Result<Vec<HeadChunkRef>, HeadChunksError> {
        let chunks = encode(late.open.samples(), self.chunk_policy().encodings);
        let new: Vec<NewChunk<'_>> =
            chunks.iter().map(|chunk| chunk.as_out_of_order(series)).collect();
        let places = self
            .mapping
            .files()
            .write(&new)
            .inspect_err(|error| self.record_write_failure(error))?;
        for (chunk, at) in chunks.iter().zip(&places) {
            self.attach_late(
                late,
                MappedChunk::new(*at, chunk.mint, chunk.maxt, chunk.samples, chunk.encoding),
            );
        }
        late.open.clear();
        self.stats.ooo_chunks_written.fetch_add(places.len() as u64, Ordering::Relaxed);
        self.stats.chunks_created.fetch_add(places.len() as u64, Ordering::Relaxed);
        self.stats.chunks_mapped.fetch_add(places.len() as u64, Ordering::Relaxed);
        Ok(places)
    }

    /// Gives a series a chunk of late points that is in `chunks_head/`.
    pub(in crate::tsdb::head) fn attach_late(
        &self,
        late: &mut OutOfOrderState,
        chunk: MappedChunk,
    ) {
        late.attach(chunk, |chunk| {
            let Ok(data) = self.mapping.read(chunk.chunk_ref()) else { return Vec::new() };
            decode_samples(data.encoding(), data.as_ref()).map(|point| point.t).collect()
        });
    }

    fn record_write_failure(&self, error: &HeadChunksError) {
        let before = self.stats.chunk_write_failures.fetch_add(1, Ordering::Relaxed);
        self.stats
            .chunk_writes_without_space
            .fetch_add(u64::from(error.is_no_space()), Ordering::Relaxed);
        if before.is_multiple_of(1000) {
            tracing::error!(%error, "can't write a chunk of late samples: it stays in memory");
        }
    }

    /// The value that came late for `t` ms, of several the newest.
    pub(in crate::tsdb::head) fn find_ooo_value(
        &self,
        late: &OutOfOrderState,
        t: i64,
    ) -> Option<SampleValue> {
        let open = late.open.get(t).map(|point| point.value.clone());
        open.or_else(|| self.mapped_late_value(&late.mapped, t))
    }

    fn mapped_late_value(&self, mapped: &OutOfOrderChunks, t: i64) -> Option<SampleValue> {
        mapped.covering(t).into_iter().find_map(|at| {
            let data = self.mapping.read(at).ok()?;
            value_at(data.encoding(), data.as_ref(), t)
        })
    }

    /// Forgets the points of the open chunk that `stored`, one of its chunks, has as well.
    pub(in crate::tsdb::head) fn drop_stored(
        &self,
        late: &mut OutOfOrderState,
        stored: &MappedChunk,
    ) {
        if late.open.is_empty() {
            return;
        }
        let Ok(data) = self.mapping.read(stored.chunk_ref()) else { return };
        decode_samples(stored.encoding(), data.as_ref())
            .for_each(|point| late.open.forget_equal(&point));
    }

    /// Forgets the points of the open chunk that any chunk in `chunks_head/` has as well.
    pub(in crate::tsdb::head) fn drop_all_stored(&self, late: &mut OutOfOrderState) {
        let OutOfOrderState { open, mapped, .. } = late;
        open.drop_matching(|point| {
            self.mapped_late_value(mapped, point.t)
                .is_some_and(|stored| stored.is_equivalent(&point.value))
        });
    }
}

/// The value at `t` in a chunk.
pub(in crate::tsdb::head) fn value_at(
    encoding: ChunkEncoding,
    chunk: &[u8],
    t: i64,
) -> Option<SampleValue> {
    let points = AnyChunkIter::new(encoding, chunk).map_while(Result::ok);
    points.take_while(|point| point.t <= t).find(|point| point.t == t).map(|point| point.value)
}

/// The points of a chunk, up to where it is damaged.
pub(in crate::tsdb::head) fn decode_samples(
    encoding: ChunkEncoding,
    chunk: &[u8],
) -> impl Iterator<Item = Sample> {
    AnyChunkIter::new(encoding, chunk).map_while(Result::ok)
}
