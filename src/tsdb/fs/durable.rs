//! Durable changes of whole files: atomic replacement, syncs of directories, [`FileError`].
//!
//! New content of a file is written to `NAME.tmp` (as in Prometheus), synced and renamed, and the
//! directory is synced. After a crash, the old or the new content exists. A file is never changed
//! in place, so mappings and hard links keep the old content.

use crate::tsdb::fs::disk::{Disk, DiskFile};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
pub fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary_name(path);
    let replaced = write_and_sync(disk, &temporary, bytes).and_then(|()| {
        disk.rename(&temporary, path).map_err(FileError::for_step("rename", &temporary))
    });
    if let Err(error) = replaced {
        // Ignored: a leftover is harmless, because the next attempt replaces it.
        let _ = disk.remove_file(&temporary);
        return Err(error);
    }
    sync_dir(disk, path.parent().unwrap_or(Path::new(".")))
}

/// Creates an empty file. Replaces a file that a failed attempt or a crash left behind.
///
/// # Errors
/// Error of the operating system.
pub fn create_or_replace(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    match disk.create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove_file(path)?;
            disk.create_new(path)
        }
        created => created,
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// [`FileError`] with the path of the directory.
pub fn sync_dir(disk: &dyn Disk, path: &Path) -> Result<(), FileError> {
    disk.sync_dir(path).map_err(FileError::for_step("sync", path))
}

/// Returns the name of the new content of a file before [`replace_file`] renames it.
#[must_use]
pub fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

fn write_and_sync(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let file = create_or_replace(disk, path).map_err(FileError::for_step("create", path))?;
    file.append(bytes).map_err(FileError::for_step("write", path))?;
    file.sync().map_err(FileError::for_step("sync", path))
}

#[cfg(test)]
mod tests {
    use super::replace_file;
    use crate::tsdb::fs::os_disk::OsDisk;
    use std::fs;

    #[test]
    fn replaced_file_keeps_old_content_under_other_links() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        replace_file(&OsDisk, &path, b"old").unwrap();
        fs::hard_link(&path, &link).unwrap();
        fs::write(dir.path().join("file.tmp"), b"leftover").unwrap();
        replace_file(&OsDisk, &path, b"new").unwrap();
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
        let error = replace_file(&OsDisk, &path, b"x").unwrap_err();
        assert_eq!(error.step, "rename");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace_file(&OsDisk, &dir.path().join("none/file"), b"x").is_err());
    }
}
