//! Block directories in a data directory: listing, deletion and quarantine.
//!
//! ```text
//! 01M82CTXRBSZKSA9A0ZWVPK1T0/                    a block
//! 01M82CTXRBSZKSA9A0ZWVPK1T0.tmp-for-creation/   an unfinished block, ignored
//! 01M82CTXRBSZKSA9A0ZWVPK1T0.tmp-for-deletion/   a deleted block, ignored
//! chunk_snapshot.000012.0000032768.tmp/          an unfinished chunk snapshot
//! quarantine/block-01M82CTXRBSZKSA9A0ZWVPK1T0/   an unreadable block
//! ```
//!
//! The names are those of Prometheus (`tsdb/db.go`), which cleans up at startup as well. The rename
//! deletes a block in one step; the next startup removes files that a crash left afterwards. No
//! locks: one thread at a time changes the blocks of a directory.

use crate::tsdb::block::meta;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::{FileError, sync_dir, temporary_name};
use crate::tsdb::fs::quarantine::move_dir;
use crate::tsdb::tombstones::file as tombstones_file;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Suffixes of ignored directories. Older versions used the last one.
const LEFTOVER_SUFFIXES: [&str; 3] = [FOR_DELETION, ".tmp-for-creation", ".tmp"];
const FOR_DELETION: &str = ".tmp-for-deletion";
/// Prefix of chunk snapshot directories.
const CHUNK_SNAPSHOT: &str = "chunk_snapshot.";

/// Contents of a data directory, as far as blocks are concerned.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DirListing {
    /// ULIDs of the blocks, ascending.
    pub blocks: Vec<BlockUlid>,
    /// Paths of unfinished and deleted directories, sorted.
    pub leftovers: Vec<PathBuf>,
    /// Paths of directories named by a ULID with lower-case letters, sorted. Prometheus 3 serves
    /// such a block under the ULID in its `meta.json`, but can neither delete nor replace the
    /// directory.
    pub misnamed: Vec<PathBuf>,
}

/// Lists a data directory.
///
/// # Errors
/// [`FileError`] if it cannot be listed.
pub fn scan(dir: &Path) -> Result<DirListing, FileError> {
    let mut listing = DirListing::default();
    for entry in fs::read_dir(dir).map_err(FileError::for_step("list", dir))? {
        let entry = entry.map_err(FileError::for_step("list", dir))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // A symbolic link is not a block. Prometheus does not follow it either.
        if !entry.file_type().map_err(FileError::for_step("look at", &entry.path()))?.is_dir() {
            continue;
        }
        if let Ok(ulid) = name.parse() {
            listing.blocks.push(ulid);
        } else if is_leftover(name) {
            listing.leftovers.push(entry.path());
        } else if name.to_ascii_uppercase().parse::<BlockUlid>().is_ok() {
            listing.misnamed.push(entry.path());
        }
    }
    listing.blocks.sort_unstable();
    listing.leftovers.sort_unstable();
    listing.misnamed.sort_unstable();
    Ok(listing)
}

fn is_leftover(name: &str) -> bool {
    LEFTOVER_SUFFIXES.iter().any(|suffix| {
        let stem = name.strip_suffix(suffix);
        stem.is_some_and(|stem| {
            stem.starts_with(CHUNK_SNAPSHOT) || stem.parse::<BlockUlid>().is_ok()
        })
    })
}

/// Removes the leftovers of [`scan`].
///
/// # Errors
/// [`FileError`] of the first one that cannot be removed.
pub fn remove_leftovers(disk: &dyn Disk, leftovers: &[PathBuf]) -> Result<(), FileError> {
    leftovers
        .iter()
        .try_for_each(|path| disk.remove_dir_all(path).map_err(FileError::for_step("remove", path)))
}

/// Removes files that an interrupted replacement left in blocks. Readers ignore them, so a failure
/// is only logged.
pub fn remove_unfinished_files(disk: &dyn Disk, dir: &Path, blocks: &[BlockUlid]) {
    for path in blocks.iter().map(|ulid| block_dir(dir, *ulid)) {
        for name in [meta::NAME, tombstones_file::NAME] {
            let path = temporary_name(&path.join(name));
            if path.exists()
                && let Err(error) = disk.remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove unfinished file");
            }
        }
    }
}

/// Path of a block.
#[must_use]
pub fn block_dir(dir: &Path, ulid: BlockUlid) -> PathBuf {
    dir.join(ulid.to_string())
}

/// Removes a block from the disk. It is renamed first, durably, so that no crash leaves a part of
/// it under its name. A missing block is not an error.
///
/// # Errors
/// [`FileError`] of the failed step. After the rename the block counts as deleted.
pub fn remove(disk: &dyn Disk, dir: &Path, ulid: BlockUlid) -> Result<(), FileError> {
    match rename_for_deletion(disk, dir, ulid)? {
        Some(retired) => {
            disk.remove_dir_all(&retired).map_err(FileError::for_step("remove", &retired))
        }
        None => Ok(()),
    }
}

/// Renames a block for its deletion, durably. Returns the new path, or `None` if the block does not
/// exist.
pub(super) fn rename_for_deletion(
    disk: &dyn Disk,
    dir: &Path,
    ulid: BlockUlid,
) -> Result<Option<PathBuf>, FileError> {
    let (path, retired) = (block_dir(dir, ulid), dir.join(format!("{ulid}{FOR_DELETION}")));
    match disk.remove_dir_all(&retired) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::for_step("remove", &retired)(error));
        }
        _ => {}
    }
    match disk.rename(&path, &retired) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        renamed => renamed.map_err(FileError::for_step("rename", &path))?,
    }
    sync_dir(disk, dir)?;
    Ok(Some(retired))
}

/// Moves a block to `block-ULID` below `quarantine`, or to `block-ULID-2` and so on if that exists.
/// Durable when it returns.
///
/// # Errors
/// [`FileError`] of the failed step. The block is complete in one of the two places.
pub fn quarantine(
    disk: &dyn Disk,
    dir: &Path,
    quarantine: &Path,
    ulid: BlockUlid,
) -> Result<PathBuf, FileError> {
    disk.create_dir_all(quarantine).map_err(FileError::for_step("create", quarantine))?;
    let path = block_dir(dir, ulid);
    let mut names = std::iter::once(format!("block-{ulid}"))
        .chain((2u64..).map(|nth| format!("block-{ulid}-{nth}")));
    let free = names.find_map(|name| {
        let target = quarantine.join(name);
        // Not `exists`, which returns `false` for a path that cannot be accessed.
        let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        fs::symlink_metadata(&target).is_err_and(is_missing).then_some(target)
    });
    let target = free.unwrap_or_else(|| quarantine.join(format!("block-{ulid}")));
    // `remove` renames the original in one step, so a crash leaves no part of a block.
    move_dir(disk, &path, &target, || remove(disk, dir, ulid))?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::{DirListing, quarantine, remove, remove_leftovers, rename_for_deletion, scan};
    use crate::tsdb::block::ulid::BlockUlid;
    use crate::tsdb::fs::os_disk::OsDisk;
    use std::fs;
    use std::path::{Path, PathBuf};

    const A: &str = "01M82CTXRBSZKSA9A0ZWVPK1T0";
    const B: &str = "01M82CTXRBSZKSA9A0ZWVPK1T1";

    fn make(dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        fs::create_dir_all(path.join("chunks")).unwrap();
        fs::write(path.join("chunks/000001"), name).unwrap();
        path
    }

    fn ulid(text: &str) -> BlockUlid {
        text.parse().unwrap()
    }

    #[test]
    fn scan_distinguishes_blocks_leftovers_and_other_entries() {
        let dir = tempfile::tempdir().unwrap();
        let leftovers = [
            make(dir.path(), &format!("{A}.tmp")),
            make(dir.path(), &format!("{A}.tmp-for-creation")),
            make(dir.path(), &format!("{B}.tmp-for-deletion")),
            make(dir.path(), "chunk_snapshot.000012.0000032768.tmp"),
        ];
        for name in
            [B, A, "wal", "quarantine", "mine.tmp", "snapshots", "chunk_snapshot.000012.0000032768"]
        {
            make(dir.path(), name);
        }
        let misnamed = vec![make(dir.path(), &A.to_lowercase())];
        fs::write(dir.path().join("01M82CTXRBSZKSA9A0ZWVPK1T2"), "a file").unwrap();
        fs::write(dir.path().join(format!("{A}.tmp-file.tmp")), "a file").unwrap();
        let found = scan(dir.path()).unwrap();
        assert_eq!(
            found,
            DirListing { blocks: vec![ulid(A), ulid(B)], leftovers: leftovers.to_vec(), misnamed }
        );
        remove_leftovers(&OsDisk, &found.leftovers).unwrap();
        let again = scan(dir.path()).unwrap();
        assert_eq!(again, DirListing { leftovers: Vec::new(), ..found });
        assert!(dir.path().join("mine.tmp").exists());
    }

    #[test]
    fn remove_succeeds_after_interrupted_removal() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), A);
        assert!(rename_for_deletion(&OsDisk, dir.path(), ulid(A)).unwrap().is_some());
        let found = scan(dir.path()).unwrap();
        assert_eq!((found.blocks.len(), found.leftovers.len()), (0, 1));
        make(dir.path(), A);
        remove(&OsDisk, dir.path(), ulid(A)).unwrap();
        remove(&OsDisk, dir.path(), ulid(A)).unwrap();
        assert_eq!(scan(dir.path()).unwrap(), DirListing::default());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn quarantined_blocks_are_complete_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let quarantine_dir = dir.path().join("quarantine");
        let names: Vec<String> = (0..3)
            .map(|_| {
                make(dir.path(), A);
                let target = quarantine(&OsDisk, dir.path(), &quarantine_dir, ulid(A)).unwrap();
                assert_eq!(fs::read_to_string(target.join("chunks/000001")).unwrap(), A);
                target.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(names, [format!("block-{A}"), format!("block-{A}-2"), format!("block-{A}-3")]);
        assert_eq!(scan(&quarantine_dir).unwrap(), DirListing::default());
        assert!(quarantine(&OsDisk, dir.path(), &quarantine_dir, ulid(A)).is_err());
    }
}
