//! Block snapshot: a second directory with hard links to the same files.
//!
//! This is safe because no file of a block is changed in place: a change replaces the file, and the
//! snapshot keeps the old one.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::writer::INDEX;
use crate::tsdb::chunk::chunk_segments;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::{FileError, sync_dir};
use crate::tsdb::tombstones::file as tombstones_file;
use std::fs;
use std::path::{Path, PathBuf};

/// Links `block` durably into a new directory below `parent`, on the same file system. Returns
/// its path. After a failure the caller must remove the directory.
///
/// # Errors
/// [`BlockError::Io`] if a directory or link cannot be created, [`BlockError::Corrupted`] if a
/// file of the block is missing.
pub fn hard_link_to(block: &Block, disk: &dyn Disk, parent: &Path) -> Result<PathBuf, BlockError> {
    let _guard = block.update_lock.lock();
    let target = parent.join(block.meta().ulid.to_string());
    let chunks = target.join(chunk_segments::NAME);
    for dir in [&target, &chunks] {
        disk.create_dir(dir).map_err(FileError::for_step("create", dir))?;
    }
    for name in [meta::NAME, INDEX, tombstones_file::NAME] {
        // A block of another program may have no tombstones. All other files are required by
        // `open`.
        if name != tombstones_file::NAME || block.dir.join(name).exists() {
            link(disk, &block.dir.join(name), &target.join(name))?;
        }
    }
    let own_chunks = block.dir.join(chunk_segments::NAME);
    for entry in fs::read_dir(&own_chunks).map_err(FileError::for_step("list", &own_chunks))? {
        let entry = entry.map_err(FileError::for_step("list", &own_chunks))?;
        link(disk, &entry.path(), &chunks.join(entry.file_name()))?;
    }
    for dir in [&chunks, &target, parent] {
        sync_dir(disk, dir)?;
    }
    Ok(target)
}

fn link(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), FileError> {
    disk.hard_link(from, to).map_err(FileError::for_step("link", from))
}
