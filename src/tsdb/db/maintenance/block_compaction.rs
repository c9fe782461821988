//! Blocks become larger blocks, as long as a plan says so and nobody wants something more urgent.

use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::execute::{CompactError, CompactionOutput, mark_deletable, merge_blocks};
use crate::tsdb::compact::plan::{CompactionPlan, CompactionReason, PlanExclusions, plan};
use crate::tsdb::compact::ranges::BlockRanges;
use crate::tsdb::compact::write::WriteBlockError;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{MaintenanceRun, io_error, is_cancelled, open_written_block};
use crate::tsdb::db::uploads::UploadedBlocks;
use crate::tsdb::fs::full::is_full;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// After a failure the same blocks are left alone for so long, ms.
const RETRY_MS: i64 = 3_600_000;

impl MaintenanceRun<'_> {
    /// Merges blocks until nothing is due. Gives way to an order, and to a head that has grown long.
    pub(super) fn compact_blocks(&mut self) -> Result<(), MaintenanceError> {
        let mut first_error = Ok(());
        while !self.turn.is_contended()
            && !self.is_closing()
            && !self.engine.needs_head_compaction()
            && !self.engine.blocks.has_parents()
        {
            let Some(plan) = self.plan() else { break };
            let blocks = self.engine.blocks.get_all(&plan.blocks);
            if let Some(needed) = self.space_shortfall(&blocks) {
                tracing::warn!(needed, "too little space to merge blocks: left for later");
                self.db.stats.compactions_skipped.fetch_add(1, Ordering::Relaxed);
                break;
            }
            let ulid = match self.new_ulid() {
                Ok(ulid) => ulid,
                Err(error) => {
                    // Nothing is wrong with these blocks: the next run tries them again.
                    self.db.stats.compactions_failed.fetch_add(1, Ordering::Relaxed);
                    return first_error.and(Err(error));
                }
            };
            match self.execute(&plan, &blocks, ulid) {
                Ok(()) => {}
                Err(CompactError::Write(error)) if is_cancelled(&error) => break,
                Err(error) => {
                    self.db.stats.compactions_failed.fetch_add(1, Ordering::Relaxed);
                    let failed = self.report_failure("merge blocks", &error);
                    first_error = first_error.and(Err(failed));
                    if io_error(&error).is_some_and(is_full) {
                        // Nothing is wrong with these blocks: as soon as there is space they are merged.
                        break;
                    }
                    self.back_off(&plan);
                }
            }
        }
        first_error
    }

    /// Does not try these blocks again for a while.
    fn back_off(&mut self, plan: &CompactionPlan) {
        let retry = self.now_ms.saturating_add(RETRY_MS);
        self.turn.state.failed.extend(plan.blocks.iter().map(|block| (*block, retry)));
    }

    fn plan(&mut self) -> Option<CompactionPlan> {
        let options = &self.db.options;
        let facts = self.engine.blocks.summaries();
        let now = self.now_ms;
        let memory = &mut *self.turn.state;
        memory.failed.retain(|_, retry| *retry > now);
        let uploads = UploadedBlocks::read(options.uploads_file.as_deref());
        let waits = facts
            .iter()
            .filter(|block| uploads.delays_compaction(&block.ulid.to_string(), block.level));
        // Of times that the head still has: a merge with other blocks would take the hint off a block of late samples, and the next start would
        // believe that all of these times is in blocks.
        let whole_until = self.engine.blocks.in_order_max_time().unwrap_or(i64::MAX);
        let early =
            facts.iter().filter(|block| block.hints.out_of_order && block.maxt > whole_until);
        let early = early.map(|block| block.ulid);
        let exclusions = PlanExclusions {
            backed_off: memory.failed.keys().copied().chain(early).collect(),
            awaiting_upload: waits.map(|block| block.ulid).collect(),
        };
        plan(
            &facts,
            &BlockRanges::exponential(options.chunk_range_ms, self.db.longest_block_ms()),
            &exclusions,
        )
    }

    /// What a merge needs beyond the space that is free, bytes; `None` where there is enough, or that is not known.
    fn space_shortfall(&self, blocks: &[Arc<Block>]) -> Option<u64> {
        let needed = blocks.iter().map(|block| block.size_bytes()).sum::<u64>();
        let space = self.db.options.disk.space(&self.db.options.dir).ok()?;
        let reserve = self.db.options.disk_reserve.bytes(space.total);
        (space.free < needed.saturating_add(reserve)).then_some(needed)
    }

    fn execute(
        &mut self,
        plan: &CompactionPlan,
        blocks: &[Arc<Block>],
        ulid: BlockUlid,
    ) -> Result<(), CompactError> {
        let (db, engine) = (self.db, self.engine);
        let begun = Instant::now();
        let target =
            CompactionOutput { dir: &db.options.dir, ulid, floats: db.settings().float_encoding };
        let is_written = merge_blocks(
            target,
            blocks,
            &db.write_observer(engine, self.turn.cancel_flag(), &|_| {}),
        )?;
        let child = if is_written {
            Some(open_written_block(&db.options.dir, ulid).map_err(WriteBlockError::Write)?)
        } else if engine.blocks.determine_head_min_time(&plan.blocks) {
            self.back_off(plan);
            return Ok(());
        } else {
            mark_deletable(blocks).map_err(WriteBlockError::Write)?;
            None
        };
        if let Err(error) = engine.blocks.replace(&plan.blocks, child) {
            self.report_failure("remove blocks that were merged", &error);
        }
        db.stats.compactions.fetch_add(1, Ordering::Relaxed);
        if plan.reason == CompactionReason::Overlap {
            db.stats.vertical_compactions.fetch_add(1, Ordering::Relaxed);
        }
        db.stats.compaction_seconds.observe(begun.elapsed().as_secs_f64());
        tracing::info!(reason = ?plan.reason, blocks = plan.blocks.len(), into = %ulid, took = ?begun.elapsed(), "blocks are merged");
        Ok(())
    }
}
