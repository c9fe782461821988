//! Mapper of sealed chunks: moves them from memory to `chunks_head/`.
//!
//! It runs on the thread of the request that sealed them, after its WAL write: a chunk file must
//! never contain a series or a sample that the WAL lacks. One call writes all its chunks with one
//! write. If that fails, the chunks stay in memory and are retried with the next ones; the WAL has
//! their samples. After a failed WAL write they stay until their series is cut again.
//!
//! # Invariant
//! The chunks of a series reach the files in time order; Prometheus treats anything else as
//! corruption. The mutex of the mapper is therefore held from taking the sealed chunks until their
//! references are set.

use crate::model::refs::HeadChunkRef;
use crate::tsdb::chunk::head_chunks::error::HeadChunkCorruption;
use crate::tsdb::chunk::head_chunks::format::NewChunk;
use crate::tsdb::chunk::head_chunks::{HeadChunk, HeadChunkStore};
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::open_chunk::SealedChunk;
use crate::tsdb::head::stats::HeadStats;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Files of m-mapped chunks, and the series whose sealed chunks could not be written.
#[derive(Debug)]
pub struct ChunkMapper {
    files: HeadChunkStore,
    /// Series whose sealed chunks are still in memory after a failed write.
    pending: Mutex<Vec<SealedSeries>>,
    /// Number of chunks read, for tests that count steps.
    #[cfg(test)]
    pub(crate) reads: std::sync::atomic::AtomicU64,
}

/// Series with sealed chunks whose samples are in the WAL.
#[derive(Clone, Debug)]
pub struct SealedSeries {
    /// The series.
    pub series: Arc<HeadSeries>,
    /// Timestamp of the last sample of these chunks, ms. Later chunks have samples of requests that
    /// the WAL may lack.
    pub until: i64,
}

/// Copies of the sealed chunks of one series, to be written.
struct SealedBatch {
    series: Arc<HeadSeries>,
    chunks: Vec<SealedChunk>,
}

impl ChunkMapper {
    /// Creates a mapper that writes to `files`.
    #[must_use]
    pub fn new(files: HeadChunkStore) -> Self {
        Self {
            files,
            pending: Mutex::default(),
            #[cfg(test)]
            reads: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Files of m-mapped chunks.
    #[must_use]
    pub fn files(&self) -> &HeadChunkStore {
        &self.files
    }

    /// Writes the sealed chunks of these series to `chunks_head/`.
    pub fn map_sealed(&self, sealed: &[SealedSeries], stats: &HeadStats) {
        if sealed.is_empty() {
            return;
        }
        let mut pending = self.pending.lock();
        let has_failed_before = !pending.is_empty();
        let mut series = std::mem::take(&mut *pending);
        series.extend(sealed.iter().cloned());
        series.sort_unstable_by_key(|sealed| (sealed.series.series_ref, sealed.until));
        series.dedup_by(|later, kept| {
            let is_same = later.series.series_ref == kept.series.series_ref;
            if is_same {
                kept.until = later.until;
            }
            is_same
        });
        let batches: Vec<SealedBatch> = series.into_iter().filter_map(take_sealed).collect();
        let chunks: Vec<NewChunk<'_>> = batches.iter().flat_map(SealedBatch::new_chunks).collect();
        match self.files.write(&chunks) {
            Ok(chunk_refs) => {
                stats.chunks_mapped.fetch_add(chunk_refs.len() as u64, Ordering::Relaxed);
                let mut chunk_refs = chunk_refs.into_iter();
                for batch in &batches {
                    batch.replace_sealed(&mut chunk_refs);
                }
            }
            Err(error) => {
                if !has_failed_before {
                    tracing::error!(
                        %error,
                        chunks = chunks.len(),
                        "cannot write head chunks, keeping them in memory"
                    );
                }
                stats.chunk_write_failures.fetch_add(1, Ordering::Relaxed);
                stats
                    .chunk_writes_without_space
                    .fetch_add(u64::from(error.is_no_space()), Ordering::Relaxed);
                *pending = batches.into_iter().filter_map(SealedBatch::into_pending).collect();
            }
        }
    }

    /// Returns a guard. Until it is dropped, no sealed chunk is m-mapped.
    pub fn lock(&self) -> impl Sized + '_ {
        self.pending.lock()
    }

    /// Returns the bytes of an m-mapped chunk, pinned.
    ///
    /// # Errors
    /// [`HeadChunkCorruption`] if the file is missing or corrupted.
    pub fn read(&self, chunk_ref: HeadChunkRef) -> Result<HeadChunk, HeadChunkCorruption> {
        #[cfg(test)]
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.files.read(chunk_ref)
    }
}

fn take_sealed(SealedSeries { series, until }: SealedSeries) -> Option<SealedBatch> {
    let state = series.state.lock();
    let chunks: Vec<SealedChunk> =
        state.sealed().iter().take_while(|chunk| chunk.maxt <= until).cloned().collect();
    drop(state);
    (!chunks.is_empty()).then_some(SealedBatch { series, chunks })
}

impl SealedBatch {
    fn into_pending(self) -> Option<SealedSeries> {
        let until = self.chunks.last()?.maxt;
        Some(SealedSeries { series: self.series, until })
    }

    fn new_chunks(&self) -> impl Iterator<Item = NewChunk<'_>> {
        let series = self.series.series_ref;
        self.chunks.iter().map(move |chunk| NewChunk {
            series,
            mint: chunk.mint,
            maxt: chunk.maxt,
            encoding: chunk.encoding,
            out_of_order: false,
            bytes: &chunk.bytes,
        })
    }

    /// Replaces the sealed chunks by references to the written ones.
    fn replace_sealed(&self, chunk_refs: &mut impl Iterator<Item = HeadChunkRef>) {
        let mut state = self.series.state.lock();
        for (chunk, chunk_ref) in self.chunks.iter().zip(chunk_refs) {
            state.mapped.push(MappedChunk::new(
                chunk_ref,
                chunk.mint,
                chunk.maxt,
                chunk.samples,
                chunk.encoding,
            ));
        }
        state.drop_sealed(self.chunks.len());
    }
}
