//! Chunk snapshot that an earlier shutdown wrote: loaded instead of replaying the WAL.

use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::db::options::{DbOptions, ShutdownMode};
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunk_snapshot::load::{LoadSnapshotError, load_snapshot};
use crate::tsdb::head::chunk_snapshot::{ChunkSnapshot, WalOffset, last_snapshot};
use crate::tsdb::head::replay::snapshot_metadata::restore_metadata;
use crate::tsdb::tombstones::format::{self, TombstonesFormatError};
use crate::tsdb::wal::checkpoint::{CheckpointError, last_checkpoint};
use crate::tsdb::wal::segment::{Segment, SegmentError, list_segments};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Returns the newest snapshot if it covers the whole WAL and the options enable snapshots.
pub(super) fn find_usable_snapshot(options: &DbOptions) -> Option<ChunkSnapshot> {
    if options.shutdown_mode != ShutdownMode::ChunkSnapshot {
        return None;
    }
    let found = last_snapshot(&options.dir)
        .inspect_err(|error| tracing::warn!(%error, "cannot find chunk snapshot"));
    let snapshot = found.ok().flatten()?;
    if !ends_at(&options.dir.join("wal"), snapshot.wal_offset).unwrap_or(false) {
        let path = snapshot.path.display();
        tracing::info!(%path, "ignored chunk snapshot older than the WAL");
        return None;
    }
    Some(snapshot)
}

/// Error of loading a chunk snapshot.
#[derive(Debug, thiserror::Error)]
enum LoadChunkSnapshotError {
    /// The snapshot cannot be read or is invalid.
    #[error(transparent)]
    Load(#[from] LoadSnapshotError),
    /// The tombstones are corrupted.
    #[error(transparent)]
    Tombstones(#[from] TombstonesFormatError),
}

/// Loads a snapshot into an empty head.
pub(super) struct ChunkSnapshotLoader<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) head: &'a Head,
}

impl ChunkSnapshotLoader<'_> {
    /// Loads the snapshot. Returns `false` if that failed; the head must then be discarded.
    pub(super) fn load(&self, snapshot: &ChunkSnapshot, chunks: Vec<HeadChunkMeta>) -> bool {
        let started = Instant::now();
        match self.try_load(snapshot, chunks) {
            Ok(series) => {
                self.restore_metadata();
                tracing::info!(series, duration = ?started.elapsed(), "loaded chunk snapshot");
                true
            }
            Err(error) => {
                let path = snapshot.path.display();
                tracing::warn!(%path, %error, "cannot load chunk snapshot, replaying the WAL");
                self.shared.stats().snapshot_replay_errors.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Returns the number of series.
    fn try_load(
        &self,
        snapshot: &ChunkSnapshot,
        chunks: Vec<HeadChunkMeta>,
    ) -> Result<usize, LoadChunkSnapshotError> {
        let workers = self.shared.options().replay_workers;
        let loaded = load_snapshot(snapshot, self.head, chunks, workers)?;
        if let Some(encoded) = &loaded.tombstones {
            let tombstones = format::decode_body(encoded)?;
            self.head.restore_tombstones(&tombstones);
        }
        Ok(loaded.series)
    }

    /// Restores the metadata. Snapshots have no metadata, so it is read from the WAL. Senders send
    /// missing metadata again.
    fn restore_metadata(&self) {
        let started = Instant::now();
        let restored = match wal_files(&self.shared.options().dir.join("wal")) {
            Ok(files) => restore_metadata(self.head, &files),
            Err(error) => {
                return tracing::warn!(%error, "cannot list WAL files with series metadata");
            }
        };
        if let Some(error) = restored.corruption {
            tracing::warn!(%error, "cannot read all series metadata from the WAL");
        }
        let (entries, duration) = (restored.entries, started.elapsed());
        tracing::info!(entries, ?duration, "read series metadata from the WAL");
    }
}

/// Returns the files of the WAL: those of the newest checkpoint, then the segments after it.
fn wal_files(dir: &Path) -> Result<Vec<Segment>, CheckpointError> {
    let checkpoint = last_checkpoint(dir)?;
    let mut files =
        checkpoint.as_ref().map_or(Ok(Vec::new()), |checkpoint| checkpoint.segments())?;
    let after = checkpoint.map(|checkpoint| checkpoint.number);
    files.extend(
        list_segments(dir)?
            .into_iter()
            .filter(|segment| after.is_none_or(|after| segment.number > after)),
    );
    Ok(files)
}

/// Returns `true` if the WAL ends at `upto`: its segment has exactly this length, and later
/// segments are empty.
fn ends_at(dir: &Path, upto: WalOffset) -> Result<bool, SegmentError> {
    let mut has_segment = false;
    for segment in list_segments(dir)? {
        let length = segment.byte_len()?;
        has_segment |= segment.number == upto.segment && length == upto.offset;
        if segment.number > upto.segment && length > 0 {
            return Ok(false);
        }
    }
    Ok(has_segment)
}

#[cfg(test)]
mod tests {
    use super::ends_at;
    use crate::tsdb::db::shutdown_snapshot::wal_end;
    use crate::tsdb::head::chunk_snapshot::WalOffset;
    use crate::tsdb::wal::segment::segment_path;

    #[test]
    fn snapshot_is_current_if_nothing_follows_it_in_the_wal() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(wal_end(dir.path()).unwrap(), None);
        for (number, length) in [(3, 70), (4, 50), (5, 0), (6, 0)] {
            std::fs::write(segment_path(dir.path(), number), vec![0; length]).unwrap();
        }
        let end = |segment, offset| WalOffset { segment, offset };
        assert_eq!(wal_end(dir.path()).unwrap(), Some(end(6, 0)));
        let is_current = |segment, offset| ends_at(dir.path(), end(segment, offset)).unwrap();
        assert!(is_current(6, 0) && is_current(5, 0) && is_current(4, 50));
        assert!(!is_current(4, 49) && !is_current(3, 70) && !is_current(7, 0));
    }
}
