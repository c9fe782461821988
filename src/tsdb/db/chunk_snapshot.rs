//! The head written down at a clean stop, where the options ask for it, and loaded at the next start instead of a replay.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::db::Db;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::options::ShutdownMode;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunk_snapshot::load::load_snapshot;
use crate::tsdb::head::chunk_snapshot::write::{SnapshotOptions, write_snapshot};
use crate::tsdb::head::chunk_snapshot::{ChunkSnapshot, WalOffset, last_snapshot};
use crate::tsdb::head::metadata::restore::restore_metadata;
use crate::tsdb::tombstones::format;
use crate::tsdb::wal::checkpoint::last_checkpoint;
use crate::tsdb::wal::segment::{Segment, list_segments};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A tombstone that deletes nothing: it only says that its reference was given out.
const EMPTY_TOMBSTONE: TimeRange = TimeRange { mint: i64::MIN, maxt: i64::MIN };

impl Db {
    /// Writes the head down, if that is asked for. A failure costs the next start its time, and nothing else.
    pub(super) fn snapshot_head(&self, engine: &Engine) {
        if self.options.shutdown_mode != ShutdownMode::ChunkSnapshot {
            return;
        }
        let begun = Instant::now();
        match self.write_chunk_snapshot(engine) {
            Ok(series) => {
                tracing::info!(series, took = ?begun.elapsed(), "the head is written down for the next start")
            }
            Err(error) => {
                tracing::warn!(%error, "can't write the head down: the next start replays the log")
            }
        }
    }

    fn write_chunk_snapshot(&self, engine: &Engine) -> Result<usize, Box<dyn Error>> {
        let options = &self.options;
        let upto = wal_end(&options.dir.join("wal"))?.ok_or("the log has no segment")?;
        let mut tombstones = engine.head.tombstones();
        tombstones.add(engine.head.last_ref().0, EMPTY_TOMBSTONE);
        let snapshot = SnapshotOptions {
            dir: options.dir.clone(),
            upto,
            compression: options.wal_compression,
            segment_size: options.wal_segment_size,
            disk: Arc::clone(&options.disk),
        };
        Ok(write_snapshot(&engine.head, &format::encode_body(&tombstones), &snapshot)?)
    }

    /// The snapshot that stands for the whole log, if there is one and the options want it.
    pub(super) fn find_usable_snapshot(&self) -> Option<ChunkSnapshot> {
        if self.options.shutdown_mode != ShutdownMode::ChunkSnapshot {
            return None;
        }
        let found = last_snapshot(&self.options.dir)
            .inspect_err(|error| tracing::warn!(%error, "can't look for a snapshot of the head"));
        let snapshot = found.ok().flatten()?;
        if !ends_at(&self.options.dir.join("wal"), snapshot.wal_offset).unwrap_or(false) {
            tracing::info!(path = %snapshot.path.display(), "a snapshot of the head is older than the log, and not used");
            return None;
        }
        Some(snapshot)
    }

    /// Sets the metadata of a head from a snapshot, which has none, from the log. What is not found comes again from its senders.
    fn restore_metadata(&self, head: &Head) {
        let begun = Instant::now();
        let restored = match wal_files(&self.options.dir.join("wal")) {
            Ok(files) => restore_metadata(head, &files),
            Err(error) => {
                return tracing::warn!(%error, "can't read the metadata of the series from the log");
            }
        };
        if let Some(error) = restored.damage {
            tracing::warn!(%error, "can't read all metadata of the series from the log");
        }
        tracing::info!(entries = restored.entries, took = ?begun.elapsed(), "metadata is read from the log");
    }

    /// Fills an empty head from a snapshot; `false` where that failed and the head is to be thrown away.
    pub(super) fn load_chunk_snapshot(
        &self,
        snapshot: &ChunkSnapshot,
        head: &Head,
        chunks: Vec<HeadChunkMeta>,
    ) -> bool {
        let begun = Instant::now();
        let loaded = load_snapshot(snapshot, head, chunks, self.options.replay_workers)
            .map_err(Box::<dyn Error>::from);
        let done = loaded.and_then(|loaded| {
            if let Some(encoded) = &loaded.tombstones {
                let tombstones = format::decode_body(encoded).map_err(|fault| fault.to_string())?;
                head.restore_tombstones(&tombstones);
            }
            Ok(loaded.series)
        });
        match done {
            Ok(series) => {
                self.restore_metadata(head);
                tracing::info!(series, took = ?begun.elapsed(), "the head is loaded from its snapshot");
                true
            }
            Err(error) => {
                tracing::warn!(path = %snapshot.path.display(), %error, "a snapshot of the head can't be used: the log is replayed");
                self.stats.snapshot_replay_errors.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}

/// The files of the log: those of its checkpoint, then the segments behind it.
fn wal_files(dir: &Path) -> Result<Vec<Segment>, Box<dyn Error>> {
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

/// The last segment of the log, and how long it is.
fn wal_end(dir: &Path) -> Result<Option<WalOffset>, Box<dyn Error>> {
    let Some(last) = list_segments(dir)?.pop() else { return Ok(None) };
    Ok(Some(WalOffset { segment: last.number, offset: std::fs::metadata(&last.path)?.len() }))
}

/// Whether the log ends at `wal_offset`: its segment is there and as long, and nothing is in those behind it.
fn ends_at(dir: &Path, upto: WalOffset) -> Result<bool, Box<dyn Error>> {
    let mut is_there = false;
    for segment in list_segments(dir)? {
        let length = std::fs::metadata(&segment.path)?.len();
        is_there |= segment.number == upto.segment && length == upto.offset;
        if segment.number > upto.segment && length > 0 {
            return Ok(false);
        }
    }
    Ok(is_there)
}

#[cfg(test)]
mod tests {
    use super::{ends_at, wal_end};
    use crate::tsdb::head::chunk_snapshot::WalOffset;
    use crate::tsdb::wal::segment::segment_path;

    #[test]
    fn a_snapshot_stands_for_a_log_that_has_nothing_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(wal_end(dir.path()).unwrap(), None);
        for (number, length) in [(3, 70), (4, 50), (5, 0), (6, 0)] {
            std::fs::write(segment_path(dir.path(), number), vec![0; length]).unwrap();
        }
        let end = |segment, offset| WalOffset { segment, offset };
        assert_eq!(wal_end(dir.path()).unwrap(), Some(end(6, 0)));
        let stands = |segment, offset| ends_at(dir.path(), end(segment, offset)).unwrap();
        assert!(stands(6, 0) && stands(5, 0) && stands(4, 50));
        assert!(!stands(4, 49) && !stands(3, 70) && !stands(7, 0));
    }
}
