//! Writing a snapshot: the series, the tombstones, the exemplars, then sync and rename.

use crate::tsdb::encoding::byte_reader::put_uvarint_bytes;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunk_snapshot::exemplars::exemplar_records;
use crate::tsdb::head::chunk_snapshot::record::{SnapshotChunk, TOMBSTONES, put_series};
use crate::tsdb::head::chunk_snapshot::{WalOffset, dir_name, remove_snapshots};
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::wal::compression::{Compressor, RecordCompression};
use crate::tsdb::wal::error::{OpenLogError, WriteLogError};
use crate::tsdb::wal::group::WriteGroup;
use crate::tsdb::wal::writer::LogWriter;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records are written when there are so many bytes of them.
const WRITE_BYTES: usize = 4 << 20;

/// How a snapshot is written.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// Up to where of the log the head has everything.
    pub upto: WalOffset,
    /// How records are compressed.
    pub compression: RecordCompression,
    /// Largest size of its segments in bytes.
    pub segment_size: u64,
    /// Through which it is written.
    pub disk: Arc<dyn Disk>,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum WriteSnapshotError {
    /// Full chunks of a series could not be written to `chunks_head/`: a snapshot has no place for them.
    #[error("some full chunks are not in chunks_head")]
    SealedChunks,
    /// Its segment can't be begun.
    #[error(transparent)]
    Begin(#[from] OpenLogError),
    /// It can't be finished.
    #[error("{path}: {source}")]
    Io {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes a snapshot of `head`, to which nobody appends any more, and removes the older ones; gives the number of series.
///
/// `tombstones` is what is deleted of it, version and entries of the tombstones file of a block.
///
/// # Errors
/// [`WriteSnapshotError`]; nothing is left of it then.
pub fn write_snapshot(
    head: &Head,
    tombstones: &[u8],
    options: &SnapshotOptions,
) -> Result<usize, WriteSnapshotError> {
    let path = options.dir.join(dir_name(options.upto));
    let unfinished = options.dir.join(format!("{}.tmp", dir_name(options.upto)));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| WriteSnapshotError::Io { path, source }
    };
    remove_snapshots(&options.dir, |upto| upto == options.upto).map_err(failed(&path))?;
    let written = write_dir(head, tombstones, options, &unfinished);
    let count = written.inspect_err(|_| drop(std::fs::remove_dir_all(&unfinished)))?;
    options.disk.rename(&unfinished, &path).map_err(failed(&path))?;
    options.disk.sync_dir(&options.dir).map_err(failed(&options.dir))?;
    remove_snapshots(&options.dir, |upto| upto < options.upto).map_err(failed(&options.dir))?;
    Ok(count)
}

fn write_dir(
    head: &Head,
    tombstones: &[u8],
    options: &SnapshotOptions,
    folder: &Path,
) -> Result<usize, WriteSnapshotError> {
    let mut writer =
        LogWriter::open(folder.to_owned(), options.segment_size, Arc::clone(&options.disk))?;
    let failed = |error| WriteSnapshotError::Io {
        path: folder.to_owned(),
        source: match error {
            WriteLogError::NoSpace(source) | WriteLogError::Broken(source) => source,
        },
    };
    let mut compressor = Compressor::new(options.compression);
    let (mut group, mut record) = (WriteGroup::default(), Vec::new());
    let all = head.all_series();
    for series in &all {
        record.clear();
        encode(series, &mut record)?;
        group.push(&mut compressor, &record);
        if group.byte_len() >= WRITE_BYTES {
            writer.write(&mut group).map_err(failed)?;
            group.clear(WRITE_BYTES);
        }
    }
    record.clear();
    record.push(TOMBSTONES);
    put_uvarint_bytes(&mut record, tombstones);
    group.push(&mut compressor, &record);
    exemplar_records(head).iter().for_each(|record| group.push(&mut compressor, record));
    writer.write(&mut group).and_then(|()| writer.finish()).map_err(failed)?;
    let files = writer.take_finished().into_iter().chain([writer.file()]);
    let synced = files
        .into_iter()
        .try_for_each(|file| file.sync())
        .and_then(|()| options.disk.sync_dir(folder));
    synced.map_err(|source| WriteSnapshotError::Io { path: folder.to_owned(), source })?;
    Ok(all.len())
}

fn encode(series: &HeadSeries, record: &mut Vec<u8>) -> Result<(), WriteSnapshotError> {
    let state = series.state.lock();
    if !state.sealed().is_empty() {
        return Err(WriteSnapshotError::SealedChunks);
    }
    let open = state.open.as_ref().and_then(|open| {
        let last = open.chunk.last_sample()?;
        let (encoding, bytes) = (open.chunk.encoding(), open.chunk.bytes());
        Some(SnapshotChunk { mint: open.mint, maxt: last.t, encoding, bytes, last: last.value })
    });
    put_series(record, series.reference, &series.labels, open.as_ref());
    Ok(())
}
