//! From a directory to the blocks that are served: at the start, and again when somebody may have put blocks into it.
//!
//! Leftovers of what was not finished go first (only at the start: later they may be somebody's work under way). Then every folder with
//! a block's name is opened. Blocks that others were made of, and those that a compaction found empty, are removed. One that is damaged
//! is removed where a readable block was made of it, else at the start set aside, later left where it is: it may be a copy under way.

use super::superseded::{parents, superseded};
use super::{BlockSet, dir, sort};
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::fs::durable::FileError;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a look at the directory changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Blocks that are served.
    pub served: usize,
    /// Blocks that were removed, because another was made of them or nothing is in them.
    pub removed: Vec<BlockUlid>,
    /// Blocks that are damaged and not served.
    pub corrupt: Vec<BlockUlid>,
    /// Directories with the lower-case name of a block, not served. Each is reported and logged once.
    pub misnamed: Vec<PathBuf>,
}

/// Why the blocks of a directory can't be told. Nothing is served that was not before.
#[derive(Debug, thiserror::Error)]
pub enum LoadBlocksError {
    /// A step on the directory failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A block can't be opened, and that is not for damage.
    #[error("block {ulid}: {source}")]
    Open {
        /// Its name.
        ulid: BlockUlid,
        /// Why it failed.
        source: Box<BlockError>,
    },
}

/// What becomes of damaged blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CorruptBlockPolicy {
    SetAside,
    Left,
}

impl BlockSet {
    /// Opens the blocks of the directory, at the start.
    ///
    /// # Errors
    /// [`LoadBlocksError`].
    pub fn load(&self) -> Result<LoadReport, LoadBlocksError> {
        let _changing = self.changing.lock();
        dir::remove_leftovers(&dir::scan(&self.dir)?.leftovers)?;
        self.refresh(CorruptBlockPolicy::SetAside)
    }

    /// Looks for blocks that were put into the directory, or taken out of it, by somebody else.
    ///
    /// # Errors
    /// [`LoadBlocksError`]; the blocks that were served still are.
    pub fn reload(&self) -> Result<LoadReport, LoadBlocksError> {
        let _changing = self.changing.lock();
        self.refresh(CorruptBlockPolicy::Left)
    }

    fn refresh(&self, damaged: CorruptBlockPolicy) -> Result<LoadReport, LoadBlocksError> {
        let OpenedBlocks { mut blocks, corrupt: broken, misnamed } = self.open_all()?;
        let metas: Vec<_> = blocks.iter().map(|block| block.meta()).collect();
        let metas: Vec<_> = metas.iter().map(|meta| &**meta).collect();
        let mut going = superseded(&metas);
        going.extend(metas.iter().filter(|meta| meta.compaction.deletable).map(|meta| meta.ulid));
        let replaced = parents(&metas);
        blocks.retain(|block| !going.contains(&block.meta().ulid));
        sort(&mut blocks);
        let mut report = LoadReport { served: blocks.len(), ..LoadReport::default() };
        *self.list.write() = Arc::new(blocks);
        for (ulid, cause) in broken {
            if replaced.contains(&ulid) {
                going.insert(ulid);
                continue;
            }
            match damaged {
                CorruptBlockPolicy::SetAside => drop(self.move_to_quarantine(ulid, &cause)?),
                CorruptBlockPolicy::Left => {
                    tracing::error!(block = %ulid, cause, "a block in the directory can't be read")
                }
            }
            report.corrupt.push(ulid);
        }
        let removed = self.remove_all(going);
        self.has_parents.store(removed.is_err(), Ordering::Relaxed);
        report.removed = removed?;
        report.misnamed = self.warn_of_misnamed(misnamed);
        Ok(report)
    }

    fn remove_all(&self, blocks: BTreeSet<BlockUlid>) -> Result<Vec<BlockUlid>, FileError> {
        for block in &blocks {
            dir::remove(&self.dir, *block)?;
            tracing::info!(%block, "removed a block that another one replaces");
        }
        Ok(blocks.into_iter().collect())
    }

    /// Logs directories that were not seen before, and returns them.
    fn warn_of_misnamed(&self, mut misnamed: Vec<PathBuf>) -> Vec<PathBuf> {
        let mut warned = self.warned.lock();
        misnamed.retain(|path| warned.insert(path.clone()));
        for path in &misnamed {
            tracing::warn!(
                path = %path.display(),
                "ignored a block whose directory name has lower-case letters: rename it to upper case to serve it"
            );
        }
        misnamed
    }

    /// Opens what is in the directory and not open yet.
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
                Err(source) if source.is_corruption() => {
                    opened.corrupt.push((ulid, source.to_string()))
                }
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
    /// With what is wrong with each.
    corrupt: Vec<(BlockUlid, String)>,
    misnamed: Vec<PathBuf>,
}
