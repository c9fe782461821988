//! Truncation: the older part of the log becomes a checkpoint, and what the checkpoint stands for is removed.
//!
//! ```text
//! segments told ▶ new segment begun ▶ part chosen ▶ checkpoint durable ▶ segments removed ▶ older checkpoints removed
//! ```
//!
//! Invariant: at every step the last checkpoint and the segments behind it hold all that stays. Segments go oldest first, each
//! durably, so that a crash leaves no gap. The segment that is being written, and the one before the roll, are never touched.
//!
//! Runs beside group commit: only the roll takes the log's locks. One truncation at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::refs::SeriesRef;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::fail_point;
use crate::tsdb::wal::checkpoint::{CheckpointError, last_checkpoint, list_checkpoints};
use crate::tsdb::wal::checkpoint_filter::CheckpointStats;
use crate::tsdb::wal::checkpoint_writer::{
    CheckpointSpec, WriteCheckpointError, write_checkpoint_while,
};
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::segment::list_segments;
use crate::tsdb::wal::write_log::Wal;

/// What of the log is no longer needed.
pub struct WalTruncation<'a> {
    /// What is older, in milliseconds, stands in blocks.
    pub mint: i64,
    /// Which series are still needed. For each the answer must be the same throughout.
    pub is_live: &'a dyn Fn(SeriesRef) -> bool,
}

/// What a truncation did.
#[derive(Debug)]
pub struct TruncationReport {
    /// What became of the part that was chosen; `None` where the log is too short for one.
    pub part: Option<TruncatedSegments>,
    /// How long it took.
    pub duration: Duration,
}

/// What became of a part of the log.
#[derive(Debug)]
pub struct TruncatedSegments {
    /// The last segment of the part.
    pub last: u32,
    /// What the checkpoint was made of; `None` where an earlier one stands for the part already.
    pub checkpoint: Option<CheckpointStats>,
    /// Its segments. What is left of them is ignored by readers and removed with the next part.
    pub segments: RemovalReport,
    /// Older checkpoints, likewise.
    pub checkpoints: RemovalReport,
}

/// Files or directories that were removed.
#[derive(Debug, Default)]
pub struct RemovalReport {
    /// How many.
    pub removed: usize,
    /// Why it ended early, where it did.
    pub error: Option<RemoveError>,
}

/// Why something was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// What there is can't be told.
    #[error(transparent)]
    Listing(#[from] CheckpointError),
    /// The system does not do it.
    #[error("removing {}: {source}", path.display())]
    Io {
        /// What was to be removed.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why the log was not truncated; it is as it was, but for a new segment.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    /// Its segments or checkpoints can't be told.
    #[error(transparent)]
    Listing(#[from] CheckpointError),
    /// There is no new segment.
    #[error(transparent)]
    NextSegment(#[from] WalError),
    /// There is no new checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] WriteCheckpointError),
    /// The directory can't be synced.
    #[error("syncing {}: {source}", path.display())]
    Sync {
        /// The log's directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl WalTruncation<'_> {
    /// Truncates `wal`.
    ///
    /// # Errors
    /// [`TruncateError`] where there is no new checkpoint. What can't be removed afterwards is no error: see [`RemovalReport`].
    pub fn run(&self, wal: &Wal) -> Result<TruncationReport, TruncateError> {
        self.run_while(wal, &|| true)
    }

    /// The same, as long as `go_on`, which is asked again and again, returns `true`. What a
    /// finished checkpoint makes superfluous stays then; the next truncation removes it.
    ///
    /// # Errors
    /// [`WriteCheckpointError::Stopped`] in [`TruncateError::Checkpoint`], else as [`Self::run`].
    pub fn run_while(
        &self,
        wal: &Wal,
        go_on: &dyn Fn() -> bool,
    ) -> Result<TruncationReport, TruncateError> {
        let begun = Instant::now();
        let dir = &wal.options().dir;
        let segments = list_segments(dir).map_err(CheckpointError::from)?;
        wal.next_segment()?;
        let range = segments.first().zip(segments.last());
        let part = match range.and_then(|(first, last)| plan_truncation(first.number, last.number))
        {
            Some(last) => Some(self.truncate_part(wal, segments[0].number, last, go_on)?),
            None => None,
        };
        Ok(TruncationReport { part, duration: begun.elapsed() })
    }

    fn truncate_part(
        &self,
        wal: &Wal,
        first: u32,
        last: u32,
        go_on: &dyn Fn() -> bool,
    ) -> Result<TruncatedSegments, TruncateError> {
        let options = wal.options();
        let (dir, disk) = (&options.dir, &options.disk);
        // Segments that an earlier truncation could not remove may be all there is to this part.
        let before = last_checkpoint(dir)?.filter(|before| before.number >= last);
        let checkpoint = if before.is_some() {
            disk.sync_dir(dir)
                .map_err(|source| TruncateError::Sync { path: dir.clone(), source })?;
            None
        } else {
            let job = CheckpointSpec {
                dir,
                first,
                last,
                mint: self.mint,
                keep: self.is_live,
                compression: options.compression,
                segment_size: options.segment_size,
                disk: Arc::clone(disk),
            };
            Some(write_checkpoint_while(&job, go_on)?)
        };
        let segments = remove_segments(dir, last, &**disk, go_on);
        let checkpoints = remove_old_checkpoints(dir, last, &**disk);
        Ok(TruncatedSegments { last, checkpoint, segments, checkpoints })
    }
}

/// The last segment of the part that becomes a checkpoint, of a log whose segments are `first` to `last`, the last one being
/// written: about the lower two thirds, and more than one segment. `None` where it is too short for that.
#[must_use]
pub fn plan_truncation(first: u32, last: u32) -> Option<u32> {
    let finished = u64::from(last.checked_sub(1)?.checked_sub(first)?);
    let part = u32::try_from(finished * 2 / 3).ok()?;
    (part > 0).then(|| first + part)
}

/// Removes the segments up to `upto` from the log's directory `dir`, oldest first, as long as
/// `go_on` returns `true`.
pub fn remove_segments(
    dir: &Path,
    upto: u32,
    disk: &dyn Disk,
    go_on: &dyn Fn() -> bool,
) -> RemovalReport {
    let mut removal = RemovalReport::default();
    removal.error = remove_segments_counted(dir, upto, disk, go_on, &mut removal.removed).err();
    removal
}

fn remove_segments_counted(
    dir: &Path,
    upto: u32,
    disk: &dyn Disk,
    go_on: &dyn Fn() -> bool,
    removed: &mut usize,
) -> Result<(), RemoveError> {
    let segments = list_segments(dir).map_err(CheckpointError::from)?;
    for segment in segments.iter().take_while(|segment| segment.number <= upto && go_on()) {
        fail_point::hit("wal.truncate");
        let removing = disk.remove_file(&segment.path).and_then(|()| disk.sync_dir(dir));
        removing.map_err(|source| RemoveError::Io { path: segment.path.clone(), source })?;
        *removed += 1;
    }
    Ok(())
}

/// Removes the checkpoints below the number `below` from the log's directory `dir`.
pub fn remove_old_checkpoints(dir: &Path, below: u32, disk: &dyn Disk) -> RemovalReport {
    let mut removal = RemovalReport::default();
    removal.error = remove_old_checkpoints_counted(dir, below, disk, &mut removal.removed).err();
    removal
}

fn remove_old_checkpoints_counted(
    dir: &Path,
    below: u32,
    disk: &dyn Disk,
    removed: &mut usize,
) -> Result<(), RemoveError> {
    for checkpoint in
        list_checkpoints(dir)?.iter().take_while(|checkpoint| checkpoint.number < below)
    {
        let removing = disk.remove_dir_all(&checkpoint.path).and_then(|()| disk.sync_dir(dir));
        removing.map_err(|source| RemoveError::Io { path: checkpoint.path.clone(), source })?;
        *removed += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::plan_truncation;

    #[test]
    fn two_thirds_of_the_finished_segments_are_taken() {
        for (first, last, expected) in [
            (0, 0, None),
            (0, 1, None),
            (0, 2, None),
            (0, 3, Some(1)),
            (0, 4, Some(2)),
            (0, 10, Some(6)),
            (7, 7, None),
            (7, 8, None),
            (7, 9, None),
            (7, 10, Some(8)),
            (u32::MAX - 4, u32::MAX, Some(u32::MAX - 2)),
            (5, 3, None),
            (0, u32::MAX, Some(2_863_311_529)),
        ] {
            assert_eq!(plan_truncation(first, last), expected, "{first} to {last}");
        }
    }
}
