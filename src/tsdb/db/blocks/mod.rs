//! Open blocks of a data directory, and changes of this set.
//!
//! | module | contents |
//! |--------|----------|
//! | [`dir`] | block directories: listing, deletion, quarantine |
//! | [`superseded`] | blocks that another block was compacted from, pure |
//! | [`load`] | loading and reloading of a directory |
//!
//! Readers take [`BlockSet::list`] and keep the blocks that they need. A removed block stays
//! readable for them: its files are unlinked but still mapped.
//!
//! # Locking
//! A change of the set holds `changing` from its first to its last step on disk. The lock of the
//! list is held only while the list is replaced, never during disk access.
//!
//! # Ordering
//! At any instant, the directory loads to the same samples as the list, before or after the current
//! change. A new block is in the directory before it is in the list, and its parents leave the list
//! before they leave the directory.

pub mod dir;
pub mod load;
pub mod superseded;

use crate::model::time::TimeRange;
use crate::tsdb::block::error::BlockDefect;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::BlockSummary;
use crate::tsdb::compact::retention::RetentionCandidate;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::fs::fail_point;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Blocks, sorted by `min_time`.
pub type BlockList = Arc<Vec<Arc<Block>>>;

/// Iterates over the blocks of a list that may have samples in `range`.
pub fn overlapping(list: &BlockList, range: TimeRange) -> impl Iterator<Item = &Arc<Block>> {
    list.iter().filter(move |block| {
        let meta = block.meta();
        range.mint <= range.maxt && meta.min_time <= range.maxt && range.mint < meta.max_time
    })
}

/// Set of the open blocks of one data directory.
#[derive(Debug)]
pub struct BlockSet {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    quarantine: PathBuf,
    list: RwLock<BlockList>,
    changing: Mutex<()>,
    quarantined: AtomicU64,
    /// Whether superseded blocks are still in the directory.
    has_parents: AtomicBool,
    /// Directories with invalid names that were logged already.
    warned: Mutex<BTreeSet<PathBuf>>,
}

impl BlockSet {
    /// Creates an empty set. [`Self::load`] fills it.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, quarantine: &Path) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            quarantine: quarantine.to_owned(),
            list: RwLock::default(),
            changing: Mutex::new(()),
            quarantined: AtomicU64::new(0),
            has_parents: AtomicBool::new(false),
            warned: Mutex::default(),
        }
    }

    /// Current blocks. They stay readable for the caller after their removal.
    #[must_use]
    pub fn list(&self) -> BlockList {
        Arc::clone(&self.list.read())
    }

    /// Returns the current blocks that may have samples in `range`.
    #[must_use]
    pub fn overlapping(&self, range: TimeRange) -> Vec<Arc<Block>> {
        overlapping(&self.list(), range).cloned().collect()
    }

    /// Returns the blocks with these ULIDs, in their order. Missing ones are skipped.
    #[must_use]
    pub fn get_all(&self, ulids: &[BlockUlid]) -> Vec<Arc<Block>> {
        let list = self.list();
        ulids
            .iter()
            .filter_map(|ulid| list.iter().find(|block| block.meta().ulid == *ulid).cloned())
            .collect()
    }

    /// Summaries of the blocks for compaction planning.
    #[must_use]
    pub fn summaries(&self) -> Vec<BlockSummary> {
        self.list().iter().map(|block| BlockSummary::from_meta(&block.meta())).collect()
    }

    /// Summaries of the blocks for retention.
    #[must_use]
    pub fn retention_candidates(&self) -> Vec<RetentionCandidate> {
        let candidate = |block: &Arc<Block>| {
            let meta = block.meta();
            let is_whole_head = BlockSummary::from_meta(&meta).covers_head();
            RetentionCandidate {
                ulid: meta.ulid,
                maxt: meta.max_time,
                bytes: block.size_bytes(),
                is_whole_head,
            }
        };
        self.list().iter().map(candidate).collect()
    }

    /// Size of all blocks on disk, bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.list().iter().map(|block| block.size_bytes()).fold(0, u64::saturating_add)
    }

    /// End of the range that blocks contain completely, ms, exclusive; `None` if there is none.
    /// Blocks of out-of-order samples or of selected series do not count.
    #[must_use]
    pub fn in_order_max_time(&self) -> Option<i64> {
        self.newest_in_order().map(|block| block.meta().max_time)
    }

    /// Returns the block that determines [`Self::in_order_max_time`].
    #[must_use]
    pub fn newest_in_order(&self) -> Option<Arc<Block>> {
        let list = self.list();
        let complete =
            list.iter().filter(|block| BlockSummary::from_meta(&block.meta()).covers_head());
        complete.max_by_key(|block| block.meta().max_time).cloned()
    }

    /// Returns `true` if [`Self::in_order_max_time`] would decrease without these blocks.
    ///
    /// Then the next startup would replay their samples from the WAL, including deleted ones. So an
    /// empty block stays until a later one exists.
    #[must_use]
    pub fn determine_head_min_time(&self, blocks: &[BlockUlid]) -> bool {
        let others = self
            .summaries()
            .into_iter()
            .filter(|block| block.covers_head() && !blocks.contains(&block.ulid));
        others.map(|block| block.maxt).max() < self.in_order_max_time()
    }

    /// Number of blocks that were quarantined since the process started.
    #[must_use]
    pub fn quarantined_total(&self) -> u64 {
        self.quarantined.load(Ordering::Relaxed)
    }

    /// Adds a block that is in the directory. It replaces an open block with the same ULID.
    pub fn add(&self, block: Arc<Block>) {
        let _changing = self.changing.lock();
        self.swap_list(&[block.meta().ulid], Some(block));
    }

    /// Replaces `parents` by `child` in the list, in one step, and removes the parents from the
    /// disk.
    ///
    /// # Errors
    /// [`FileError`] if a parent cannot be removed. It is not in the list any more, and the next
    /// startup removes it.
    pub fn replace(
        &self,
        parents: &[BlockUlid],
        child: Option<Arc<Block>>,
    ) -> Result<(), FileError> {
        let _changing = self.changing.lock();
        self.swap_list(parents, child);
        fail_point::hit("compact.before_delete");
        let remove = |parent: &BlockUlid| dir::remove(&*self.disk, &self.dir, *parent);
        let removed = parents.iter().try_for_each(remove);
        self.has_parents.fetch_or(removed.is_err(), Ordering::Relaxed);
        removed
    }

    /// Returns `true` if superseded blocks could not be removed. Only their child marks them as
    /// superseded, so until they are gone, it must be neither compacted nor removed.
    #[must_use]
    pub fn has_parents(&self) -> bool {
        self.has_parents.load(Ordering::Relaxed)
    }

    /// Removes expired blocks from the list and from the disk. Missing ones are ignored.
    ///
    /// # Errors
    /// [`FileError`] if one cannot be removed. It is not in the list any more, until the next
    /// startup.
    pub fn remove(&self, blocks: &[BlockUlid]) -> Result<(), FileError> {
        let _changing = self.changing.lock();
        self.swap_list(blocks, None);
        for block in blocks {
            fail_point::hit("retention.delete");
            dir::remove(&*self.disk, &self.dir, *block)?;
        }
        Ok(())
    }

    /// Removes a corrupted block from the list, moves it to the quarantine and returns its new
    /// path.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be moved. It is not in the list any more.
    pub fn quarantine(
        &self,
        ulid: BlockUlid,
        corruption: &Corruption<BlockDefect>,
    ) -> Result<PathBuf, FileError> {
        let _changing = self.changing.lock();
        self.swap_list(&[ulid], None);
        self.move_to_quarantine(ulid, corruption)
    }

    fn move_to_quarantine(
        &self,
        ulid: BlockUlid,
        corruption: &Corruption<BlockDefect>,
    ) -> Result<PathBuf, FileError> {
        let path = dir::quarantine(&*self.disk, &self.dir, &self.quarantine, ulid)?;
        self.quarantined.fetch_add(1, Ordering::Relaxed);
        let (file, moved_to) = (corruption.path.display(), path.display());
        tracing::error!(
            block = %ulid,
            %file,
            offset = corruption.offset,
            cause = %corruption.cause,
            path = %moved_to,
            "quarantined corrupted block"
        );
        Ok(path)
    }

    /// Replaces the list by one without the blocks `removed` and with `new`. Requires `changing`.
    fn swap_list(&self, removed: &[BlockUlid], new: Option<Arc<Block>>) {
        let old = self.list();
        let new_ulid = new.as_ref().map(|block| block.meta().ulid);
        let is_kept = |block: &&Arc<Block>| {
            let ulid = block.meta().ulid;
            !removed.contains(&ulid) && Some(ulid) != new_ulid
        };
        let mut blocks: Vec<_> = old.iter().filter(is_kept).cloned().chain(new).collect();
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
