//! Loading of blocks: at startup, and again in each maintenance run for blocks of other programs.
//!
//! 1. Remove leftovers. Only at startup: later they may be in use.
//! 2. Open every block directory.
//! 3. Remove superseded blocks, and blocks that a compaction found empty. A corrupted block is
//!    removed if it is a parent of a readable one. Otherwise it is quarantined at startup, and
//!    ignored by a reload, because another program may still be copying it.

use super::superseded::{parents, superseded};
use super::{BlockSet, dir, sort};
use crate::tsdb::block::error::{BlockDefect, BlockError};
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::durable::FileError;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Result of loading a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of open blocks.
    pub served: usize,
    /// Blocks that were removed, because they are superseded or empty.
    pub removed: Vec<BlockUlid>,
    /// Corrupted blocks, not opened.
    pub corrupt: Vec<BlockUlid>,
    /// Directories named by a ULID with lower-case letters, not opened. Each is reported and logged
    /// once.
    pub misnamed: Vec<PathBuf>,
}

/// Error of loading blocks. The set is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum LoadBlocksError {
    /// A step on the directory failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A block cannot be opened, for a reason other than corruption.
    #[error("cannot open block {ulid}: {source}")]
    Open {
        /// ULID of the block.
        ulid: BlockUlid,
        /// Error of opening the block.
        source: Box<BlockError>,
    },
}

/// Treatment of corrupted blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CorruptBlockPolicy {
    Quarantine,
    Ignore,
}

impl BlockSet {
    /// Loads the directory at startup.
    ///
    /// # Errors
    /// [`LoadBlocksError`] if a step on the directory failed or a block cannot be opened.
    pub fn load(&self) -> Result<LoadReport, LoadBlocksError> {
        let _changing = self.changing.lock();
        let found = dir::scan(&self.dir)?;
        dir::remove_leftovers(&*self.disk, &found.leftovers)?;
        dir::remove_unfinished_files(&*self.disk, &self.dir, &found.blocks);
        self.refresh(CorruptBlockPolicy::Quarantine)
    }

    /// Opens blocks that other programs have added, and drops those that they have removed.
    ///
    /// # Errors
    /// [`LoadBlocksError`] as for [`Self::load`]. If opening failed, the set is unchanged.
    pub fn reload(&self) -> Result<LoadReport, LoadBlocksError> {
        let _changing = self.changing.lock();
        self.refresh(CorruptBlockPolicy::Ignore)
    }

    fn refresh(&self, policy: CorruptBlockPolicy) -> Result<LoadReport, LoadBlocksError> {
        let OpenedBlocks { mut blocks, corrupt, misnamed } = self.open_all()?;
        let metas: Vec<_> = blocks.iter().map(|block| block.meta()).collect();
        let metas: Vec<_> = metas.iter().map(|meta| &**meta).collect();
        let mut obsolete = superseded(&metas);
        let empty = metas.iter().filter(|meta| meta.compaction.deletable);
        obsolete.extend(empty.map(|meta| meta.ulid));
        let replaced = parents(&metas);
        blocks.retain(|block| !obsolete.contains(&block.meta().ulid));
        sort(&mut blocks);
        let mut report = LoadReport { served: blocks.len(), ..LoadReport::default() };
        *self.list.write() = Arc::new(blocks);
        for (ulid, corruption) in corrupt {
            if replaced.contains(&ulid) {
                obsolete.insert(ulid);
                continue;
            }
            match policy {
                CorruptBlockPolicy::Quarantine => drop(self.move_to_quarantine(ulid, &corruption)?),
                CorruptBlockPolicy::Ignore => {
                    let Corruption { path, offset, cause } = corruption;
                    let file = path.display();
                    tracing::error!(block = %ulid, %file, offset, %cause, "ignored corrupted block")
                }
            }
            report.corrupt.push(ulid);
        }
        let removed = self.remove_all(obsolete);
        self.has_parents.store(removed.is_err(), Ordering::Relaxed);
        report.removed = removed?;
        report.misnamed = self.warn_of_misnamed(misnamed);
        Ok(report)
    }

    fn remove_all(&self, blocks: BTreeSet<BlockUlid>) -> Result<Vec<BlockUlid>, FileError> {
        for block in &blocks {
            dir::remove(&*self.disk, &self.dir, *block)?;
            tracing::info!(%block, "removed superseded or empty block");
        }
        Ok(blocks.into_iter().collect())
    }

    /// Logs new directories of `misnamed` and returns them.
    fn warn_of_misnamed(&self, mut misnamed: Vec<PathBuf>) -> Vec<PathBuf> {
        let mut warned = self.warned.lock();
        misnamed.retain(|path| warned.insert(path.clone()));
        for path in &misnamed {
            // Renaming the directory to upper case makes it a block.
            let path = path.display();
            tracing::warn!(%path, "ignored block directory with lower-case name");
        }
        misnamed
    }

    /// Opens the blocks of the directory that are not open yet.
    fn open_all(&self) -> Result<OpenedBlocks, LoadBlocksError> {
        let old = self.list();
        let found = dir::scan(&self.dir)?;
        let mut opened = OpenedBlocks { misnamed: found.misnamed, ..OpenedBlocks::default() };
        for ulid in found.blocks {
            if let Some(block) = old.iter().find(|block| block.meta().ulid == ulid) {
                opened.blocks.push(Arc::clone(block));
                continue;
            }
            match Block::open(&dir::block_dir(&self.dir, ulid)) {
                Ok(block) => opened.blocks.push(Arc::new(block)),
                Err(BlockError::Corrupted(corruption)) => opened.corrupt.push((ulid, corruption)),
                Err(source) => {
                    return Err(LoadBlocksError::Open { ulid, source: Box::new(source) });
                }
            }
        }
        Ok(opened)
    }
}

#[derive(Default)]
struct OpenedBlocks {
    blocks: Vec<Arc<Block>>,
    corrupt: Vec<(BlockUlid, Corruption<BlockDefect>)>,
    misnamed: Vec<PathBuf>,
}
