//! Files that are replaced as a whole, and directories brought to the disk: the steps after which a crash leaves the old or the new.
//!
//! What is replaced is written beside its place under a temporary name (`NAME.tmp`, as Prometheus does), synced, renamed, and the directory
//! is synced. A file is never changed in place: whoever has it mapped, or linked under another name, keeps what it had.
//!
//! For files that are written now and then (of blocks). What is written all the time goes through [`crate::tsdb::fs::disk`]. No locks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A step on a file or directory that failed.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {step}: {source}", path = path.display())]
pub struct FileError {
    /// What was tried.
    pub step: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl FileError {
    /// Makes the error of one step on one path, for `map_err`.
    pub fn for_step(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { step, path: path.to_owned(), source }
    }
}

/// Makes `bytes` the content of the file `path`, durably. Where that fails, the file is as it was, or already replaced.
///
/// # Errors
/// [`FileError`] of the step that failed.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary_name(path);
    let replaced = write_and_sync(&temporary, bytes).and_then(|()| {
        fs::rename(&temporary, path).map_err(FileError::for_step("rename", &temporary))
    });
    if let Err(error) = replaced {
        // What it left behind harms nobody: the next attempt begins anew.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes durable which files a directory has.
///
/// # Errors
/// [`FileError`] of the step that failed.
pub fn sync_dir(path: &Path) -> Result<(), FileError> {
    let opened = File::open(path).map_err(FileError::for_step("open", path))?;
    opened.sync_all().map_err(FileError::for_step("sync", path))
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = File::create(path).map_err(FileError::for_step("create", path))?;
    file.write_all(bytes).map_err(FileError::for_step("write", path))?;
    file.sync_all().map_err(FileError::for_step("sync", path))
}

#[cfg(test)]
mod tests {
    use super::replace_file;
    use std::fs;

    #[test]
    fn a_replaced_file_leaves_its_old_content_to_other_links() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        replace_file(&path, b"old").unwrap();
        fs::hard_link(&path, &link).unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read(&link).unwrap()),
            (b"new".to_vec(), b"old".to_vec())
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("folder");
        fs::create_dir_all(path.join("inner")).unwrap();
        let error = replace_file(&path, b"x").unwrap_err();
        assert_eq!(error.step, "rename");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace_file(&dir.path().join("none/file"), b"x").is_err());
    }
}
