//! Checkpoints: what was still needed of the segments that are gone.
//!
//! ```text
//! wal/checkpoint.00000041/00000000 …   stands for the segments up to and with 41, read before 00000042 …
//! wal/checkpoint.00000041.tmp/         one that was never finished: nobody reads it
//! ```
//!
//! A checkpoint's segments have the same format as the log's. Damage in one stops the start, it is never cut: that would
//! silently orphan all later records of the series that it names.

use std::path::{Path, PathBuf};

use crate::tsdb::wal::segment::{Segment, SegmentError, list_segments};

const PREFIX: &str = "checkpoint.";

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

/// The newest finished checkpoint in the log's directory `dir`, or `None` where there is none.
///
/// # Errors
/// [`CheckpointError`].
pub fn last_checkpoint(dir: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    let io_error = |source| SegmentError::Io { path: dir.to_owned(), source };
    let mut last: Option<Checkpoint> = None;
    for entry in std::fs::read_dir(dir).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(rest) = name.and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if !path.is_dir() {
            return Err(CheckpointError::NotADirectory(path));
        }
        let digits = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        let Some(number) = digits.then(|| rest.parse().ok()).flatten() else { continue };
        if last.as_ref().is_none_or(|last| last.number < number) {
            last = Some(Checkpoint { number, path });
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::{CheckpointError, last_checkpoint};

    #[test]
    fn the_newest_finished_checkpoint_is_found() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last_checkpoint(dir.path()).unwrap(), None);
        for name in ["checkpoint.00000002", "checkpoint.000011", "checkpoint.00000099.tmp", "checkpoint.x", "00000012"]
        {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let last = last_checkpoint(dir.path()).unwrap().unwrap();
        assert_eq!((last.number, last.path), (11, dir.path().join("checkpoint.000011")));
        std::fs::write(dir.path().join("checkpoint.00000100"), b"").unwrap();
        assert!(matches!(last_checkpoint(dir.path()), Err(CheckpointError::NotADirectory(_))));
    }
}
