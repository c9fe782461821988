//! Checkpoints: what was still needed of the segments that are gone.
//!
//! ```text
//! wal/checkpoint.00000041/00000000 …   stands for the segments up to and with 41, read before 00000042 …
//! wal/checkpoint.00000041.tmp/         one that is not finished, or never was: nobody reads it
//! ```
//!
//! A checkpoint's segments have the same format as the log's. Damage in one stops the start, it is never cut: that would
//! silently orphan all later records of the series that it names.

use std::path::{Path, PathBuf};

use crate::tsdb::wal::segment::{Segment, SegmentError, list_segments};

const PREFIX: &str = "checkpoint.";
const UNFINISHED_SUFFIX: &str = ".tmp";

/// A finished checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last segment that it stands for.
    pub number: u32,
    /// Its directory.
    pub path: PathBuf,
}

/// Why the checkpoints of a log can't be told.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The log's directory can't be read.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// A file of a checkpoint's name: Prometheus does not start with one either.
    #[error("checkpoint {} is not a directory", .0.display())]
    NotADirectory(PathBuf),
}

impl Checkpoint {
    /// Its segments, in order.
    ///
    /// # Errors
    /// [`SegmentError`] where the directory can't be read or a segment is missing.
    pub fn segments(&self) -> Result<Vec<Segment>, SegmentError> {
        list_segments(&self.path)
    }
}

/// Where the checkpoint that stands for the segments up to `number` has its place in the log's directory `dir`.
#[must_use]
pub fn checkpoint_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{number:08}"))
}

/// Where that checkpoint is written before it has its place.
#[must_use]
pub fn temporary_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{number:08}{UNFINISHED_SUFFIX}"))
}

/// The newest finished checkpoint in the log's directory `dir`, or `None` where there is none.
///
/// # Errors
/// [`CheckpointError`].
pub fn last_checkpoint(dir: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    Ok(list_checkpoints(dir)?.pop())
}

/// The finished checkpoints in the log's directory `dir`, by number.
///
/// # Errors
/// [`CheckpointError`].
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

/// The directories of checkpoints in the log's directory `dir` that were never finished, of any number.
///
/// # Errors
/// [`CheckpointError`].
pub fn list_unfinished(dir: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut unfinished = checkpoint_dirs(dir)?;
    unfinished.retain(|path| {
        strip_checkpoint_prefix(path).is_some_and(|rest| rest.ends_with(UNFINISHED_SUFFIX))
    });
    Ok(unfinished)
}

/// Whatever has a checkpoint's name.
fn checkpoint_dirs(dir: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let io_error = |source| SegmentError::Io { path: dir.to_owned(), source };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        if strip_checkpoint_prefix(&path).is_none() {
            continue;
        }
        if !path.is_dir() {
            return Err(CheckpointError::NotADirectory(path));
        }
        folders.push(path);
    }
    Ok(folders)
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
    fn the_newest_finished_checkpoint_is_found() {
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
