//! Durable moves to the quarantine, also across file systems.
//!
//! # Across file systems
//! A move is a rename. Between two file systems (mount points, bind mounts, overlay layers) a
//! rename fails with `EXDEV`, and the file is copied instead:
//! 1. Copy to `NAME.tmp` in the target directory and sync the copy.
//! 2. Rename the copy to `NAME` and sync its directory.
//! 3. Remove the original and sync its directory.
//!
//! # Failure
//! If the copy of a file fails, for example on a full disk, the file is renamed to
//! `quarantine/NAME` in its own directory. Prometheus ignores a directory of that name in `wal/`,
//! `wbl/` and `chunks_head/`.
//!
//! After a crash at any step, the complete content exists under the old name, the new name, or
//! both.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::FileError;

/// Name of the quarantine directory.
pub const QUARANTINE: &str = "quarantine";

/// Buffer size for copies, bytes.
const COPY_BUFFER: usize = 1 << 20;

/// Moves the file `from` to `to`, whose directory exists.
///
/// Returns its new path: `to`, or a path in the quarantine of the file's own file system.
///
/// # Errors
/// [`FileError`] of the failed step. The file still exists: under its old name, or, if only the
/// removal of the original failed, under both.
pub fn move_file(disk: &dyn Disk, from: &Path, to: &Path) -> Result<PathBuf, FileError> {
    if rename(disk, from, to)? {
        return Ok(to.to_owned());
    }
    match copy_file(disk, from, 0, to) {
        Ok(()) => {
            disk.remove_file(from).map_err(FileError::for_step("remove", from))?;
            sync_parent(disk, from)?;
            Ok(to.to_owned())
        }
        Err(error) => {
            let moved_to = move_within_file_system(disk, from, to)?;
            tracing::warn!(
                path = %moved_to.display(), %error,
                "cannot copy file to quarantine on another file system, moved it within its own"
            );
            Ok(moved_to)
        }
    }
}

/// Moves the directory `from` to `to`, whose parent exists. `remove` removes the original of a
/// copy.
///
/// # Errors
/// [`FileError`] of the failed step, or the error of `remove`.
pub fn move_dir(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    remove: impl FnOnce() -> Result<(), FileError>,
) -> Result<(), FileError> {
    if rename(disk, from, to)? {
        return Ok(());
    }
    let temporary = temporary_name(to);
    remove_leftover(disk, &temporary)?;
    copy_tree(disk, from, &temporary)?;
    disk.rename(&temporary, to).map_err(FileError::for_step("rename", &temporary))?;
    sync_parent(disk, to)?;
    remove()
}

/// Copies the bytes of `from` from `offset` on to the new file `to`.
///
/// The copy is durable and gets its name only when it is complete.
///
/// # Errors
/// [`FileError`] of the failed step.
pub fn copy_file(disk: &dyn Disk, from: &Path, offset: u64, to: &Path) -> Result<(), FileError> {
    let temporary = temporary_name(to);
    remove_leftover(disk, &temporary)?;
    let copied = copy_bytes(disk, from, offset, &temporary).and_then(|()| {
        disk.rename(&temporary, to).map_err(FileError::for_step("rename", &temporary))
    });
    if let Err(error) = copied {
        // Ignored: the original still has all content, and the next attempt removes the leftover.
        let _ = disk.remove_file(&temporary);
        return Err(error);
    }
    sync_parent(disk, to)
}

/// Renames durably. Returns `false`, and does nothing, if the paths are on different file systems.
fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> Result<bool, FileError> {
    match disk.rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => return Ok(false),
        renamed => renamed.map_err(FileError::for_step("quarantine", from))?,
    }
    sync_parent(disk, to)?;
    sync_parent(disk, from)?;
    Ok(true)
}

/// Renames `from` into the quarantine of its own directory, under the file name of `to`, with a
/// number appended if that name is taken.
fn move_within_file_system(disk: &dyn Disk, from: &Path, to: &Path) -> Result<PathBuf, FileError> {
    let dir = from.parent().unwrap_or(Path::new(".")).join(QUARANTINE);
    disk.create_dir_all(&dir).map_err(FileError::for_step("create", &dir))?;
    let first = dir.join(to.file_name().unwrap_or_default());
    let numbered = (1u32..).map(|number| with_suffix(&first, &format!(".{number}")));
    let mut names = std::iter::once(first.clone()).chain(numbered);
    let target =
        names.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| first.clone());
    disk.rename(from, &target).map_err(FileError::for_step("quarantine", from))?;
    sync_parent(disk, &target)?;
    sync_parent(disk, from)?;
    Ok(target)
}

/// Copies a directory tree. All of it is synced except the name of the copy itself.
fn copy_tree(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), FileError> {
    disk.create_dir_all(to).map_err(FileError::for_step("create", to))?;
    for entry in fs::read_dir(from).map_err(FileError::for_step("list", from))? {
        let entry = entry.map_err(FileError::for_step("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(disk, &source, &target)?;
        } else {
            copy_bytes(disk, &source, 0, &target)?;
        }
    }
    disk.sync_dir(to).map_err(FileError::for_step("sync", to))
}

fn copy_bytes(disk: &dyn Disk, from: &Path, offset: u64, to: &Path) -> Result<(), FileError> {
    let mut source = File::open(from).map_err(FileError::for_step("open", from))?;
    source.seek(SeekFrom::Start(offset)).map_err(FileError::for_step("seek", from))?;
    let target = disk.create_new(to).map_err(FileError::for_step("create", to))?;
    let mut buffer = vec![0; COPY_BUFFER];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return target.sync().map_err(FileError::for_step("sync", to)),
            Ok(n) => target.append(&buffer[..n]).map_err(FileError::for_step("write", to))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::for_step("read", from)(error)),
        }
    }
}

/// Removes the unfinished copy of an earlier attempt, if one exists.
fn remove_leftover(disk: &dyn Disk, path: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => disk.remove_dir_all(path),
        Ok(_) => disk.remove_file(path),
        Err(_) => return Ok(()),
    };
    removed.map_err(FileError::for_step("remove", path))
}

fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), FileError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    disk.sync_dir(parent).map_err(FileError::for_step("sync", parent))
}

fn temporary_name(path: &Path) -> PathBuf {
    with_suffix(path, ".tmp")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::{copy_file, move_dir, move_file};
    use crate::tsdb::fs::disk::{Disk, DiskFile, DiskSpace};
    use crate::tsdb::fs::os_disk::OsDisk;
    use std::fs;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    /// Disk that treats sibling directories as separate file systems.
    ///
    /// If `is_full` is set, no file can be created.
    #[derive(Debug)]
    struct SplitDisk {
        is_full: bool,
    }

    impl Disk for SplitDisk {
        fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
            if self.is_full {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                OsDisk.create_new(path)
            }
        }
        fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
            OsDisk.open_append(path)
        }
        fn create_dir(&self, path: &Path) -> io::Result<()> {
            OsDisk.create_dir(path)
        }
        fn create_dir_all(&self, path: &Path) -> io::Result<()> {
            OsDisk.create_dir_all(path)
        }
        fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
            OsDisk.hard_link(from, to)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            let is_same = from.parent() == to.parent()
                || Some(from.parent().unwrap()) == to.parent().unwrap().parent();
            if is_same {
                OsDisk.rename(from, to)
            } else {
                Err(io::ErrorKind::CrossesDevices.into())
            }
        }
        fn remove_file(&self, path: &Path) -> io::Result<()> {
            OsDisk.remove_file(path)
        }
        fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
            OsDisk.remove_dir_all(path)
        }
        fn sync_dir(&self, path: &Path) -> io::Result<()> {
            OsDisk.sync_dir(path)
        }
        fn space(&self, path: &Path) -> io::Result<DiskSpace> {
            OsDisk.space(path)
        }
    }

    const WITH_SPACE: SplitDisk = SplitDisk { is_full: false };
    const WITHOUT_SPACE: SplitDisk = SplitDisk { is_full: true };

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn move_across_file_systems_copies_and_removes() {
        let root = tempfile::tempdir().unwrap();
        let (wal, quarantine) = (root.path().join("wal"), root.path().join("quarantine"));
        [&wal, &quarantine].into_iter().for_each(|dir| fs::create_dir(dir).unwrap());
        let (from, to) = (wal.join("00000003"), quarantine.join("wal.3"));
        let content: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
        fs::write(&from, &content).unwrap();
        fs::write(quarantine.join("wal.3.tmp"), "unfinished copy").unwrap();
        assert_eq!(move_file(&WITH_SPACE, &from, &to).unwrap(), to);
        assert!(fs::read(&to).unwrap() == content);
        assert_eq!((names(&wal), names(&quarantine)), (vec![], vec!["wal.3".to_owned()]));
    }

    #[test]
    fn move_without_space_stays_in_own_file_system() {
        let root = tempfile::tempdir().unwrap();
        let (wal, quarantine) = (root.path().join("wal"), root.path().join("quarantine"));
        [&wal, &quarantine].into_iter().for_each(|dir| fs::create_dir(dir).unwrap());
        for (content, name) in [("first", "wal.3"), ("second", "wal.3.1")] {
            fs::write(wal.join("00000003"), content).unwrap();
            let moved_to =
                move_file(&WITHOUT_SPACE, &wal.join("00000003"), &quarantine.join("wal.3"))
                    .unwrap();
            assert_eq!(moved_to, wal.join("quarantine").join(name));
            assert_eq!(fs::read_to_string(moved_to).unwrap(), content);
        }
        assert_eq!((names(&wal), names(&quarantine)), (vec!["quarantine".to_owned()], vec![]));
    }

    #[test]
    fn directory_across_file_systems_is_copied_whole() {
        let root = tempfile::tempdir().unwrap();
        let (from, quarantine) = (root.path().join("data/block"), root.path().join("quarantine"));
        fs::create_dir_all(from.join("chunks")).unwrap();
        fs::create_dir(&quarantine).unwrap();
        fs::write(from.join("index"), "index").unwrap();
        fs::write(from.join("chunks/000001"), "chunk").unwrap();
        fs::create_dir_all(quarantine.join("block.tmp/half")).unwrap();
        let to = quarantine.join("block");
        move_dir(&WITH_SPACE, &from, &to, || {
            fs::remove_dir_all(&from).unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read_to_string(to.join("chunks/000001")).unwrap(), "chunk");
        assert_eq!(
            (names(&to), names(&quarantine)),
            (vec!["chunks".into(), "index".into()], vec!["block".to_owned()])
        );
        assert!(!from.exists());
    }

    #[test]
    fn failed_copy_leaves_original_only() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("file");
        fs::write(&from, "content").unwrap();
        assert!(copy_file(&WITHOUT_SPACE, &from, 0, &root.path().join("copy")).is_err());
        assert_eq!(names(root.path()), ["file"]);
        copy_file(&WITH_SPACE, &from, 3, &root.path().join("copy")).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("copy")).unwrap(), "tent");
    }
}
