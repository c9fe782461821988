//! WAL files that startup replays: the newest checkpoint, then the segments after it.
//!
//! Invariant: the segments are consecutive, and no checkpoint is known to be lost.

use crate::tsdb::wal::checkpoint::{Checkpoint, CheckpointError, last_checkpoint};
use crate::tsdb::wal::lost_checkpoint::{CheckPresentError, LostCheckpointError, check_present};
use crate::tsdb::wal::segment::{Segment, SegmentError, list_segments};
use std::path::Path;

/// Error of a WAL whose files are incomplete or cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum LogFilesError {
    /// The checkpoints cannot be listed.
    #[error(transparent)]
    Checkpoints(#[from] CheckpointError),
    /// The segments cannot be listed, or one is missing.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// The checkpoint is missing, empty or unreadable. Without it the WAL has samples of series
    /// that it does not name.
    #[error(transparent)]
    Checkpoint(#[from] CheckPresentError),
}

/// WAL files to replay, in order.
pub(super) struct LogFiles {
    /// Files of the checkpoint, then the segments.
    pub(super) all: Vec<Segment>,
    /// Number of files of the checkpoint.
    pub(super) checkpoint_files: usize,
    /// The checkpoint, if its only file has no records and it was not given up. It counts as lost
    /// if replay finds entries of series that the WAL does not name.
    pub(super) blank: Option<Checkpoint>,
}

impl LogFiles {
    /// Finds the files of the WAL in `wal_dir`.
    ///
    /// # Errors
    /// [`LogFilesError`] if a file is missing or the checkpoint was lost.
    pub(super) fn find(wal_dir: &Path) -> Result<Self, LogFilesError> {
        let checkpoint = last_checkpoint(wal_dir)?;
        let mut all = match &checkpoint {
            Some(checkpoint) => checkpoint.segments()?,
            None => Vec::new(),
        };
        let after = checkpoint.as_ref().map(|checkpoint| checkpoint.number);
        let mut segments = list_segments(wal_dir)?;
        segments.retain(|segment| after.is_none_or(|after| segment.number > after));
        if let (Some(after), Some(first)) = (after, segments.first())
            && first.number != after + 1
        {
            let missing = u64::from(after) + 1;
            return Err(
                SegmentError::Gap { dir: wal_dir.to_owned(), missing, next: first.number }.into()
            );
        }
        let is_blank = check_present(wal_dir, checkpoint.as_ref(), &all, &segments)?;
        let blank = checkpoint.filter(|_| is_blank);
        let checkpoint_files = all.len();
        all.append(&mut segments);
        Ok(Self { all, checkpoint_files, blank })
    }

    /// Checks a checkpoint without records, after replay. `unknown_entries` is the number of
    /// entries whose series the WAL does not name.
    ///
    /// # Errors
    /// [`LogFilesError`] if there are such entries.
    pub(super) fn check_blank(&self, unknown_entries: u64) -> Result<(), LogFilesError> {
        match &self.blank {
            Some(checkpoint) if unknown_entries > 0 => {
                let lost = LostCheckpointError::Blank {
                    path: checkpoint.path.clone(),
                    entries: unknown_entries,
                };
                Err(CheckPresentError::Lost(lost).into())
            }
            _ => Ok(()),
        }
    }
}
