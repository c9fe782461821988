//! Maintenance run: executes the due steps, the most urgent first.

use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::block_compaction::BlockCompaction;
use crate::tsdb::db::maintenance::head_block::HeadBlockWriter;
use crate::tsdb::db::maintenance::head_compaction::HeadCompaction;
use crate::tsdb::db::maintenance::ooo_compaction::OutOfOrderCompaction;
use crate::tsdb::db::maintenance::retention::Retention;
use crate::tsdb::db::maintenance::stale_compaction::StaleSeriesCompaction;
use crate::tsdb::db::maintenance::verification::Verification;
use crate::tsdb::db::maintenance::wal_truncation::WalTruncation;
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::db::state::maintenance_lock::MaintenanceGuard;
use std::sync::atomic::Ordering;

/// A maintenance run. It holds the maintenance lock.
pub(super) struct MaintenanceRun<'a> {
    pub(super) engine: &'a Engine,
    pub(super) guard: MaintenanceGuard<'a>,
    pub(super) now_ms: i64,
}

impl<'a> MaintenanceRun<'a> {
    pub(super) fn run(mut self) -> Result<(), MaintenanceError> {
        self.engine.shared.stats().compactions_triggered.fetch_add(1, Ordering::Relaxed);
        let reloaded = self.reload_blocks();
        let head = self.compact_head();
        let ooo = self.out_of_order_compaction().run_if_due(&mut self.guard.state);
        let wal = self.wal_truncation().run_if_due(&mut self.guard.state);
        let stale = self.stale_series_compaction().run_if_due(&self.guard.state);
        // Before the compaction, which would merge expired blocks, and after it.
        let expired = self.retention().run();
        let blocks = self.compact_blocks();
        let expired_again = self.retention().run();
        self.verify_next_block();
        reloaded.and(head).and(ooo).and(wal).and(stale).and(expired).and(blocks).and(expired_again)
    }

    /// Opens blocks that other programs have put into the directory.
    fn reload_blocks(&self) -> Result<(), MaintenanceError> {
        let shared = &self.engine.shared;
        shared.stats().reloads.fetch_add(1, Ordering::Relaxed);
        self.engine.blocks.reload().map(drop).map_err(|error| {
            shared.stats().reload_failures.fetch_add(1, Ordering::Relaxed);
            shared.report_failure("reload blocks", error)
        })
    }

    /// Compacts the head until its span is short enough.
    fn compact_head(&mut self) -> Result<(), MaintenanceError> {
        let engine = self.engine;
        while engine.head.times().is_compactable()
            && !self.guard.is_contended()
            && !engine.shared.is_stopping()
        {
            self.guard.state.head_compacted_at = Some(self.now_ms);
            let compaction = HeadCompaction {
                shared: &engine.shared,
                head: &engine.head,
                writer: self.head_block_writer(),
            };
            let compacted = compaction.run();
            self.guard.state.ooo_compaction_due = true;
            compacted?;
            // The WBL is truncated before the WAL, which may drop series that the WBL names. The
            // errors are ignored, because the run repeats these steps and reports their errors.
            drop(self.out_of_order_compaction().run_if_due(&mut self.guard.state));
            // In each iteration, because under constant load the loop may not end soon: expired
            // blocks must not fill the disk.
            drop(self.wal_truncation().run_if_due(&mut self.guard.state));
            drop(self.retention().run());
        }
        Ok(())
    }

    fn compact_blocks(&mut self) -> Result<(), MaintenanceError> {
        let engine = self.engine;
        let compaction = BlockCompaction {
            shared: &engine.shared,
            head: &engine.head,
            blocks: &engine.blocks,
            compact_stats: &engine.compact_stats,
            guard: &mut self.guard,
            now_ms: self.now_ms,
        };
        compaction.run()
    }

    fn verify_next_block(&mut self) {
        let engine = self.engine;
        let verification = Verification {
            shared: &engine.shared,
            head: &engine.head,
            blocks: &engine.blocks,
            guard: &mut self.guard,
        };
        verification.run();
    }

    fn head_block_writer(&self) -> HeadBlockWriter<'a> {
        HeadBlockWriter {
            shared: &self.engine.shared,
            head: &self.engine.head,
            logs: self.engine.logs(),
            blocks: &self.engine.blocks,
            compact_stats: &self.engine.compact_stats,
            now_ms: self.now_ms,
        }
    }

    fn out_of_order_compaction(&self) -> OutOfOrderCompaction<'a> {
        OutOfOrderCompaction {
            shared: &self.engine.shared,
            head: &self.engine.head,
            wbl: self.engine.wbl.get(),
            blocks: &self.engine.blocks,
            writer: self.head_block_writer(),
        }
    }

    fn wal_truncation(&self) -> WalTruncation<'a> {
        let Engine { shared, head, wal, .. } = self.engine;
        WalTruncation { shared, head, wal }
    }

    fn stale_series_compaction(&self) -> StaleSeriesCompaction<'a> {
        StaleSeriesCompaction {
            shared: &self.engine.shared,
            head: &self.engine.head,
            wal: &self.engine.wal,
            writer: self.head_block_writer(),
            now_ms: self.now_ms,
        }
    }

    fn retention(&self) -> Retention<'a> {
        let Engine { shared, blocks, .. } = self.engine;
        Retention { shared, blocks, now_ms: self.now_ms }
    }
}
