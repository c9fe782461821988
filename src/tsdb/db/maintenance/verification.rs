//! Verification: reads one block per run completely, so that corruption is found before a query
//! needs the data.
//!
//! It runs when nothing else is due, the newest block first, and verifies each block once per
//! process. An admin operation, a shutdown or a due head compaction cancels it; the block is
//! verified later. A corrupted block stays open: only reads of the corrupted data fail.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::verify::verify_until_cancelled;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::state::maintenance_lock::MaintenanceGuard;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::head::Head;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Verification of the newest block that was not verified yet.
pub(super) struct Verification<'a, 'g> {
    pub(super) shared: &'a DbShared,
    /// Its due compaction cancels the verification.
    pub(super) head: &'a Head,
    pub(super) blocks: &'a BlockSet,
    pub(super) guard: &'a mut MaintenanceGuard<'g>,
}

impl Verification<'_, '_> {
    /// Verifies one block, if any is left.
    pub(super) fn run(mut self) {
        let blocks = self.blocks.list();
        let ulids: Vec<_> = blocks.iter().map(|block| block.meta().ulid).collect();
        let state = &mut *self.guard.state;
        state.verified.retain(|block| ulids.contains(block));
        state.damaged.retain(|block| ulids.contains(block));
        let next = blocks.iter().rev().find(|block| !state.verified.contains(&block.meta().ulid));
        if let Some(block) = next {
            self.verify(block);
        }
        let damaged = self.guard.state.damaged.len() as u64;
        self.shared.stats().blocks_damaged.store(damaged, Ordering::Relaxed);
    }

    fn verify(&mut self, block: &Arc<Block>) {
        let ulid = block.meta().ulid;
        let started = Instant::now();
        let go_on = || {
            !self.guard.is_contended()
                && !self.shared.is_stopping()
                && !self.head.times().is_compactable()
        };
        match verify_until_cancelled(block, &go_on) {
            Err(BlockError::Cancelled) => return,
            Ok(report) => {
                let (chunks, duration) = (report.chunks, started.elapsed());
                tracing::debug!(block = %ulid, chunks, ?duration, "verified block");
            }
            Err(BlockError::Corrupted(Corruption { path, offset, cause })) => {
                // The block stays open: only reads of the corrupted data fail.
                let file = path.display();
                tracing::error!(block = %ulid, %file, offset, %cause, "block is corrupted");
                self.guard.state.damaged.insert(ulid);
            }
            Err(error) => tracing::warn!(block = %ulid, %error, "cannot verify block"),
        }
        self.guard.state.verified.insert(ulid);
        self.shared.stats().blocks_verified.fetch_add(1, Ordering::Relaxed);
    }
}
