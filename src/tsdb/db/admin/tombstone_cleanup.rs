//! Cleanup of tombstones: rewrites blocks without their deleted samples.

use crate::tsdb::block::mark::mark_deletable;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::execute::{CompactError, CompactionOutput, rewrite_block};
use crate::tsdb::compact::write::WriteObserver;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::new_block::{is_cancelled, open_written_block};
use crate::tsdb::db::state::engine::Engine;
use std::sync::Arc;
use std::time::Instant;

/// Cleanup of all blocks with tombstones.
pub(super) struct TombstoneCleanup<'a> {
    /// Whole, because the maintenance lock is taken per block.
    pub(super) engine: &'a Engine,
}

impl TombstoneCleanup<'_> {
    /// Rewrites the blocks. After an error, the other blocks are still rewritten.
    pub(super) fn run(&self) -> Result<(), MaintenanceError> {
        let Engine { shared, blocks, .. } = self.engine;
        let started = Instant::now();
        let mut cleaned = Ok(());
        let ulids: Vec<BlockUlid> = blocks.list().iter().map(|block| block.meta().ulid).collect();
        for ulid in ulids {
            // Locked per block, so that head compaction does not wait until all are done.
            let _guard = self.engine.lock_for_admin()?;
            if shared.is_stopping() {
                cleaned = cleaned.and(Err(MaintenanceError::Cancelled));
                break;
            }
            for block in
                blocks.get_all(&[ulid]).iter().filter(|block| !block.tombstones().is_empty())
            {
                cleaned = cleaned.and(self.clean_block(block));
            }
        }
        shared.stats().tombstone_cleanups.observe(started.elapsed().as_secs_f64());
        self.engine.update_block_stats();
        cleaned
    }

    fn clean_block(&self, block: &Arc<Block>) -> Result<(), MaintenanceError> {
        let Engine { shared, blocks, compact_stats, .. } = self.engine;
        let ulid = shared.new_ulid(now_ms())?;
        let options = shared.options();
        let target = CompactionOutput {
            disk: &*options.disk,
            dir: &options.dir,
            ulid,
            floats: shared.settings().float_encoding,
        };
        let observer =
            WriteObserver { stats: compact_stats, cancel: shared.stop_flag(), on_chunk: &|_| {} };
        let written = match rewrite_block(target, block, &observer) {
            Err(CompactError::Write(error)) if is_cancelled(&error) => {
                return Err(MaintenanceError::Cancelled);
            }
            written => written.map_err(|error| shared.report_failure("clean a block", error))?,
        };
        let child = if written {
            Some(
                open_written_block(options, ulid)
                    .map_err(|error| shared.report_failure("open a cleaned block", error))?,
            )
        } else if blocks.determine_head_min_time(&[block.meta().ulid]) {
            // The block is empty, but determines the minimum time of the head.
            return Ok(());
        } else {
            mark_deletable(block, &*options.disk)
                .map_err(|error| shared.report_failure("mark an empty block", error))?;
            None
        };
        let replaced = blocks.replace(&[block.meta().ulid], child);
        replaced.map_err(|error| shared.report_failure("remove a cleaned block", error))
    }
}
