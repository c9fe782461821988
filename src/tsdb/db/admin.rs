//! What an operator orders: delete, clean up, take a snapshot, change the settings.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::execute::{CompactError, CompactionOutput, rewrite_block};
use crate::tsdb::db::Db;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::lock::MaintenanceGuard;
use crate::tsdb::db::maintenance::{is_cancelled, open_written_block};
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::wbl;
use crate::tsdb::head::deletion::{HeadDeletion, Tombstone};
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::write_log::LogHealth;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What goes into a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotContents {
    /// The blocks, and the head as one more.
    BlocksAndHead,
    /// The blocks alone.
    Blocks,
}

impl Db {
    /// Deletes the samples in `range` of every series that satisfies all matchers of one of `selectors`. They are gone for readers and
    /// after a restart when this returns; their space comes back with a compaction.
    ///
    /// # Errors
    /// [`MaintenanceError`]; a part may have been deleted then, and to repeat it is safe.
    pub fn delete(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<(), MaintenanceError> {
        let engine = self.engine.get().ok_or(MaintenanceError::NotReady)?;
        if let Some(cause) = self.check_disk() {
            return Err(MaintenanceError::ReadOnly(cause));
        }
        let _turn = self.lock_for_admin(engine)?;
        for matchers in selectors {
            for block in engine.blocks.overlapping(range) {
                // Not before requests under way had their time to finish.
                if self.closing.load(Ordering::Acquire) {
                    return Err(MaintenanceError::Cancelled);
                }
                block
                    .delete(matchers, range)
                    .map_err(|error| self.report_failure("delete from a block", &error))?;
            }
            let deletion = HeadDeletion::new(&engine.head);
            let stones = deletion.plan(matchers, range);
            self.log_deletion(engine, &stones)?;
            deletion.apply(&stones);
        }
        Ok(())
    }

    /// Waits for the turn of an order; none begins once the database is closed, as the directory may be another's then.
    pub(super) fn lock_for_admin<'e>(
        &self,
        engine: &'e Engine,
    ) -> Result<MaintenanceGuard<'e>, MaintenanceError> {
        let turn = engine.maintenance_lock.lock_for_admin();
        if self.closing.load(Ordering::Acquire) {
            Err(MaintenanceError::NotReady)
        } else {
            Ok(turn)
        }
    }

    fn log_deletion(&self, engine: &Engine, stones: &[Tombstone]) -> Result<(), MaintenanceError> {
        if stones.is_empty() {
            return Ok(());
        }
        match engine.wal.check_writable() {
            LogHealth::Healthy => {}
            LogHealth::NoSpace(cause) | LogHealth::Failed(cause) => {
                return Err(MaintenanceError::ReadOnly(cause));
            }
        }
        let mut batch = LogBatch::default();
        stones.iter().for_each(|stone| batch.push_tombstones(stone.series, &[stone.range]));
        let position = engine.wal.enqueue(&mut batch);
        engine.wal.wait(position).map_err(|error| self.report_failure("log a deletion", &error))
    }

    /// Rewrites every block of which something is deleted without it.
    ///
    /// # Errors
    /// [`MaintenanceError`]; blocks that were rewritten before stay so.
    pub fn clean_tombstones(&self) -> Result<(), MaintenanceError> {
        let engine = self.engine.get().ok_or(MaintenanceError::NotReady)?;
        let begun = Instant::now();
        let mut cleaned = Ok(());
        let names: Vec<BlockUlid> =
            engine.blocks.list().iter().map(|block| block.meta().ulid).collect();
        for name in names {
            // A turn for each: the head does not wait until all are done.
            let _turn = self.lock_for_admin(engine)?;
            if self.is_stopping() {
                cleaned = cleaned.and(Err(MaintenanceError::Cancelled));
                break;
            }
            for block in
                engine.blocks.get_all(&[name]).iter().filter(|block| !block.tombstones().is_empty())
            {
                // Others can be cleaned also where one can't.
                cleaned = cleaned.and(self.clean_block(engine, block));
            }
        }
        self.stats.tombstone_cleanups.observe(begun.elapsed().as_secs_f64());
        self.update_block_stats();
        cleaned
    }

    fn clean_block(&self, engine: &Engine, block: &Arc<Block>) -> Result<(), MaintenanceError> {
        let ulid = self.new_ulid(now_ms())?;
        let target = CompactionOutput {
            dir: &self.options.dir,
            ulid,
            floats: self.settings().float_encoding,
        };
        let written = match rewrite_block(
            target,
            block,
            &self.write_observer(engine, &self.stopping, &|_| {}),
        ) {
            Err(CompactError::Write(error)) if is_cancelled(&error) => {
                return Err(MaintenanceError::Cancelled);
            }
            written => written.map_err(|error| self.report_failure("clean a block", &error))?,
        };
        let child = if written {
            Some(
                open_written_block(&self.options.dir, ulid)
                    .map_err(|error| self.report_failure("open a cleaned block", &error))?,
            )
        } else if engine.blocks.determine_head_min_time(&[block.meta().ulid]) {
            return Ok(());
        } else {
            block
                .mark_deletable()
                .map_err(|error| self.report_failure("mark an empty block", &error))?;
            None
        };
        let replaced = engine.blocks.replace(&[block.meta().ulid], child);
        replaced.map_err(|error| self.report_failure("remove a block that was cleaned", &error))
    }

    /// Takes other settings; whatever is under way ends with the old ones. The log of out-of-order samples is begun where a window is set for the first time.
    ///
    /// # Errors
    /// [`MaintenanceError`] where they can't hold; then the old ones do.
    pub fn apply_settings(&self, settings: Settings) -> Result<(), MaintenanceError> {
        if let Some(engine) = self.engine.get() {
            self.ensure_wbl(engine, settings.out_of_order_window_ms)?;
        }
        *self.settings.write() = settings;
        if let Some(engine) = self.engine.get() {
            engine.head.set_float_encoding(settings.float_encoding);
            engine.head.set_out_of_order_window(settings.out_of_order_window_ms);
            engine.head.exemplars().configure(settings.exemplars());
        }
        Ok(())
    }

    /// Makes sure that late samples can be logged before any is taken.
    fn ensure_wbl(&self, engine: &Engine, window_ms: i64) -> Result<(), MaintenanceError> {
        let _one_at_a_time = self.settings.write();
        if window_ms > 0 && engine.wbl.get().is_none() {
            let wbl = wbl::open(&self.options)
                .map_err(|error| self.report_failure("begin the out-of-order log", &error))?;
            let _ = engine.wbl.set(wbl);
        }
        Ok(())
    }

    /// The settings of this moment.
    #[must_use]
    pub fn settings(&self) -> Settings {
        *self.settings.read()
    }

    /// Returns `true` if nothing is deleted by the default retention yet, as the server clock is
    /// behind the newest data.
    pub fn retention_waits_for_clock(&self, now_ms: i64) -> bool {
        self.retention_hold.waits_for_clock(self.settings().retention.origin, now_ms)
    }

    /// Whether nothing is deleted for its age or size, as the directory had older data at the start and nobody has chosen a retention.
    #[must_use]
    pub fn retention_is_held(&self) -> bool {
        self.retention_hold.is_active(self.settings().retention.origin)
    }
}
