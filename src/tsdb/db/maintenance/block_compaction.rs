//! Block compaction: executes plans until nothing is due or more urgent work waits.

use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::execute::{CompactError, CompactionOutput, mark_deletable, merge_blocks};
use crate::tsdb::compact::plan::{CompactionPlan, CompactionReason, PlanExclusions, plan};
use crate::tsdb::compact::ranges::BlockRanges;
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::compact::write::{WriteBlockError, WriteObserver};
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::uploads::UploadedBlocks;
use crate::tsdb::db::new_block::{is_cancelled, open_written_block};
use crate::tsdb::db::state::maintenance_lock::MaintenanceGuard;
use crate::tsdb::db::state::shared::{DbShared, io_error};
use crate::tsdb::fs::full::is_full;
use crate::tsdb::head::Head;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Time before a failed compaction of the same blocks is retried, ms.
const RETRY_MS: i64 = 3_600_000;

/// Compactions of blocks to larger blocks.
pub(super) struct BlockCompaction<'a, 'g> {
    pub(super) shared: &'a DbShared,
    /// Its due compaction goes first.
    pub(super) head: &'a Head,
    pub(super) blocks: &'a BlockSet,
    pub(super) compact_stats: &'a CompactStats,
    pub(super) guard: &'a mut MaintenanceGuard<'g>,
    pub(super) now_ms: i64,
}

impl BlockCompaction<'_, '_> {
    /// Compacts blocks until nothing is due. Stops for an admin operation, a shutdown or a due head
    /// compaction.
    pub(super) fn run(mut self) -> Result<(), MaintenanceError> {
        let (shared, stats) = (self.shared, self.shared.stats());
        let mut first_error = Ok(());
        while self.may_continue() {
            let Some(plan) = self.plan() else { break };
            let blocks = self.blocks.get_all(&plan.blocks);
            if let Some(needed_bytes) = self.space_shortfall(&blocks) {
                tracing::warn!(needed_bytes, "low disk space, postponed block compaction");
                stats.compactions_skipped.fetch_add(1, Ordering::Relaxed);
                break;
            }
            let ulid = match shared.new_ulid(self.now_ms) {
                Ok(ulid) => ulid,
                Err(error) => {
                    // These blocks are not the cause, so the next run tries them again.
                    stats.compactions_failed.fetch_add(1, Ordering::Relaxed);
                    return first_error.and(Err(error));
                }
            };
            match self.execute(&plan, &blocks, ulid) {
                Ok(()) => {}
                Err(CompactError::Write(error)) if is_cancelled(&error) => break,
                Err(error) => {
                    stats.compactions_failed.fetch_add(1, Ordering::Relaxed);
                    let is_disk_full = io_error(&error).is_some_and(is_full);
                    let failed = shared.report_failure("merge blocks", error);
                    first_error = first_error.and(Err(failed));
                    if is_disk_full {
                        // These blocks are not the cause, so they are not backed off.
                        break;
                    }
                    self.back_off(&plan);
                }
            }
        }
        first_error
    }

    fn may_continue(&self) -> bool {
        !self.guard.is_contended()
            && !self.shared.is_stopping()
            && !self.head.times().is_compactable()
            && !self.blocks.has_parents()
    }

    /// Excludes the blocks of a plan for [`RETRY_MS`].
    fn back_off(&mut self, plan: &CompactionPlan) {
        let retry = self.now_ms.saturating_add(RETRY_MS);
        self.guard.state.failed.extend(plan.blocks.iter().map(|block| (*block, retry)));
    }

    fn plan(&mut self) -> Option<CompactionPlan> {
        let options = self.shared.options();
        let summaries = self.blocks.summaries();
        let now = self.now_ms;
        let state = &mut *self.guard.state;
        state.failed.retain(|_, retry| *retry > now);
        let uploads = UploadedBlocks::read(options.uploads_file.as_deref());
        let awaiting_upload = summaries
            .iter()
            .filter(|block| uploads.delays_compaction(&block.ulid.to_string(), block.level));
        // Out-of-order blocks with a range that is still in the head are not merged yet. The result
        // would have no hint, and the next startup would take the range as completely in blocks.
        let in_order_max_time = self.blocks.in_order_max_time().unwrap_or(i64::MAX);
        let early = summaries
            .iter()
            .filter(|block| block.hints.out_of_order && block.maxt > in_order_max_time)
            .map(|block| block.ulid);
        let exclusions = PlanExclusions {
            backed_off: state.failed.keys().copied().chain(early).collect(),
            awaiting_upload: awaiting_upload.map(|block| block.ulid).collect(),
        };
        plan(
            &summaries,
            &BlockRanges::exponential(options.chunk_range_ms, self.shared.longest_block_ms()),
            &exclusions,
        )
    }

    /// Returns the space that a compaction of `blocks` may need, bytes, if less than this and the
    /// reserve is free. Returns `None` if enough is free or the free space is unknown.
    fn space_shortfall(&self, blocks: &[Arc<Block>]) -> Option<u64> {
        let options = self.shared.options();
        let needed = blocks.iter().map(|block| block.size_bytes()).sum::<u64>();
        let space = options.disk.space(&options.dir).ok()?;
        let reserve = options.disk_reserve.bytes(space.total);
        (space.free < needed.saturating_add(reserve)).then_some(needed)
    }

    fn execute(
        &mut self,
        plan: &CompactionPlan,
        blocks: &[Arc<Block>],
        ulid: BlockUlid,
    ) -> Result<(), CompactError> {
        let (shared, stats) = (self.shared, self.shared.stats());
        let started = Instant::now();
        let options = shared.options();
        let target = CompactionOutput {
            disk: &*options.disk,
            dir: &options.dir,
            ulid,
            floats: shared.settings().float_encoding,
        };
        let observer = WriteObserver {
            stats: self.compact_stats,
            cancel: self.guard.cancel_flag(),
            on_chunk: &|_| {},
        };
        let is_written = merge_blocks(target, blocks, &observer)?;
        let child = if is_written {
            Some(open_written_block(options, ulid).map_err(WriteBlockError::Write)?)
        } else if self.blocks.determine_head_min_time(&plan.blocks) {
            // The blocks are empty, but one of them determines the minimum time of the head.
            self.back_off(plan);
            return Ok(());
        } else {
            mark_deletable(&*options.disk, blocks).map_err(WriteBlockError::Write)?;
            None
        };
        // The blocks are out of the list already, and the next startup removes them.
        if let Err(error) = self.blocks.replace(&plan.blocks, child) {
            shared.report_failure("remove merged blocks", error);
        }
        stats.compactions.fetch_add(1, Ordering::Relaxed);
        if plan.reason == CompactionReason::Overlap {
            stats.vertical_compactions.fetch_add(1, Ordering::Relaxed);
        }
        let (blocks, duration) = (plan.blocks.len(), started.elapsed());
        stats.compaction_seconds.observe(duration.as_secs_f64());
        tracing::info!(reason = ?plan.reason, blocks, block = %ulid, ?duration, "compacted blocks");
        Ok(())
    }
}
