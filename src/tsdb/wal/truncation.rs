//! WAL truncation: replaces the older segments by a checkpoint.
//!
//! 1. List the segments.
//! 2. Cut the current segment.
//! 3. Select the segments to replace ([`plan_truncation`]).
//! 4. Write the checkpoint and make it durable.
//! 5. Remove the replaced segments, oldest first, each durably, so that a crash leaves no gap.
//! 6. Remove older checkpoints.
//!
//! Invariant: after each step, the last checkpoint and the segments after it have all entries still
//! needed. The current segment and the one before the cut are never touched.
//!
//! Group commit continues: only the cut takes the locks of the log. One truncation runs at a time.

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

/// Conditions under which entries of the log are no longer needed.
pub struct WalTruncation<'a> {
    /// Timestamp before which all samples are in blocks, ms.
    pub mint: i64,
    /// Returns `true` for a series that is still needed; must return the same value every time.
    pub is_live: &'a dyn Fn(SeriesRef) -> bool,
}

/// Result of a truncation.
#[derive(Debug)]
pub struct TruncationReport {
    /// Replaced segments; `None` if the log is too short.
    pub part: Option<TruncatedSegments>,
    /// Duration of the truncation.
    pub duration: Duration,
}

/// Result for the selected segments.
#[derive(Debug)]
pub struct TruncatedSegments {
    /// Number of the last selected segment.
    pub last: u32,
    /// Counts of the new checkpoint; `None` if an earlier one already replaces the segments.
    pub checkpoint: Option<CheckpointStats>,
    /// Removed segments. Readers ignore remaining ones, and the next truncation removes these.
    pub segments: RemovalReport,
    /// Removed checkpoints. Readers ignore remaining ones, and the next truncation removes these.
    pub checkpoints: RemovalReport,
}

/// Removed files or directories.
#[derive(Debug, Default)]
pub struct RemovalReport {
    /// Number of removed files or directories.
    pub removed: usize,
    /// Error that ended the removal early.
    pub error: Option<RemoveError>,
}

/// Error of a removal.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Segments or checkpoints cannot be listed.
    #[error(transparent)]
    Listing(#[from] CheckpointError),
    /// A file or directory cannot be removed.
    #[error("cannot remove {}: {source}", path.display())]
    Io {
        /// Path of the file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Error of a truncation. The log is unchanged except for a new segment.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    /// Segments or checkpoints cannot be listed.
    #[error(transparent)]
    Listing(#[from] CheckpointError),
    /// The current segment cannot be cut.
    #[error(transparent)]
    NextSegment(#[from] WalError),
    /// The checkpoint cannot be written.
    #[error(transparent)]
    Checkpoint(#[from] WriteCheckpointError),
    /// The directory cannot be synced.
    #[error("cannot sync {}: {source}", path.display())]
    Sync {
        /// Directory of the log.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl WalTruncation<'_> {
    /// Truncates `wal`.
    ///
    /// # Errors
    /// [`TruncateError`] if there is no new checkpoint. Files that cannot be removed afterwards are
    /// not an error: see [`RemovalReport`].
    #[cfg(any(test, feature = "testing"))]
    pub fn run(&self, wal: &Wal) -> Result<TruncationReport, TruncateError> {
        self.run_while(wal, &|| true)
    }

    /// Truncates `wal` as long as `go_on`, called repeatedly, returns `true`. If it returns `false`
    /// after the checkpoint is finished, the next truncation removes the remaining segments.
    ///
    /// # Errors
    /// [`WriteCheckpointError::Stopped`] in [`TruncateError::Checkpoint`] if `go_on` returned
    /// `false` before, else as [`Self::run`].
    pub fn run_while(
        &self,
        wal: &Wal,
        go_on: &dyn Fn() -> bool,
    ) -> Result<TruncationReport, TruncateError> {
        let started = Instant::now();
        let dir = &wal.options().dir;
        let segments = list_segments(dir).map_err(CheckpointError::from)?;
        wal.next_segment()?;
        let range = segments.first().zip(segments.last());
        let part = match range.and_then(|(first, last)| plan_truncation(first.number, last.number))
        {
            Some(last) => Some(self.truncate_part(wal, segments[0].number, last, go_on)?),
            None => None,
        };
        Ok(TruncationReport { part, duration: started.elapsed() })
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
        // An earlier truncation may have written this checkpoint without removing all segments. Its
        // name must be durable before these are removed.
        let existing = last_checkpoint(dir)?.filter(|existing| existing.number >= last);
        let checkpoint = if existing.is_some() {
            disk.sync_dir(dir)
                .map_err(|source| TruncateError::Sync { path: dir.clone(), source })?;
            None
        } else {
            let spec = CheckpointSpec {
                dir,
                first,
                last,
                mint: self.mint,
                keep: self.is_live,
                compression: options.compression,
                segment_size: options.segment_size,
                disk: Arc::clone(disk),
            };
            Some(write_checkpoint_while(&spec, go_on)?)
        };
        let segments = remove_segments(dir, last, &**disk, go_on);
        let checkpoints = remove_old_checkpoints(dir, last, &**disk);
        Ok(TruncatedSegments { last, checkpoint, segments, checkpoints })
    }
}

/// Returns the last segment to replace in a log with the segments `first..=last`: about two thirds
/// of the finished ones, and at least two. Segment `last` is being written. Returns `None` if the
/// log is too short.
#[must_use]
pub fn plan_truncation(first: u32, last: u32) -> Option<u32> {
    let finished = u64::from(last.checked_sub(1)?.checked_sub(first)?);
    let part = u32::try_from(finished * 2 / 3).ok()?;
    (part > 0).then(|| first + part)
}

/// Removes the segments up to `upto` from the log directory `dir`, oldest first, as long as `go_on`
/// returns `true`.
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
        let removed_durably = disk.remove_file(&segment.path).and_then(|()| disk.sync_dir(dir));
        removed_durably.map_err(|source| RemoveError::Io { path: segment.path.clone(), source })?;
        *removed += 1;
    }
    Ok(())
}

/// Removes the checkpoints with numbers below `below` from the log directory `dir`.
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
        let removed_durably =
            disk.remove_dir_all(&checkpoint.path).and_then(|()| disk.sync_dir(dir));
        removed_durably
            .map_err(|source| RemoveError::Io { path: checkpoint.path.clone(), source })?;
        *removed += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::plan_truncation;

    #[test]
    fn plan_replaces_two_thirds_of_finished_segments() {
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
