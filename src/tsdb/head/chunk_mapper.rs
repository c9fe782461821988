//! Moving sealed chunks from memory to `chunks_head/`.
//!
//! It happens on the thread of the request that sealed them, after its log write: a chunk file must never hold a series that
//! the log does not know. One call writes all its chunks with one write. Where the write fails the chunks stay in memory and
//! are tried again with the next ones: the log has their samples. (After a failed log write they stay until their series is cut
//! again.)
//!
//! Invariant: the chunks of one series reach the files in the order of their time (Prometheus takes anything else for
//! damage). The mutex here is held from picking the chunks to noting where they are.

use crate::model::refs::HeadChunkRef;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::head_chunks::format::NewChunk;
use crate::tsdb::chunk::head_chunks::{HeadChunk, HeadChunkStore};
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::series::{HeadSeries, SealedChunk};
use crate::tsdb::head::stats::HeadStats;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The files of full chunks, and what could not be written to them yet.
#[derive(Debug)]
pub struct ChunkMapper {
    files: HeadChunkStore,
    /// Series whose sealed chunks an earlier write did not take.
    pending: Mutex<Vec<Arc<HeadSeries>>>,
    /// Number of chunks read, for tests that count steps.
    #[cfg(test)]
    pub(super) reads: std::sync::atomic::AtomicU64,
}

/// The sealed chunks of one series, picked for writing.
struct SealedBatch {
    series: Arc<HeadSeries>,
    chunks: Vec<SealedChunk>,
}

impl ChunkMapper {
    /// Chunks go to `files`.
    #[must_use]
    pub fn new(files: HeadChunkStore) -> Self {
        Self {
            files,
            pending: Mutex::default(),
            #[cfg(test)]
            reads: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &HeadChunkStore {
        &self.files
    }

    /// Writes the sealed chunks of these series, whose records are in the log, to `chunks_head/`.
    pub fn map_sealed(&self, sealed: &[Arc<HeadSeries>], stats: &HeadStats) {
        if sealed.is_empty() {
            return;
        }
        let mut waiting = self.pending.lock();
        let has_failed_before = !waiting.is_empty();
        let mut series = std::mem::take(&mut *waiting);
        series.extend(sealed.iter().cloned());
        series.sort_unstable_by_key(|series| series.reference);
        series.dedup_by_key(|series| series.reference);
        let picked: Vec<SealedBatch> = series.into_iter().filter_map(take_sealed).collect();
        let chunks: Vec<NewChunk<'_>> = picked.iter().flat_map(SealedBatch::new_chunks).collect();
        match self.files.write(&chunks) {
            Ok(places) => {
                stats.chunks_mapped.fetch_add(places.len() as u64, Ordering::Relaxed);
                let mut places = places.into_iter();
                for one in &picked {
                    one.replace_sealed(&mut places);
                }
            }
            Err(error) => {
                if !has_failed_before {
                    tracing::error!(%error, chunks = chunks.len(), "can't write chunks of the head: they stay in memory");
                }
                stats.chunk_write_failures.fetch_add(1, Ordering::Relaxed);
                stats
                    .chunk_writes_without_space
                    .fetch_add(u64::from(error.is_no_space()), Ordering::Relaxed);
                *waiting = picked.into_iter().map(|one| one.series).collect();
            }
        }
    }

    /// Until the guard is dropped no chunk changes its place.
    pub fn lock(&self) -> impl Sized + '_ {
        self.pending.lock()
    }

    /// The bytes of a mapped chunk, pinned.
    ///
    /// # Errors
    /// [`HeadChunksError`] where the file is damaged.
    pub fn read(&self, at: HeadChunkRef) -> Result<HeadChunk, HeadChunksError> {
        #[cfg(test)]
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.files.read(at)
    }
}

fn take_sealed(series: Arc<HeadSeries>) -> Option<SealedBatch> {
    let chunks = series.state.lock().sealed().to_vec();
    (!chunks.is_empty()).then_some(SealedBatch { series, chunks })
}

impl SealedBatch {
    fn new_chunks(&self) -> impl Iterator<Item = NewChunk<'_>> {
        let series = self.series.reference;
        self.chunks.iter().map(move |chunk| NewChunk {
            series,
            mint: chunk.mint,
            maxt: chunk.maxt,
            encoding: chunk.encoding,
            out_of_order: false,
            bytes: &chunk.bytes,
        })
    }

    /// Replaces the sealed chunks by the places where they are now.
    fn replace_sealed(&self, places: &mut impl Iterator<Item = HeadChunkRef>) {
        let mut state = self.series.state.lock();
        for (chunk, at) in self.chunks.iter().zip(places) {
            state.mapped.push(MappedChunk::new(
                at,
                chunk.mint,
                chunk.maxt,
                chunk.samples,
                chunk.encoding,
            ));
        }
        state.drop_sealed(self.chunks.len());
    }
}
