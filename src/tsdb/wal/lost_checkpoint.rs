//! Evidence that a checkpoint was lost, and the operator's decision to start without it.
//!
//! Segments are removed only after a checkpoint that stands for them is durable. A checkpoint has at least the file `00000000`,
//! and a further file is begun only for a record that goes into it. So one of these is lost data:
//!
//! | found                                                | error                            |
//! |------------------------------------------------------|----------------------------------|
//! | first segment above 0, no checkpoint                 | [`LostCheckpointError::Missing`] |
//! | a checkpoint without its first file, or with a file  | [`LostCheckpointError::Emptied`] |
//! | without records beside others                        |                                  |
//! | a checkpoint whose only file has no records, behind  | [`LostCheckpointError::Blank`]   |
//! | it entries of series that nothing names              |                                  |
//!
//! Prometheus starts on all of them and drops what refers to an unknown series. Legitimate, and accepted:
//! - segments from 0 on, as after the log was deleted and began again;
//! - segments above 0 behind a checkpoint, also after a repair that removed the newest ones;
//! - a checkpoint without records if everything behind it names its own series: when it was made the head was empty.
//!
//! # Way out
//! An operator without a backup gives the checkpoint up: a file `lost` in its directory. The start then goes on with what is
//! there. The next checkpoint replaces directory and file. Prometheus ignores the file.

use crate::tsdb::wal::checkpoint::{Checkpoint, checkpoint_path};
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::segment::Segment;
use std::path::{Path, PathBuf};

/// Name of the file by which an operator gives a checkpoint up.
pub const GIVEN_UP: &str = "lost";

/// A checkpoint that was lost.
#[derive(Debug, thiserror::Error)]
pub enum LostCheckpointError {
    /// The log does not begin at 0, and there is no checkpoint.
    #[error(
        "the log begins at segment {first:08}, and the checkpoint of the segments before it is missing; {}",
        way_out(path)
    )]
    Missing {
        /// Number of the first segment.
        first: u32,
        /// Path of the checkpoint.
        path: PathBuf,
    },
    /// The checkpoint lacks its first file, or the content of a file.
    #[error("the file {file} of checkpoint {} is missing or has no records; {}", path.display(), way_out(path))]
    Emptied {
        /// Path of the checkpoint.
        path: PathBuf,
        /// Name of the file.
        file: String,
    },
    /// The checkpoint has no records, but the log needs some.
    #[error(
        "checkpoint {} has no records, but the log behind it and the chunk files have {entries} entries of series that \
         nothing names; {}",
        path.display(),
        way_out(path)
    )]
    Blank {
        /// Its path.
        path: PathBuf,
        /// Number of log entries and head chunks of unknown series.
        entries: u64,
    },
}

/// Tells an operator what to do about the checkpoint with this path.
fn way_out(path: &Path) -> String {
    format!(
        "restore it from a backup, or create the file {} to start without it and lose the series that only it names",
        path.join(GIVEN_UP).display()
    )
}

impl Checkpoint {
    /// Returns `true` if an operator gave it up.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.path.join(GIVEN_UP).exists()
    }
}

/// Checks that the log in `dir` has the checkpoint that its segments need. `files` are those of `checkpoint`, `segments` those
/// behind it. Returns `true` if the only file of the checkpoint has no records.
///
/// # Errors
/// [`CheckPresentError`] if the checkpoint is missing or emptied and was not given up.
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

/// Error of [`check_present`].
#[derive(Debug, thiserror::Error)]
pub enum CheckPresentError {
    /// The checkpoint was lost.
    #[error(transparent)]
    Lost(#[from] LostCheckpointError),
    /// A file of it cannot be read.
    #[error(transparent)]
    Read(#[from] ReadLogError),
}

/// Returns `true` if a file has no record. A damaged file is not blank.
fn is_blank(file: &Segment) -> Result<bool, ReadLogError> {
    match LogSegmentReader::open(file.clone())?.next_record() {
        Ok(record) => Ok(record.is_none()),
        Err(ReadLogError::Damaged(_)) => Ok(false),
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

    /// Makes files with these names: blank, or with bytes that are no record for a name that ends with `+`.
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
    fn log_that_needs_no_checkpoint_or_has_it_passes() {
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
    fn lost_checkpoint_is_an_error_that_names_the_way_out() {
        for (names, text) in [
            (&["00000004", "00000005"][..], "begins at segment 00000004"),
            (&["checkpoint.00000003/other", "00000004"], "the file 00000000"),
            (&["checkpoint.00000003/00000001+", "00000004"], "the file 00000000"),
            (
                &["checkpoint.00000003/00000000+", "checkpoint.00000003/00000001", "00000004"],
                "the file 00000001",
            ),
            (
                &["checkpoint.00000003/00000000", "checkpoint.00000003/00000001+", "00000004"],
                "the file 00000000",
            ),
            (&["checkpoint.00000003/other", "00000000"], "the file 00000000"),
        ] {
            let dir = log(names);
            let error = check(dir.path()).unwrap_err();
            assert!(matches!(error, CheckPresentError::Lost(_)), "{names:?}");
            let (error, way_out) = (error.to_string(), dir.path().join("checkpoint.00000003/lost"));
            assert!(
                error.contains(text) && error.contains(way_out.to_str().unwrap()),
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
