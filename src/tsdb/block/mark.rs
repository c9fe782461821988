//! Mark in `meta.json` that a block has no samples left.
//!
//! It is written under the update lock, so that a deletion and a mark do not undo each other.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::Compaction;
use crate::tsdb::block::open::{Block, BlockState};
use crate::tsdb::fs::disk::Disk;
use std::sync::Arc;

impl Block {
    /// Marks the block as deletable, durably, so that a start after a crash removes it too.
    ///
    /// # Errors
    /// [`BlockError::Io`] if `meta.json` cannot be replaced.
    pub fn mark_deletable(&self, disk: &dyn Disk) -> Result<(), BlockError> {
        self.update_compaction_meta(disk, |compaction| compaction.deletable = true)
    }

    fn update_compaction_meta(
        &self,
        disk: &dyn Disk,
        change: impl FnOnce(&mut Compaction),
    ) -> Result<(), BlockError> {
        let _guard = self.update_lock.lock();
        let mut next = BlockState::clone(&self.state());
        change(&mut Arc::make_mut(&mut next.meta).compaction);
        next.meta_bytes = next.meta.write(disk, &self.dir)?;
        self.swap_state(next);
        Ok(())
    }
}
