//! Chunk snapshot of the head, written at a clean shutdown if enabled. The next startup loads it
//! instead of replaying the WAL ([`crate::tsdb::db::recovery`]).

use crate::model::time::TimeRange;
use crate::tsdb::db::options::{DbOptions, ShutdownMode};
use crate::tsdb::head::Head;
use crate::tsdb::head::chunk_snapshot::WalOffset;
use crate::tsdb::head::chunk_snapshot::write::{
    SnapshotOptions, WriteSnapshotError, write_snapshot,
};
use crate::tsdb::tombstones::format;
use crate::tsdb::wal::segment::{SegmentError, list_segments};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Tombstone range that deletes nothing. It only records that its series reference is in use.
const EMPTY_TOMBSTONE: TimeRange = TimeRange { mint: i64::MIN, maxt: i64::MIN };

/// Error of writing the chunk snapshot.
#[derive(Debug, thiserror::Error)]
enum ShutdownSnapshotError {
    /// The segments of the WAL cannot be read.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// The snapshot cannot state the position that it covers.
    #[error("the WAL has no segment")]
    NoSegment,
    /// The snapshot cannot be written.
    #[error(transparent)]
    Write(#[from] WriteSnapshotError),
}

/// Chunk snapshot at a shutdown.
pub(super) struct ShutdownSnapshot<'a> {
    pub(super) options: &'a DbOptions,
    pub(super) head: &'a Head,
}

impl ShutdownSnapshot<'_> {
    /// Writes the snapshot if enabled. After a failure the next startup replays the WAL.
    pub(super) fn write_if_enabled(&self) {
        if self.options.shutdown_mode != ShutdownMode::ChunkSnapshot {
            return;
        }
        let started = Instant::now();
        match self.write() {
            Ok(series) => {
                tracing::info!(series, duration = ?started.elapsed(), "wrote chunk snapshot")
            }
            Err(error) => {
                tracing::warn!(%error, "cannot write chunk snapshot, next startup replays the WAL")
            }
        }
    }

    fn write(&self) -> Result<usize, ShutdownSnapshotError> {
        let options = self.options;
        let upto = wal_end(&options.dir.join("wal"))?.ok_or(ShutdownSnapshotError::NoSegment)?;
        let mut tombstones = self.head.tombstones();
        tombstones.add(self.head.last_ref().0, EMPTY_TOMBSTONE);
        let snapshot = SnapshotOptions {
            dir: options.dir.clone(),
            upto,
            compression: options.wal_compression,
            segment_size: options.wal_segment_size,
            disk: Arc::clone(&options.disk),
        };
        Ok(write_snapshot(self.head, &format::encode_body(&tombstones), &snapshot)?)
    }
}

/// Returns the last segment of the WAL and its length.
pub(super) fn wal_end(dir: &Path) -> Result<Option<WalOffset>, SegmentError> {
    let Some(last) = list_segments(dir)?.pop() else { return Ok(None) };
    Ok(Some(WalOffset { segment: last.number, offset: last.byte_len()? }))
}
