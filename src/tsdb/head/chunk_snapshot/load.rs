//! Loader of chunk snapshots into an empty head: one thread reads records, several build series.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::any_chunk::AnyChunk;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::chunk::cut::ChunkBoundary;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::encoding::byte_reader::{ByteError, ByteReader};
use crate::tsdb::head::Head;
use crate::tsdb::head::chunk_snapshot::ChunkSnapshot;
use crate::tsdb::head::chunk_snapshot::exemplars::{decode_exemplars, restore_exemplars};
use crate::tsdb::head::chunk_snapshot::record::{
    EXEMPLARS, SERIES, SnapshotChunk, SnapshotRecordError, SnapshotSeries, TOMBSTONES, read_series,
};
use crate::tsdb::head::series::open_chunk::OpenChunk;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::head::stats::HeadStats;
use crate::tsdb::head::times::HeadTimes;
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::record::exemplars::RefExemplar;
use crate::tsdb::wal::segment::{SegmentError, list_segments};
use crossbeam_channel::Receiver;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::thread;

/// Size of the record batches for a thread, bytes, and the maximum number of queued ones.
const BATCH_BYTES: usize = 256 << 10;
const MAX_QUEUED_BATCHES: usize = 4;

/// Error of loading a snapshot. The WAL must be replayed into a new head instead.
#[derive(Debug, thiserror::Error)]
pub enum LoadSnapshotError {
    /// The segment numbers are not consecutive.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// A segment is corrupted or unreadable.
    #[error(transparent)]
    Read(#[from] ReadLogError),
    /// A record is invalid.
    #[error(transparent)]
    Record(#[from] SnapshotRecordError),
    /// The tombstones record ends early.
    #[error("tombstones: {0}")]
    Tombstones(ByteError),
    /// An open chunk is corrupted.
    #[error("open chunk of series {}: {source}", .series_ref.0)]
    Chunk {
        /// Reference of the series.
        series_ref: SeriesRef,
        /// Error of the decoder.
        source: ChunkError,
    },
    /// An open chunk does not have the stated time range.
    #[error("open chunk of series {} has another time range than stated", .0.0)]
    Times(SeriesRef),
    /// The chunks of a series overlap.
    #[error("chunks of series {} overlap", .0.0)]
    Overlap(SeriesRef),
    /// A series has two records.
    #[error("duplicate series {}", .0.0)]
    DuplicateSeries(SeriesRef),
    /// A chunk in `chunks_head/` belongs to a series that the snapshot lacks.
    #[error("chunks_head has a chunk of series {}, which the snapshot lacks", .0.0)]
    UnknownSeries(SeriesRef),
    /// A record has an unknown type.
    #[error("unknown record type {0}")]
    UnknownType(u8),
}

/// Result of loading a snapshot.
#[derive(Debug, Default)]
pub struct LoadedSnapshot {
    /// Number of loaded series.
    pub series: usize,
    /// Version and entries of a block's tombstone file; `None` without a tombstones record.
    pub tombstones: Option<Vec<u8>>,
    /// Number of restored exemplars.
    pub exemplars: usize,
}

/// Loads `snapshot` into the empty `head`. `chunks` is the content of `chunks_head/`. The caller
/// indexes the series ([`Head::index_series`]).
///
/// # Errors
/// [`LoadSnapshotError`]. The head is incomplete then and must be discarded.
pub fn load_snapshot(
    snapshot: &ChunkSnapshot,
    head: &Head,
    chunks: Vec<HeadChunkMeta>,
    workers: usize,
) -> Result<LoadedSnapshot, LoadSnapshotError> {
    let loader = SeriesLoader::new(head, chunks)?;
    thread::scope(|scope| {
        let (sender, batches) = crossbeam_channel::bounded::<RecordBatch>(MAX_QUEUED_BATCHES);
        let builders: Vec<_> = (0..workers.max(1))
            .map(|_| {
                let (batches, loader) = (batches.clone(), &loader);
                scope.spawn(move || loader.build_series(&batches))
            })
            .collect();
        drop(batches);
        let (mut loaded, mut exemplars) = (LoadedSnapshot::default(), Vec::new());
        let read = read_records(snapshot, &mut loaded, &mut exemplars, |batch| {
            // Fails only if the builders have ended. Then the error of a builder is returned.
            let _ = sender.send(batch);
        });
        drop(sender);
        for builder in builders {
            loaded.series +=
                builder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        read?;
        // All series exist now. A chunk of an unknown reference could belong to a series that had
        // another reference.
        if let Some(unknown) = loader.find_unknown_series() {
            return Err(LoadSnapshotError::UnknownSeries(unknown));
        }
        loaded.exemplars = restore_exemplars(&head.series, head.exemplars(), &exemplars);
        Ok(loaded)
    })
}

/// Concatenated series records, with their end offsets.
#[derive(Default)]
struct RecordBatch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

fn read_records(
    snapshot: &ChunkSnapshot,
    loaded: &mut LoadedSnapshot,
    exemplars: &mut Vec<RefExemplar>,
    mut send: impl FnMut(RecordBatch),
) -> Result<(), LoadSnapshotError> {
    let mut batch = RecordBatch::default();
    for segment in list_segments(&snapshot.path)? {
        let mut reader = LogSegmentReader::open(segment)?;
        while let Some(record) = reader.next_record()? {
            match record.first() {
                Some(&SERIES) => {
                    batch.bytes.extend_from_slice(record);
                    batch.ends.push(batch.bytes.len());
                    if batch.bytes.len() >= BATCH_BYTES {
                        send(std::mem::take(&mut batch));
                    }
                }
                Some(&TOMBSTONES) => {
                    let encoded = ByteReader::new(&record[1..])
                        .uvarint_bytes()
                        .map_err(LoadSnapshotError::Tombstones)?;
                    loaded.tombstones = Some(encoded.to_vec());
                }
                Some(&EXEMPLARS) => {
                    exemplars.extend(decode_exemplars(record).map_err(SnapshotRecordError::from)?)
                }
                other => {
                    return Err(LoadSnapshotError::UnknownType(other.copied().unwrap_or_default()));
                }
            }
        }
    }
    send(batch);
    Ok(())
}

/// Loader of series into an empty head, shared by several threads.
struct SeriesLoader<'a> {
    store: &'a SeriesStore,
    times: &'a HeadTimes,
    stats: &'a HeadStats,
    /// M-mapped chunks of each series, oldest first.
    chunks: HashMap<SeriesRef, Vec<MappedChunk>>,
}

impl<'a> SeriesLoader<'a> {
    fn new(head: &'a Head, chunks: Vec<HeadChunkMeta>) -> Result<Self, LoadSnapshotError> {
        let (store, times, stats) = (&head.series, &head.times, &head.stats);
        let mut loader = Self { store, times, stats, chunks: HashMap::new() };
        chunks.into_iter().try_for_each(|chunk| loader.add_chunk(&chunk))?;
        Ok(loader)
    }

    fn add_chunk(&mut self, chunk: &HeadChunkMeta) -> Result<(), LoadSnapshotError> {
        self.store.reserve_ref(chunk.series);
        if chunk.out_of_order || chunk.maxt < self.times.min_valid() {
            return Ok(());
        }
        let mapped = self.chunks.entry(chunk.series).or_default();
        if mapped.last().is_some_and(|last| chunk.mint <= last.maxt()) {
            return Err(LoadSnapshotError::Overlap(chunk.series));
        }
        let (mint, maxt) = (chunk.mint, chunk.maxt);
        mapped.push(MappedChunk::new(chunk.chunk_ref, mint, maxt, chunk.samples, chunk.encoding));
        Ok(())
    }

    /// Builds series from the received records. Stops at the first error.
    fn build_series(&self, batches: &Receiver<RecordBatch>) -> Result<usize, LoadSnapshotError> {
        let mut count = 0;
        for batch in batches {
            let mut begin = 0;
            for end in batch.ends {
                self.add_series(read_series(&batch.bytes[begin..end])?)?;
                begin = end;
                count += 1;
            }
        }
        Ok(count)
    }

    fn add_series(&self, decoded: SnapshotSeries<'_>) -> Result<(), LoadSnapshotError> {
        let series_ref = decoded.series_ref;
        let mapped = self.chunks.get(&series_ref).map_or(&[][..], Vec::as_slice);
        let lookup = self.store.get_or_restore(series_ref, &decoded.labels);
        if !lookup.created {
            return Err(LoadSnapshotError::DuplicateSeries(series_ref));
        }
        self.stats.series_created.fetch_add(1, Ordering::Relaxed);
        let open = decoded.open.filter(|chunk| chunk.maxt >= self.times.min_valid());
        if let (Some(open), Some(last)) = (&open, mapped.last())
            && open.mint <= last.maxt()
        {
            return Err(LoadSnapshotError::Overlap(series_ref));
        }
        let begin = mapped.first().map(MappedChunk::mint).or(open.as_ref().map(|chunk| chunk.mint));
        let end = open.as_ref().map(|chunk| chunk.maxt).or(mapped.last().map(MappedChunk::maxt));
        if let (Some(begin), Some(end)) = (begin, end) {
            self.times.extend(begin, end);
        }
        let chunks = mapped.len() + usize::from(open.is_some());
        self.stats.chunks_created.fetch_add(chunks as u64, Ordering::Relaxed);
        let mut state = lookup.series.state.lock();
        mapped.iter().for_each(|chunk| state.mapped.push(*chunk));
        state.open = open.map(|chunk| open_chunk(series_ref, chunk)).transpose()?;
        self.stats.stale_series.fetch_add(i64::from(state.is_stale()), Ordering::Relaxed);
        Ok(())
    }

    /// Returns a series that has chunks and is not in the head.
    fn find_unknown_series(&self) -> Option<SeriesRef> {
        self.chunks.keys().copied().find(|series_ref| self.store.get_by_ref(*series_ref).is_none())
    }
}

/// Restores the open chunk. As in Prometheus, the next sample starts a new chunk.
fn open_chunk(
    series_ref: SeriesRef,
    snapshot_chunk: SnapshotChunk<'_>,
) -> Result<OpenChunk, LoadSnapshotError> {
    let chunk = AnyChunk::resume(snapshot_chunk.encoding, snapshot_chunk.bytes)
        .map_err(|source| LoadSnapshotError::Chunk { series_ref, source })?;
    let first =
        AnyChunkIter::new(snapshot_chunk.encoding, chunk.bytes()).next().and_then(Result::ok);
    if first.map(|first| first.t) != Some(snapshot_chunk.mint)
        || chunk.last_t() != Some(snapshot_chunk.maxt)
    {
        return Err(LoadSnapshotError::Times(series_ref));
    }
    Ok(OpenChunk {
        chunk,
        mint: snapshot_chunk.mint,
        window: ChunkBoundary::ending_at(snapshot_chunk.maxt),
    })
}
