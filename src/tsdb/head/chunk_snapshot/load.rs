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
use crate::tsdb::head::in_flight::BatchId;
use crate::tsdb::head::series::{HeadSeries, OpenChunk};
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::record::exemplars::RefExemplar;
use crate::tsdb::wal::segment::{SegmentError, list_segments};
use crossbeam_channel::Receiver;
use std::collections::HashMap;
use std::convert::Infallible;
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
    #[error("open chunk of series {}: {source}", .series.0)]
    Chunk {
        /// Reference of the series.
        series: SeriesRef,
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
    let chunks = group_by_series(head, chunks)?;
    thread::scope(|scope| {
        let (sender, batches) = crossbeam_channel::bounded::<RecordBatch>(MAX_QUEUED_BATCHES);
        let builders: Vec<_> = (0..workers.max(1))
            .map(|_| {
                let (batches, chunks) = (batches.clone(), &chunks);
                scope.spawn(move || build_series(head, chunks, &batches))
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
        if let Some(unknown) =
            chunks.keys().find(|reference| head.series.get_by_ref(**reference).is_none())
        {
            return Err(LoadSnapshotError::UnknownSeries(*unknown));
        }
        loaded.exemplars = restore_exemplars(head, &exemplars);
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

/// Returns the m-mapped chunks of each series, oldest first.
fn group_by_series(
    head: &Head,
    chunks: Vec<HeadChunkMeta>,
) -> Result<HashMap<SeriesRef, Vec<MappedChunk>>, LoadSnapshotError> {
    let mut found: HashMap<SeriesRef, Vec<MappedChunk>> = HashMap::new();
    for chunk in chunks {
        head.reserve_ref(chunk.series);
        if chunk.out_of_order || chunk.maxt < head.times.min_valid() {
            continue;
        }
        let mapped = found.entry(chunk.series).or_default();
        if mapped.last().is_some_and(|last| chunk.mint <= last.maxt()) {
            return Err(LoadSnapshotError::Overlap(chunk.series));
        }
        mapped.push(MappedChunk::new(
            chunk.chunk_ref,
            chunk.mint,
            chunk.maxt,
            chunk.samples,
            chunk.encoding,
        ));
    }
    Ok(found)
}

/// Builds series from the received records. Stops at the first error.
fn build_series(
    head: &Head,
    chunks: &HashMap<SeriesRef, Vec<MappedChunk>>,
    batches: &Receiver<RecordBatch>,
) -> Result<usize, LoadSnapshotError> {
    let mut count = 0;
    for batch in batches {
        let mut begin = 0;
        for end in batch.ends {
            let series = read_series(&batch.bytes[begin..end])?;
            let mapped = chunks.get(&series.reference).map_or(&[][..], Vec::as_slice);
            add_series(head, series, mapped)?;
            begin = end;
            count += 1;
        }
    }
    Ok(count)
}

fn add_series(
    head: &Head,
    decoded: SnapshotSeries<'_>,
    mapped: &[MappedChunk],
) -> Result<(), LoadSnapshotError> {
    let reference = decoded.reference;
    head.reserve_ref(reference);
    let Ok(entry) = head.series.get_or_create(&decoded.labels, |hash, labels| {
        Ok::<_, Infallible>(HeadSeries::new(reference, hash, labels, BatchId::NONE))
    });
    if !entry.created {
        return Err(LoadSnapshotError::DuplicateSeries(reference));
    }
    head.stats.series_created.fetch_add(1, Ordering::Relaxed);
    let open = decoded.open.filter(|chunk| chunk.maxt >= head.times.min_valid());
    if let (Some(open), Some(last)) = (&open, mapped.last())
        && open.mint <= last.maxt()
    {
        return Err(LoadSnapshotError::Overlap(reference));
    }
    let begin = mapped.first().map(MappedChunk::mint).or(open.as_ref().map(|chunk| chunk.mint));
    let end = open.as_ref().map(|chunk| chunk.maxt).or(mapped.last().map(MappedChunk::maxt));
    if let (Some(begin), Some(end)) = (begin, end) {
        head.times.extend(begin, end);
    }
    head.stats
        .chunks_created
        .fetch_add((mapped.len() + usize::from(open.is_some())) as u64, Ordering::Relaxed);
    let mut state = entry.series.state.lock();
    mapped.iter().for_each(|chunk| state.mapped.push(*chunk));
    state.open = open.map(|chunk| open_chunk(reference, chunk)).transpose()?;
    head.stats.stale_series.fetch_add(i64::from(state.is_stale()), Ordering::Relaxed);
    Ok(())
}

/// Restores the open chunk. As in Prometheus, the next sample starts a new chunk.
fn open_chunk(
    series: SeriesRef,
    snapshot_chunk: SnapshotChunk<'_>,
) -> Result<OpenChunk, LoadSnapshotError> {
    let chunk = AnyChunk::resume(snapshot_chunk.encoding, snapshot_chunk.bytes)
        .map_err(|source| LoadSnapshotError::Chunk { series, source })?;
    let first =
        AnyChunkIter::new(snapshot_chunk.encoding, chunk.bytes()).next().and_then(Result::ok);
    if first.map(|first| first.t) != Some(snapshot_chunk.mint)
        || chunk.last_t() != Some(snapshot_chunk.maxt)
    {
        return Err(LoadSnapshotError::Times(series));
    }
    Ok(OpenChunk {
        chunk,
        mint: snapshot_chunk.mint,
        window: ChunkBoundary::ending_at(snapshot_chunk.maxt),
    })
}
