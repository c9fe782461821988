//! Mark in `meta.json` that a block has no samples left.
//!
//! It is written under the update lock, so that a deletion and a mark do not undo each other.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::Compaction;
use crate::tsdb::block::open::{Block, BlockState};
use crate::tsdb::fs::disk::Disk;
use std::sync::Arc;

/// Marks `block` as deletable, durably, so that a start after a crash removes it too.
///
/// # Errors
/// [`BlockError::Io`] if `meta.json` cannot be replaced.
pub fn mark_deletable(block: &Block, disk: &dyn Disk) -> Result<(), BlockError> {
    update_compaction_meta(block, disk, |compaction| compaction.deletable = true)
}

fn update_compaction_meta(
    block: &Block,
    disk: &dyn Disk,
    change: impl FnOnce(&mut Compaction),
) -> Result<(), BlockError> {
    let _guard = block.update_lock.lock();
    let mut next = BlockState::clone(&block.state());
    change(&mut Arc::make_mut(&mut next.meta).compaction);
    next.meta_bytes = next.meta.write(disk, &block.dir)?;
    block.swap_state(next);
    Ok(())
}
