//! Loading a snapshot into an empty head: one thread reads the records, several make series of them.

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

/// Bytes of records that a thread gets at once, and how many such lots may wait.
const BATCH_BYTES: usize = 256 << 10;
const MAX_QUEUED_BATCHES: usize = 4;

/// Why a snapshot can't be used: the log is to be replayed instead, into a new head.
#[derive(Debug, thiserror::Error)]
pub enum LoadSnapshotError {
    /// Its files don't follow each other.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// Its files are damaged.
    #[error(transparent)]
    Read(#[from] ReadLogError),
    /// A record of it can't be used.
    #[error(transparent)]
    Record(#[from] SnapshotRecordError),
    /// The tombstones end early.
    #[error("tombstones: {0}")]
    Tombstones(ByteError),
    /// A chunk is damaged.
    #[error("the open chunk of series {}: {source}", .series.0)]
    Chunk {
        /// Which series.
        series: SeriesRef,
        /// Where.
        source: ChunkError,
    },
    /// A chunk does not have the times that are stated for it.
    #[error("the open chunk of series {} has other times than stated", .0.0)]
    Times(SeriesRef),
    /// The chunks of a series don't follow each other.
    #[error("the chunks of series {} overlap", .0.0)]
    Overlap(SeriesRef),
    /// A series comes twice.
    #[error("series {} comes twice", .0.0)]
    DuplicateSeries(SeriesRef),
    /// A full chunk belongs to a series that the snapshot does not have.
    #[error("chunks_head has a chunk of series {}, which is not in the snapshot", .0.0)]
    UnknownSeries(SeriesRef),
    /// A record of a type that is not known.
    #[error("a record of type {0}")]
    UnknownType(u8),
}

/// What a snapshot had.
#[derive(Debug, Default)]
pub struct LoadedSnapshot {
    /// How many series.
    pub series: usize,
    /// Its tombstones, version and entries of the tombstones file of a block; `None` where there is no such record.
    pub tombstones: Option<Vec<u8>>,
    /// How many exemplars.
    pub exemplars: usize,
}

/// Loads `snapshot` into the empty `head`; `chunks` is what `chunks_head/` holds. The caller indexes the series
/// ([`Head::index_series`]).
///
/// # Errors
/// [`LoadSnapshotError`]; the head has a part of it then and is to be thrown away.
pub fn load_snapshot(
    snapshot: &ChunkSnapshot,
    head: &Head,
    chunks: Vec<HeadChunkMeta>,
    workers: usize,
) -> Result<LoadedSnapshot, LoadSnapshotError> {
    let chunks = group_by_series(head, chunks)?;
    thread::scope(|scope| {
        let (sender, lots) = crossbeam_channel::bounded::<RecordBatch>(MAX_QUEUED_BATCHES);
        let makers: Vec<_> = (0..workers.max(1))
            .map(|_| {
                let (lots, chunks) = (lots.clone(), &chunks);
                scope.spawn(move || build_series(head, chunks, &lots))
            })
            .collect();
        drop(lots);
        let (mut loaded, mut exemplars) = (LoadedSnapshot::default(), Vec::new());
        let read = read_records(snapshot, &mut loaded, &mut exemplars, |lot| {
            // Where a maker has failed, its error is the one that counts.
            let _ = sender.send(lot);
        });
        drop(sender);
        for maker in makers {
            loaded.series +=
                maker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        read?;
        // All series are there now. What is under a reference that none of them has may be of one that had another before.
        if let Some(unknown) =
            chunks.keys().find(|reference| head.series.get_by_ref(**reference).is_none())
        {
            return Err(LoadSnapshotError::UnknownSeries(*unknown));
        }
        loaded.exemplars = restore_exemplars(head, &exemplars);
        Ok(loaded)
    })
}

/// Records of series, one behind the other.
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
    let mut lot = RecordBatch::default();
    for segment in list_segments(&snapshot.path)? {
        let mut reader = LogSegmentReader::open(segment)?;
        while let Some(record) = reader.next_record()? {
            match record.first() {
                Some(&SERIES) => {
                    lot.bytes.extend_from_slice(record);
                    lot.ends.push(lot.bytes.len());
                    if lot.bytes.len() >= BATCH_BYTES {
                        send(std::mem::take(&mut lot));
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
    send(lot);
    Ok(())
}

/// The full chunks of each series, oldest first.
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
        let all = found.entry(chunk.series).or_default();
        if all.last().is_some_and(|last| chunk.mint <= last.maxt()) {
            return Err(LoadSnapshotError::Overlap(chunk.series));
        }
        all.push(MappedChunk::new(
            chunk.chunk_ref,
            chunk.mint,
            chunk.maxt,
            chunk.samples,
            chunk.encoding,
        ));
    }
    Ok(found)
}

/// Makes series of the records that come; ends with the first error.
fn build_series(
    head: &Head,
    chunks: &HashMap<SeriesRef, Vec<MappedChunk>>,
    lots: &Receiver<RecordBatch>,
) -> Result<usize, LoadSnapshotError> {
    let mut count = 0;
    for lot in lots {
        let mut begin = 0;
        for end in lot.ends {
            let series = read_series(&lot.bytes[begin..end])?;
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
    found: SnapshotSeries<'_>,
    mapped: &[MappedChunk],
) -> Result<(), LoadSnapshotError> {
    let reference = found.reference;
    head.reserve_ref(reference);
    let Ok(entry) = head.series.get_or_create(&found.labels, |hash, labels| {
        Ok::<_, Infallible>(HeadSeries::new(reference, hash, labels, BatchId::NONE))
    });
    if !entry.created {
        return Err(LoadSnapshotError::DuplicateSeries(reference));
    }
    head.stats.series_created.fetch_add(1, Ordering::Relaxed);
    let open = found.open.filter(|chunk| chunk.maxt >= head.times.min_valid());
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

/// The chunk as it was; as in Prometheus, the next sample begins a new one.
fn open_chunk(series: SeriesRef, found: SnapshotChunk<'_>) -> Result<OpenChunk, LoadSnapshotError> {
    let chunk = AnyChunk::resume(found.encoding, found.bytes)
        .map_err(|source| LoadSnapshotError::Chunk { series, source })?;
    let first = AnyChunkIter::new(found.encoding, chunk.bytes()).next().and_then(Result::ok);
    if first.map(|first| first.t) != Some(found.mint) || chunk.last_t() != Some(found.maxt) {
        return Err(LoadSnapshotError::Times(series));
    }
    Ok(OpenChunk { chunk, mint: found.mint, window: ChunkBoundary::ending_at(found.maxt) })
}
