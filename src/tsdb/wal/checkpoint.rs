//! Checkpoints: directories with the records still needed of removed segments.
//!
//! ```text
//! wal/checkpoint.00000041/00000000 …   replaces the segments up to 41, read before 00000042 …
//! wal/checkpoint.00000041.tmp/         unfinished; readers ignore it
//! ```
//!
//! The segments of a checkpoint have the format of WAL segments. A corrupted checkpoint fails the
//! start and is never truncated: that would silently orphan later records of the series it names.

use std::path::{Path, PathBuf};

use crate::tsdb::wal::segment::{Segment, SegmentError, list_segments};

const PREFIX: &str = "checkpoint.";
const UNFINISHED_SUFFIX: &str = ".tmp";

/// A finished checkpoint in the directory of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of the last segment that it replaces.
    pub number: u32,
    /// Path of the directory.
    pub path: PathBuf,
}

/// Error of listing the checkpoints of a log.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The directory of the log cannot be read, or its segments have a gap.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// A file that is named like a checkpoint. Prometheus does not start with one either.
    #[error("checkpoint {} is not a directory", .0.display())]
    NotADirectory(PathBuf),
}

impl Checkpoint {
    /// Returns the segments, by number.
    ///
    /// # Errors
    /// [`SegmentError`] if the directory cannot be read or a segment is missing.
    pub fn segments(&self) -> Result<Vec<Segment>, SegmentError> {
        list_segments(&self.path)
    }
}

/// Returns the path of the checkpoint that replaces the segments up to `number` in the log
/// directory `dir`.
#[must_use]
pub fn checkpoint_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{number:08}"))
}

/// Returns the path at which that checkpoint is written before it is renamed.
#[must_use]
pub fn temporary_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{number:08}{UNFINISHED_SUFFIX}"))
}

/// Returns the newest finished checkpoint in the log directory `dir`, or `None` if there is none.
///
/// # Errors
/// [`CheckpointError`] as for [`list_checkpoints`].
pub fn last_checkpoint(dir: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    Ok(list_checkpoints(dir)?.pop())
}

/// Returns the finished checkpoints in the log directory `dir`, by number.
///
/// # Errors
/// [`CheckpointError`] if `dir` cannot be read or has a file that is named like a checkpoint.
pub fn list_checkpoints(dir: &Path) -> Result<Vec<Checkpoint>, CheckpointError> {
    let mut checkpoints = Vec::new();
    for path in checkpoint_dirs(dir)? {
        let rest = strip_checkpoint_prefix(&path).unwrap_or_default();
        let digits = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        if let Some(number) = digits.then(|| rest.parse().ok()).flatten() {
            checkpoints.push(Checkpoint { number, path });
        }
    }
    checkpoints.sort_by_key(|checkpoint| checkpoint.number);
    Ok(checkpoints)
}

/// Returns the unfinished checkpoint directories in the log directory `dir`, in no order.
///
/// # Errors
/// [`CheckpointError`] as for [`list_checkpoints`].
pub fn list_unfinished(dir: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut unfinished = checkpoint_dirs(dir)?;
    unfinished.retain(|path| {
        strip_checkpoint_prefix(path).is_some_and(|rest| rest.ends_with(UNFINISHED_SUFFIX))
    });
    Ok(unfinished)
}

/// Returns all directories with the name prefix of a checkpoint, finished or not.
fn checkpoint_dirs(dir: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let io_error = |source| SegmentError::Io { path: dir.to_owned(), source };
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        if strip_checkpoint_prefix(&path).is_none() {
            continue;
        }
        if !path.is_dir() {
            return Err(CheckpointError::NotADirectory(path));
        }
        dirs.push(path);
    }
    Ok(dirs)
}

fn strip_checkpoint_prefix(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::{
        CheckpointError, checkpoint_path, last_checkpoint, list_unfinished, temporary_path,
    };

    #[test]
    fn last_checkpoint_returns_newest_finished() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last_checkpoint(dir.path()).unwrap(), None);
        for name in [
            "checkpoint.00000002",
            "checkpoint.000011",
            "checkpoint.00000099.tmp",
            "checkpoint.x",
            "00000012",
        ] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let last = last_checkpoint(dir.path()).unwrap().unwrap();
        assert_eq!((last.number, last.path), (11, dir.path().join("checkpoint.000011")));
        assert_eq!(list_unfinished(dir.path()).unwrap(), [temporary_path(dir.path(), 99)]);
        assert_eq!(checkpoint_path(dir.path(), 7), dir.path().join("checkpoint.00000007"));
        std::fs::write(dir.path().join("checkpoint.00000100"), b"").unwrap();
        assert!(matches!(last_checkpoint(dir.path()), Err(CheckpointError::NotADirectory(_))));
    }
}
