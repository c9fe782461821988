//! The folders of blocks in a data directory: what lies there, and the steps by which one goes.
//!
//! ```text
//! 01M82CTXRBSZKSA9A0ZWVPK1T0/                    a block
//! 01M82CTXRBSZKSA9A0ZWVPK1T0.tmp-for-creation/   one that was not finished: nothing of it counts
//! 01M82CTXRBSZKSA9A0ZWVPK1T0.tmp-for-deletion/   one that is gone: nothing of it counts
//! chunk_snapshot.000012.0000032768.tmp/          a snapshot of the head that was not finished
//! quarantine/block-01M82CTXRBSZKSA9A0ZWVPK1T0/   a block that could not be read
//! ```
//!
//! The names are those of `tsdb/db.go` of Prometheus, whose next start cleans up as ours does. A block goes in one step, its rename;
//! what a crash leaves behind that is removed at the next start. No locks: one thread at a time changes the blocks of a directory.

use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::{FileError, sync_dir};
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::fs::quarantine::move_dir;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How the names of what does not count end. The last one is that of older versions.
const LEFTOVER_SUFFIXES: [&str; 3] = [FOR_DELETION, ".tmp-for-creation", ".tmp"];
const FOR_DELETION: &str = ".tmp-for-deletion";
/// How the name of a snapshot of the head begins.
const CHUNK_SNAPSHOT: &str = "chunk_snapshot.";

/// What lies in a data directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DirListing {
    /// Its blocks, by their names.
    pub blocks: Vec<BlockUlid>,
    /// What was not finished, by their paths.
    pub leftovers: Vec<PathBuf>,
    /// Directories whose names are ULIDs with lower-case letters, by their paths. Prometheus 3 serves such a block, but names
    /// it by the ULID in its `meta.json`: it can neither delete nor replace the directory.
    pub misnamed: Vec<PathBuf>,
}

/// Looks into a directory.
///
/// # Errors
/// [`FileError`] where it can't be listed.
pub fn scan(dir: &Path) -> Result<DirListing, FileError> {
    let mut found = DirListing::default();
    for entry in fs::read_dir(dir).map_err(FileError::for_step("list", dir))? {
        let entry = entry.map_err(FileError::for_step("list", dir))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // A link to a folder is no block: Prometheus does not follow it either.
        if !entry.file_type().map_err(FileError::for_step("look at", &entry.path()))?.is_dir() {
            continue;
        }
        if let Ok(ulid) = name.parse() {
            found.blocks.push(ulid);
        } else if is_leftover(name) {
            found.leftovers.push(entry.path());
        } else if name.to_ascii_uppercase().parse::<BlockUlid>().is_ok() {
            found.misnamed.push(entry.path());
        }
    }
    found.blocks.sort_unstable();
    found.leftovers.sort_unstable();
    found.misnamed.sort_unstable();
    Ok(found)
}

fn is_leftover(name: &str) -> bool {
    LEFTOVER_SUFFIXES.iter().any(|suffix| {
        let stem = name.strip_suffix(suffix);
        stem.is_some_and(|stem| {
            stem.starts_with(CHUNK_SNAPSHOT) || stem.parse::<BlockUlid>().is_ok()
        })
    })
}

/// Removes what [`scan`] found unfinished.
///
/// # Errors
/// [`FileError`] of the first that can't be removed.
pub fn remove_leftovers(leftovers: &[PathBuf]) -> Result<(), FileError> {
    leftovers
        .iter()
        .try_for_each(|path| fs::remove_dir_all(path).map_err(FileError::for_step("remove", path)))
}

/// Where a block lies.
#[must_use]
pub fn block_dir(dir: &Path, ulid: BlockUlid) -> PathBuf {
    dir.join(ulid.to_string())
}

/// Removes a block from the disk: renamed first, durably, so that no crash leaves a part of it under its name. One that is not there
/// any more is no error.
///
/// # Errors
/// [`FileError`] of the step that failed. Behind the rename the block is gone all the same.
pub fn remove(dir: &Path, ulid: BlockUlid) -> Result<(), FileError> {
    match rename_for_deletion(dir, ulid)? {
        Some(retired) => {
            fs::remove_dir_all(&retired).map_err(FileError::for_step("remove", &retired))
        }
        None => Ok(()),
    }
}

/// The first half of a removal: the block loses its name. Returns the new one; `None` where the block was not there.
pub(super) fn rename_for_deletion(
    dir: &Path,
    ulid: BlockUlid,
) -> Result<Option<PathBuf>, FileError> {
    let (path, retired) = (block_dir(dir, ulid), dir.join(format!("{ulid}{FOR_DELETION}")));
    match fs::remove_dir_all(&retired) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::for_step("remove", &retired)(error));
        }
        _ => {}
    }
    match fs::rename(&path, &retired) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        renamed => renamed.map_err(FileError::for_step("rename", &path))?,
    }
    sync_dir(dir)?;
    Ok(Some(retired))
}

/// Moves a block out of the way, whole: to `block-ULID` below `quarantine`, or to `block-ULID-2` and on where that is taken. Durable
/// when it returns.
///
/// # Errors
/// [`FileError`] of the step that failed; the block is in one of the two places.
pub fn quarantine(dir: &Path, quarantine: &Path, ulid: BlockUlid) -> Result<PathBuf, FileError> {
    set_aside_on(&OsDisk, dir, quarantine, ulid)
}

fn set_aside_on(
    disk: &dyn Disk,
    dir: &Path,
    quarantine: &Path,
    ulid: BlockUlid,
) -> Result<PathBuf, FileError> {
    fs::create_dir_all(quarantine).map_err(FileError::for_step("create", quarantine))?;
    if let Some(parent) = quarantine.parent() {
        sync_dir(parent)?;
    }
    let path = block_dir(dir, ulid);
    let mut names = std::iter::once(format!("block-{ulid}"))
        .chain((2u64..).map(|nth| format!("block-{ulid}-{nth}")));
    let free = names.find_map(|name| {
        let target = quarantine.join(name);
        // Not `exists`, which takes what it can't look at for absent.
        matches!(fs::symlink_metadata(&target), Err(error) if error.kind() == io::ErrorKind::NotFound).then_some(target)
    });
    let target = free.unwrap_or_else(|| quarantine.join(format!("block-{ulid}")));
    // The original of a copy loses its name in one step: a crash leaves no part of a block.
    move_dir(disk, &path, &target, || remove(dir, ulid))?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::{DirListing, quarantine, remove, remove_leftovers, rename_for_deletion, scan};
    use crate::tsdb::block::ulid::BlockUlid;
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
    fn blocks_and_leftovers_are_told_from_what_is_none_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let left = [
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
            DirListing { blocks: vec![ulid(A), ulid(B)], leftovers: left.to_vec(), misnamed }
        );
        remove_leftovers(&found.leftovers).unwrap();
        let again = scan(dir.path()).unwrap();
        assert_eq!(again, DirListing { leftovers: Vec::new(), ..found });
        assert!(dir.path().join("mine.tmp").exists());
    }

    #[test]
    fn a_removed_block_is_gone_also_where_an_earlier_removal_was_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), A);
        assert!(rename_for_deletion(dir.path(), ulid(A)).unwrap().is_some());
        let found = scan(dir.path()).unwrap();
        assert_eq!((found.blocks.len(), found.leftovers.len()), (0, 1));
        make(dir.path(), A);
        remove(dir.path(), ulid(A)).unwrap();
        remove(dir.path(), ulid(A)).unwrap();
        assert_eq!(scan(dir.path()).unwrap(), DirListing::default());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn blocks_that_are_set_aside_are_whole_and_never_put_over_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let quarantine_dir = dir.path().join("quarantine");
        let names: Vec<String> = (0..3)
            .map(|_| {
                make(dir.path(), A);
                let target = quarantine(dir.path(), &quarantine_dir, ulid(A)).unwrap();
                assert_eq!(fs::read_to_string(target.join("chunks/000001")).unwrap(), A);
                target.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(names, [format!("block-{A}"), format!("block-{A}-2"), format!("block-{A}-3")]);
        assert_eq!(scan(&quarantine_dir).unwrap(), DirListing::default());
        assert!(quarantine(dir.path(), &quarantine_dir, ulid(A)).is_err());
    }
}
