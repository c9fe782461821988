//! Detection of a lost checkpoint, and the operator's decision to start without it.
//!
//! Segments are removed only after a checkpoint that replaces them is durable. A checkpoint has at
//! least the file `00000000`, and a further file is created only for a record that goes into it. So
//! each of these states is lost data:
//!
//! | state                                                 | error                            |
//! |-------------------------------------------------------|----------------------------------|
//! | first segment above 0, no checkpoint                  | [`LostCheckpointError::Missing`] |
//! | checkpoint without its first file, or with a file     | [`LostCheckpointError::Emptied`] |
//! | without records next to others                        |                                  |
//! | checkpoint whose only file has no records, and later  | [`LostCheckpointError::Blank`]   |
//! | entries of series without a series record             |                                  |
//!
//! Prometheus starts in all of these states and drops entries of unknown series. Accepted states:
//! - segments from 0 on, as after the log was deleted and started again;
//! - segments above 0 after a checkpoint, also if a repair removed the newest ones;
//! - a checkpoint without records if all later entries have their series records: the head was
//!   empty when it was written.
//!
//! # Recovery
//! Without a backup, an operator accepts the loss with a file `lost` in the checkpoint's directory.
//! The start then continues with the remaining data. The next checkpoint replaces the directory.
//! Prometheus ignores the file.

use crate::tsdb::wal::checkpoint::{Checkpoint, checkpoint_path};
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::segment::Segment;
use std::path::{Path, PathBuf};

/// Name of the file with which an operator accepts the loss of a checkpoint.
pub const GIVEN_UP: &str = "lost";

/// Error of a start without a required checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum LostCheckpointError {
    /// The log does not start at segment 0, and there is no checkpoint.
    #[error(
        "WAL begins at segment {first:08}, but the checkpoint of earlier segments is missing; {}",
        way_out(path)
    )]
    Missing {
        /// Number of the first segment.
        first: u32,
        /// Path of the checkpoint.
        path: PathBuf,
    },
    /// The first file of the checkpoint is missing, or one of its files has no records.
    #[error(
        "file {file} of checkpoint {} is missing or has no records; {}",
        path.display(),
        way_out(path)
    )]
    Emptied {
        /// Path of the checkpoint.
        path: PathBuf,
        /// Name of the file.
        file: String,
    },
    /// The checkpoint has no records, but later entries need series records.
    #[error(
        "checkpoint {} has no records, but later segments and the head chunks have {entries} \
         entries of unknown series; {}",
        path.display(),
        way_out(path)
    )]
    Blank {
        /// Path of the checkpoint.
        path: PathBuf,
        /// Number of log entries and head chunks of unknown series.
        entries: u64,
    },
}

/// Returns the instruction for an operator to recover the checkpoint at `path`.
fn way_out(path: &Path) -> String {
    format!(
        "restore it from a backup, or create the file {} to start without it and lose its series",
        path.join(GIVEN_UP).display()
    )
}

impl Checkpoint {
    /// Returns `true` if an operator accepted its loss.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.path.join(GIVEN_UP).exists()
    }
}

/// Checks that the log in `dir` has the checkpoint that its segments need. `files` are the segments
/// of `checkpoint`, `segments` the later ones of the log. Returns `true` if the only file of the
/// checkpoint has no records.
///
/// # Errors
/// [`CheckPresentError`] if the checkpoint was lost, and its loss was not accepted.
pub fn check_present(
    dir: &Path,
    checkpoint: Option<&Checkpoint>,
    files: &[Segment],
    segments: &[Segment],
) -> Result<bool, CheckPresentError> {
    let Some(checkpoint) = checkpoint else {
        let first = segments.first().map_or(0, |segment| segment.number);
        return match first.checked_sub(1) {
            Some(last) => {
                Err(LostCheckpointError::Missing { first, path: checkpoint_path(dir, last) }.into())
            }
            None => Ok(false),
        };
    };
    if checkpoint.is_given_up() {
        return Ok(false);
    }
    let emptied = |number: u32| {
        let (path, file) = (checkpoint.path.clone(), format!("{number:08}"));
        Err(LostCheckpointError::Emptied { path, file }.into())
    };
    if files.first().is_none_or(|file| file.number != 0) {
        return emptied(0);
    }
    for file in files {
        match is_blank(file)? {
            true if files.len() == 1 => return Ok(true),
            true => return emptied(file.number),
            false => {}
        }
    }
    Ok(false)
}

/// Error of checking for a lost checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckPresentError {
    /// The checkpoint was lost.
    #[error(transparent)]
    Lost(#[from] LostCheckpointError),
    /// A file of the checkpoint cannot be read.
    #[error(transparent)]
    Read(#[from] ReadLogError),
}

/// Returns `true` if a file has no record. A corrupted file is not blank.
fn is_blank(file: &Segment) -> Result<bool, ReadLogError> {
    match LogSegmentReader::open(file.clone())?.next_record() {
        Ok(record) => Ok(record.is_none()),
        Err(ReadLogError::Corrupted(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckPresentError, LostCheckpointError, check_present};
    use crate::tsdb::wal::checkpoint::last_checkpoint;
    use crate::tsdb::wal::segment::list_segments;
    use std::fs;
    use std::path::Path;

    /// Creates files with these names: empty, or with invalid bytes if the name ends with `+`.
    fn log(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name.trim_end_matches('+'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, if name.ends_with('+') { "no record" } else { "" }).unwrap();
        }
        dir
    }

    fn check(dir: &Path) -> Result<bool, CheckPresentError> {
        let checkpoint = last_checkpoint(dir).unwrap();
        let files =
            checkpoint.as_ref().map_or(Vec::new(), |checkpoint| checkpoint.segments().unwrap());
        check_present(dir, checkpoint.as_ref(), &files, &list_segments(dir).unwrap())
    }

    #[test]
    fn log_with_required_checkpoint_passes() {
        for (names, is_blank) in [
            (&[][..], false),
            (&["00000000", "00000001"], false),
            (&["checkpoint.00000003/00000000", "00000004"], true),
            (
                &["checkpoint.00000003/00000000+", "checkpoint.00000003/00000001+", "00000004"],
                false,
            ),
            (&["checkpoint.00000003/00000000+", "00000002", "00000003", "00000004"], false),
            (&["checkpoint.00000003/00000000+"], false),
            (&["checkpoint.00000003/lost", "00000004"], false),
            (&["checkpoint.00000003/lost", "checkpoint.00000003/00000000", "00000004"], false),
        ] {
            assert_eq!(check(log(names).path()).unwrap(), is_blank, "{names:?}");
        }
        let zeros = log(&["checkpoint.00000003/00000000"]);
        fs::write(zeros.path().join("checkpoint.00000003/00000000"), vec![0; 70_000]).unwrap();
        assert!(check(zeros.path()).unwrap());
    }

    #[test]
    fn lost_checkpoint_error_names_recovery() {
        for (names, message) in [
            (&["00000004", "00000005"][..], "begins at segment 00000004"),
            (&["checkpoint.00000003/other", "00000004"], "file 00000000"),
            (&["checkpoint.00000003/00000001+", "00000004"], "file 00000000"),
            (
                &["checkpoint.00000003/00000000+", "checkpoint.00000003/00000001", "00000004"],
                "file 00000001",
            ),
            (
                &["checkpoint.00000003/00000000", "checkpoint.00000003/00000001+", "00000004"],
                "file 00000000",
            ),
            (&["checkpoint.00000003/other", "00000000"], "file 00000000"),
        ] {
            let dir = log(names);
            let error = check(dir.path()).unwrap_err();
            assert!(matches!(error, CheckPresentError::Lost(_)), "{names:?}");
            let (error, way_out) = (error.to_string(), dir.path().join("checkpoint.00000003/lost"));
            assert!(
                error.contains(message) && error.contains(way_out.to_str().unwrap()),
                "{names:?}: {error}"
            );
        }
        let blank =
            LostCheckpointError::Blank { path: "wal/checkpoint.00000003".into(), entries: 7 };
        assert!(
            blank.to_string().contains("7 entries")
                && blank.to_string().contains("wal/checkpoint.00000003/lost")
        );
    }
}
