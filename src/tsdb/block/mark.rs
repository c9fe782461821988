//! The mark in a block's `meta.json` that nothing is left of the block.
//!
//! Written under the lock of deletions, so that neither undoes the other.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::Compaction;
use crate::tsdb::block::open::{Block, BlockState};
use std::sync::Arc;

impl Block {
    /// Notes durably that nothing is left of it, so that also a start after a crash removes it.
    ///
    /// # Errors
    /// [`BlockError::Io`] where the file can't be replaced.
    pub fn mark_deletable(&self) -> Result<(), BlockError> {
        self.update_compaction_meta(|compaction| compaction.deletable = true)
    }

    fn update_compaction_meta(
        &self,
        change: impl FnOnce(&mut Compaction),
    ) -> Result<(), BlockError> {
        let _changing = self.update_lock.lock();
        let mut next = BlockState::clone(&self.state());
        change(&mut Arc::make_mut(&mut next.meta).compaction);
        next.meta_bytes = next.meta.write(&self.dir)?;
        self.swap_state(next);
        Ok(())
    }
}
