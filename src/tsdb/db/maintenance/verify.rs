//! Blocks are read again from end to end, one a round, so that damage is known before somebody needs what it has hit.
//!
//! Only when nothing else is due, the newest first, each once in a process's life; an order, the end of the process and a long head come
//! before it, and the block's turn then comes again. A damaged block stays served: only reads that touch the damage fail.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::db::maintenance::MaintenanceRun;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl MaintenanceRun<'_> {
    /// Checks the newest block that was not checked yet, if there is one.
    pub(super) fn verify_next_block(&mut self) {
        let blocks = self.engine.blocks.list();
        let names: Vec<_> = blocks.iter().map(|block| block.meta().ulid).collect();
        let memory = &mut *self.turn.state;
        memory.verified.retain(|block| names.contains(block));
        memory.damaged.retain(|block| names.contains(block));
        let next = blocks.iter().rev().find(|block| !memory.verified.contains(&block.meta().ulid));
        if let Some(block) = next {
            self.verify(block);
        }
        self.db.stats.blocks_damaged.store(self.turn.state.damaged.len() as u64, Ordering::Relaxed);
    }

    fn verify(&mut self, block: &Arc<Block>) {
        let ulid = block.meta().ulid;
        let begun = Instant::now();
        let go_on = || {
            !self.turn.is_contended() && !self.is_closing() && !self.engine.needs_head_compaction()
        };
        match block.verify_until_cancelled(&go_on) {
            Err(BlockError::Cancelled) => return,
            Ok(facts) => {
                tracing::debug!(block = %ulid, chunks = facts.chunks, took = ?begun.elapsed(), "a block is as it was written");
            }
            Err(error) if error.is_corruption() => {
                tracing::error!(
                    block = %ulid, %error,
                    "a block is damaged: it is served, but reads that touch the damage fail. It can be moved out of the directory, or be replaced by a good copy of it, while the database is stopped"
                );
                self.turn.state.damaged.insert(ulid);
            }
            Err(error) => tracing::warn!(block = %ulid, %error, "can't check a block"),
        }
        self.turn.state.verified.insert(ulid);
        self.db.stats.blocks_verified.fetch_add(1, Ordering::Relaxed);
    }
}
