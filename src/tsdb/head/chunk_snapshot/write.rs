//! Writer of chunk snapshots: series, tombstones, exemplars, then sync and rename.

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

/// Size of buffered records at which they are written, bytes.
const WRITE_BYTES: usize = 4 << 20;

/// Destination and format for [`write_snapshot`].
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// Data directory that gets the snapshot.
    pub dir: PathBuf,
    /// WAL position up to which the head has everything.
    pub upto: WalOffset,
    /// Compression of the records.
    pub compression: RecordCompression,
    /// Maximum size of a segment, bytes.
    pub segment_size: u64,
    /// Disk used for all writes.
    pub disk: Arc<dyn Disk>,
}

/// Error of writing a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum WriteSnapshotError {
    /// A series has full chunks that could not be written to `chunks_head/`. A snapshot cannot
    /// store them.
    #[error("full chunks are missing in chunks_head")]
    SealedChunks,
    /// The first segment cannot be created.
    #[error(transparent)]
    Begin(#[from] OpenLogError),
    /// The snapshot cannot be completed.
    #[error("{path}: {source}")]
    Io {
        /// Directory of the snapshot.
        path: PathBuf,
        /// Error of the file operation.
        source: io::Error,
    },
}

/// Writes a snapshot of `head`, which must take no more appends, and removes older ones. Returns
/// the number of series.
///
/// `tombstones` has version and entries of a block's tombstone file.
///
/// # Errors
/// [`WriteSnapshotError`]. If the snapshot cannot be written or synced, its directory is removed.
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
    let disk = &*options.disk;
    remove_snapshots(disk, &options.dir, |upto| upto == options.upto).map_err(failed(&path))?;
    let written = write_dir(head, tombstones, options, &unfinished);
    let count = written.inspect_err(|_| drop(disk.remove_dir_all(&unfinished)))?;
    disk.rename(&unfinished, &path).map_err(failed(&path))?;
    disk.sync_dir(&options.dir).map_err(failed(&options.dir))?;
    remove_snapshots(disk, &options.dir, |upto| upto < options.upto)
        .map_err(failed(&options.dir))?;
    Ok(count)
}

fn write_dir(
    head: &Head,
    tombstones: &[u8],
    options: &SnapshotOptions,
    dir: &Path,
) -> Result<usize, WriteSnapshotError> {
    let mut writer =
        LogWriter::open(dir.to_owned(), options.segment_size, Arc::clone(&options.disk))?;
    let failed = |error: WriteLogError| WriteSnapshotError::Io {
        path: dir.to_owned(),
        source: error.into_cause(),
    };
    let mut compressor = Compressor::new(options.compression);
    let (mut group, mut record) = (WriteGroup::default(), Vec::new());
    let all = head.series.all();
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
    exemplar_records(&head.series, head.exemplars())
        .iter()
        .for_each(|record| group.push(&mut compressor, record));
    writer.write(&mut group).and_then(|()| writer.finish()).map_err(failed)?;
    let files = writer.take_finished().into_iter().chain([writer.file()]);
    let synced = files
        .into_iter()
        .try_for_each(|file| file.sync())
        .and_then(|()| options.disk.sync_dir(dir));
    synced.map_err(|source| WriteSnapshotError::Io { path: dir.to_owned(), source })?;
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
    put_series(record, series.series_ref, &series.labels, open.as_ref());
    Ok(())
}
