//! The blocks of a data directory that are open, and how blocks come and go.
//!
//! | file            | what                                                          |
//! |-----------------|---------------------------------------------------------------|
//! | [`dir`]      | their folders: what lies there, and the steps by which one goes |
//! | [`superseded`]  | which of them others were made of, pure                       |
//! | [`load`]        | from a directory to the blocks that are served                |
//!
//! Readers take [`BlockSet::list`] and keep the blocks that they need: a block that is removed meanwhile stays readable for them, its
//! files are unlinked but mapped. Whoever changes the set holds `changing` from the first step on the disk to the last; the lock of the
//! list itself is held for the moment in which the list is exchanged, never over a step on the disk.
//!
//! Invariant: at every moment the directory loads to the data that the list shows, or showed before the change under way. A new block is
//! in the directory before it is in the list, and its parents leave the list before they leave the directory.

pub mod dir;
pub mod load;
pub mod superseded;

use crate::model::time::TimeRange;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::BlockSummary;
use crate::tsdb::compact::retention::RetentionCandidate;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::fs::fail_point;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Blocks, by their `min_time`.
pub type BlockList = Arc<Vec<Arc<Block>>>;

/// The open blocks of one data directory.
#[derive(Debug)]
pub struct BlockSet {
    dir: PathBuf,
    quarantine: PathBuf,
    list: RwLock<BlockList>,
    changing: Mutex<()>,
    set_aside: AtomicU64,
    /// Whether blocks that others replace are still in the directory.
    has_parents: AtomicBool,
    /// Directories that were ignored for their names and logged.
    warned: Mutex<BTreeSet<PathBuf>>,
}

impl BlockSet {
    /// A set without blocks; [`Self::load`] fills it.
    #[must_use]
    pub fn new(dir: &Path, quarantine: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            quarantine: quarantine.to_owned(),
            list: RwLock::default(),
            changing: Mutex::new(()),
            set_aside: AtomicU64::new(0),
            has_parents: AtomicBool::new(false),
            warned: Mutex::default(),
        }
    }

    /// The blocks of this moment. Whoever holds them may read them, also after they were removed.
    #[must_use]
    pub fn list(&self) -> BlockList {
        Arc::clone(&self.list.read())
    }

    /// The blocks that may have samples in `range`, of this moment.
    #[must_use]
    pub fn overlapping(&self, range: TimeRange) -> Vec<Arc<Block>> {
        let list = self.list();
        let blocks = list.iter().filter(|block| {
            let meta = block.meta();
            range.mint <= range.maxt && meta.min_time <= range.maxt && range.mint < meta.max_time
        });
        blocks.cloned().collect()
    }

    /// The blocks of these names, in their order; those that are not there are left out.
    #[must_use]
    pub fn get_all(&self, names: &[BlockUlid]) -> Vec<Arc<Block>> {
        let list = self.list();
        names
            .iter()
            .filter_map(|name| list.iter().find(|block| block.meta().ulid == *name).cloned())
            .collect()
    }

    /// What planning knows of the blocks.
    #[must_use]
    pub fn summaries(&self) -> Vec<BlockSummary> {
        self.list().iter().map(|block| BlockSummary::from_meta(&block.meta())).collect()
    }

    /// What retention knows of the blocks.
    #[must_use]
    pub fn retention_candidates(&self) -> Vec<RetentionCandidate> {
        let stored = |block: &Arc<Block>| {
            let meta = block.meta();
            let is_whole_head = BlockSummary::from_meta(&meta).covers_head();
            RetentionCandidate {
                ulid: meta.ulid,
                maxt: meta.max_time,
                bytes: block.size_bytes(),
                is_whole_head,
            }
        };
        self.list().iter().map(stored).collect()
    }

    /// What all blocks take of the disk, bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.list().iter().map(|block| block.size_bytes()).fold(0, u64::saturating_add)
    }

    /// Time up to which the blocks hold all that the head took in order, ms, not included; `None` without such a block. Blocks of late
    /// samples and of a part of the series do not count.
    #[must_use]
    pub fn in_order_max_time(&self) -> Option<i64> {
        self.newest_in_order().map(|block| block.meta().max_time)
    }

    /// The block that decides [`Self::in_order_max_time`].
    #[must_use]
    pub fn newest_in_order(&self) -> Option<Arc<Block>> {
        let list = self.list();
        let whole =
            list.iter().filter(|block| BlockSummary::from_meta(&block.meta()).covers_head());
        whole.max_by_key(|block| block.meta().max_time).cloned()
    }

    /// Whether without these blocks [`Self::in_order_max_time`] would fall: a start would then take from the log what they have, and what was deleted
    /// of them. So a block of which nothing is left stays until another one ends behind it.
    #[must_use]
    pub fn determine_head_min_time(&self, blocks: &[BlockUlid]) -> bool {
        let others = self
            .summaries()
            .into_iter()
            .filter(|block| block.covers_head() && !blocks.contains(&block.ulid));
        others.map(|block| block.maxt).max() < self.in_order_max_time()
    }

    /// How many blocks were set aside since the process began.
    #[must_use]
    pub fn quarantined_total(&self) -> u64 {
        self.set_aside.load(Ordering::Relaxed)
    }

    /// Shows a block that was put into the directory. One of the same name is exchanged for it.
    pub fn add(&self, block: Arc<Block>) {
        let _changing = self.changing.lock();
        self.swap_list(&[block.meta().ulid], Some(block));
    }

    /// Shows `child`, if there is one, in the place of the blocks it was made of, and removes these from the disk. Nobody sees both.
    ///
    /// # Errors
    /// [`FileError`] where one can't be removed. It is no longer shown all the same, and the next start tries again.
    pub fn replace(
        &self,
        parents: &[BlockUlid],
        child: Option<Arc<Block>>,
    ) -> Result<(), FileError> {
        let _changing = self.changing.lock();
        self.swap_list(parents, child);
        fail_point::hit("compact.before_delete");
        let removed = parents.iter().try_for_each(|parent| dir::remove(&self.dir, *parent));
        self.has_parents.fetch_or(removed.is_err(), Ordering::Relaxed);
        removed
    }

    /// Whether blocks that others replace could not be removed. Only the block made of them says that they do not count: until they are gone it
    /// must not be merged or removed itself.
    #[must_use]
    pub fn has_parents(&self) -> bool {
        self.has_parents.load(Ordering::Relaxed)
    }

    /// Removes blocks that have expired, from the list and from the disk. Those that are not there are passed over.
    ///
    /// # Errors
    /// [`FileError`] where one can't be removed. It is no longer shown all the same, until the next start.
    pub fn remove(&self, blocks: &[BlockUlid]) -> Result<(), FileError> {
        let _changing = self.changing.lock();
        self.swap_list(blocks, None);
        for block in blocks {
            fail_point::hit("retention.delete");
            dir::remove(&self.dir, *block)?;
        }
        Ok(())
    }

    /// Moves a block that was found damaged to the quarantine and shows it no longer. Returns where it is.
    ///
    /// # Errors
    /// [`FileError`] where it can't be moved. It is no longer shown all the same.
    pub fn quarantine(&self, ulid: BlockUlid, cause: &str) -> Result<PathBuf, FileError> {
        let _changing = self.changing.lock();
        self.swap_list(&[ulid], None);
        self.move_to_quarantine(ulid, cause)
    }

    fn move_to_quarantine(&self, ulid: BlockUlid, cause: &str) -> Result<PathBuf, FileError> {
        let path = dir::quarantine(&self.dir, &self.quarantine, ulid)?;
        self.set_aside.fetch_add(1, Ordering::Relaxed);
        tracing::error!(block = %ulid, cause, path = %path.display(), "a damaged block is set aside; the others are served");
        Ok(path)
    }

    /// Exchanges the list for one without the blocks of these names and with `new`. To be called with `changing` held.
    fn swap_list(&self, gone: &[BlockUlid], new: Option<Arc<Block>>) {
        let old = self.list();
        let name_of_new = new.as_ref().map(|block| block.meta().ulid);
        let stays = |block: &&Arc<Block>| {
            let ulid = block.meta().ulid;
            !gone.contains(&ulid) && Some(ulid) != name_of_new
        };
        let mut blocks: Vec<_> = old.iter().filter(stays).cloned().chain(new).collect();
        sort(&mut blocks);
        *self.list.write() = Arc::new(blocks);
    }
}

fn sort(blocks: &mut [Arc<Block>]) {
    blocks.sort_by_key(|block| {
        let meta = block.meta();
        (meta.min_time, meta.ulid)
    });
}

#[cfg(test)]
mod tests;
