//! A snapshot of a block: a second folder with links to the same files.
//!
//! That is safe because no file of a block is ever changed in place: what changes is replaced, and the snapshot keeps the old one.

use crate::tsdb::block::chunk_segments;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::writer::INDEX;
use crate::tsdb::fs::durable::{FileError, sync_dir};
use crate::tsdb::tombstones::file as tombstones_file;
use std::fs;
use std::path::{Path, PathBuf};

impl Block {
    /// Makes the folder of the block anew below `parent`, on the same file system, durably. Returns its path. What a failure
    /// left behind is the caller's to remove.
    ///
    /// # Errors
    /// [`BlockError::Io`] where a folder or link can't be made, [`BlockError::Corrupted`] where a file of the block is missing.
    pub fn hard_link_to(&self, parent: &Path) -> Result<PathBuf, BlockError> {
        let _unchanged = self.update_lock.lock();
        let target = parent.join(self.meta().ulid.to_string());
        let chunks = target.join(chunk_segments::NAME);
        for folder in [&target, &chunks] {
            fs::create_dir(folder).map_err(FileError::for_step("create", folder))?;
        }
        for name in [meta::NAME, INDEX, tombstones_file::NAME] {
            // A block of another program may have no tombstones; whoever lacks another file could not be opened.
            if name != tombstones_file::NAME || self.dir.join(name).exists() {
                link(&self.dir.join(name), &target.join(name))?;
            }
        }
        let own_chunks = self.dir.join(chunk_segments::NAME);
        for entry in fs::read_dir(&own_chunks).map_err(FileError::for_step("list", &own_chunks))? {
            let entry = entry.map_err(FileError::for_step("list", &own_chunks))?;
            link(&entry.path(), &chunks.join(entry.file_name()))?;
        }
        for folder in [&chunks, &target, parent] {
            sync_dir(folder)?;
        }
        Ok(target)
    }
}

fn link(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::hard_link(from, to).map_err(FileError::for_step("link", from))
}
