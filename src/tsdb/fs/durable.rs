//! Atomic, durable replacement of small files: after a crash, the old or the new content exists.
//!
//! New content is written to `NAME.tmp` (as in Prometheus), synced and renamed, and the directory
//! is synced. A file is never changed in place, so mappings and hard links keep the old content.
//!
//! Files of blocks use this module; files with frequent writes use [`crate::tsdb::fs::disk`].

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Failed operation on a file or directory.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {path}: {source}", path = path.display())]
pub struct FileError {
    /// Name of the operation, such as `rename`.
    pub step: &'static str,
    /// Path of the file or directory on which the operation failed.
    pub path: PathBuf,
    /// Error of the operating system.
    pub source: io::Error,
}

impl FileError {
    /// Returns a function for `map_err` that adds step and path.
    pub fn for_step(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { step, path: path.to_owned(), source }
    }
}

/// Replaces the content of the file `path` with `bytes`, durably. Creates the file if it is
/// missing.
///
/// # Errors
/// [`FileError`] of the failed step. The file then has its old or its new content.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary_name(path);
    let replaced = write_and_sync(&temporary, bytes).and_then(|()| {
        fs::rename(&temporary, path).map_err(FileError::for_step("rename", &temporary))
    });
    if let Err(error) = replaced {
        // Ignored: a leftover is harmless, because the next attempt overwrites it.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes creations, renames and removals in a directory durable.
///
/// # Errors
/// [`FileError`] of the failed step.
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
    fn replaced_file_keeps_old_content_under_other_links() {
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
    fn failed_replacement_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dir");
        fs::create_dir_all(path.join("inner")).unwrap();
        let error = replace_file(&path, b"x").unwrap_err();
        assert_eq!(error.step, "rename");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace_file(&dir.path().join("none/file"), b"x").is_err());
    }
}
