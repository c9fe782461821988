//! Admin operations: deletion of series, cleanup of tombstones, snapshots, changes of settings.
//!
//! | module | contents |
//! |--------|----------|
//! | [`snapshot`] | snapshot of the database |

pub mod snapshot;

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::execute::{CompactError, CompactionOutput, rewrite_block};
use crate::tsdb::db::Db;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{is_cancelled, open_written_block};
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::db::state::maintenance_lock::MaintenanceGuard;
use crate::tsdb::db::wbl;
use crate::tsdb::head::deletion::HeadDeletion;
use crate::tsdb::head::tombstones::Tombstone;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::write_log::LogHealth;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Contents of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotContents {
    /// The blocks, and the head as further blocks.
    BlocksAndHead,
    /// The blocks without the head.
    Blocks,
}

impl Db {
    /// Deletes the samples in `range` of every series that satisfies all matchers of one of
    /// `selectors`.
    ///
    /// When it returns, the samples are deleted for readers and after a restart. A compaction frees
    /// their space.
    ///
    /// # Errors
    /// [`MaintenanceError`]. A part may have been deleted then; a retry is safe.
    pub fn delete(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<(), MaintenanceError> {
        let engine = self.engine.get().ok_or(MaintenanceError::NotReady)?;
        if let Some(cause) = self.check_disk() {
            return Err(MaintenanceError::ReadOnly(cause));
        }
        let _guard = self.lock_for_admin(engine)?;
        for matchers in selectors {
            for block in engine.blocks.overlapping(range) {
                // Not `stopping`: requests in flight have time to finish after a shutdown begins.
                if self.closing.load(Ordering::Acquire) {
                    return Err(MaintenanceError::Cancelled);
                }
                block
                    .delete(&*self.options.disk, matchers, range)
                    .map_err(|error| self.report_failure("delete from a block", &error))?;
            }
            let deletion = HeadDeletion::new(&engine.head);
            let tombstones = deletion.plan(matchers, range);
            // Logged before it is applied: readers must not see a deletion that a restart loses.
            self.log_deletion(engine, &tombstones)?;
            deletion.apply(&tombstones);
        }
        Ok(())
    }

    /// Takes the maintenance lock for an admin operation. Fails once the database is closed,
    /// because another process may own the directory then.
    pub(crate) fn lock_for_admin<'e>(
        &self,
        engine: &'e Engine,
    ) -> Result<MaintenanceGuard<'e>, MaintenanceError> {
        let guard = engine.maintenance_lock.lock_for_admin();
        if self.closing.load(Ordering::Acquire) {
            Err(MaintenanceError::NotReady)
        } else {
            Ok(guard)
        }
    }

    fn log_deletion(
        &self,
        engine: &Engine,
        tombstones: &[Tombstone],
    ) -> Result<(), MaintenanceError> {
        if tombstones.is_empty() {
            return Ok(());
        }
        match engine.wal.check_writable() {
            LogHealth::Healthy => {}
            LogHealth::NoSpace(cause) | LogHealth::Failed(cause) => {
                return Err(MaintenanceError::ReadOnly(cause));
            }
        }
        let mut batch = LogBatch::default();
        tombstones
            .iter()
            .for_each(|tombstone| batch.push_tombstones(tombstone.series_ref, &[tombstone.range]));
        let position = engine.wal.enqueue(&mut batch);
        engine.wal.wait(position).map_err(|error| self.report_failure("log a deletion", &error))
    }

    /// Rewrites every block that has tombstones, without the deleted samples.
    ///
    /// # Errors
    /// [`MaintenanceError`] of the first block that failed. Other blocks were still rewritten,
    /// except during a shutdown.
    pub fn clean_tombstones(&self) -> Result<(), MaintenanceError> {
        let engine = self.engine.get().ok_or(MaintenanceError::NotReady)?;
        let started = Instant::now();
        let mut cleaned = Ok(());
        let ulids: Vec<BlockUlid> =
            engine.blocks.list().iter().map(|block| block.meta().ulid).collect();
        for ulid in ulids {
            // Locked per block, so that head compaction does not wait until all are done.
            let _guard = self.lock_for_admin(engine)?;
            if self.is_stopping() {
                cleaned = cleaned.and(Err(MaintenanceError::Cancelled));
                break;
            }
            for block in
                engine.blocks.get_all(&[ulid]).iter().filter(|block| !block.tombstones().is_empty())
            {
                // After an error, the other blocks are still cleaned.
                cleaned = cleaned.and(self.clean_block(engine, block));
            }
        }
        self.stats.tombstone_cleanups.observe(started.elapsed().as_secs_f64());
        self.update_block_stats();
        cleaned
    }

    fn clean_block(&self, engine: &Engine, block: &Arc<Block>) -> Result<(), MaintenanceError> {
        let ulid = self.new_ulid(now_ms())?;
        let target = CompactionOutput {
            disk: &*self.options.disk,
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
                open_written_block(&self.options, ulid)
                    .map_err(|error| self.report_failure("open a cleaned block", &error))?,
            )
        } else if engine.blocks.determine_head_min_time(&[block.meta().ulid]) {
            // The block is empty, but determines the minimum time of the head.
            return Ok(());
        } else {
            block
                .mark_deletable(&*self.options.disk)
                .map_err(|error| self.report_failure("mark an empty block", &error))?;
            None
        };
        let replaced = engine.blocks.replace(&[block.meta().ulid], child);
        replaced.map_err(|error| self.report_failure("remove a cleaned block", &error))
    }

    /// Changes the settings. Work in progress continues with the old ones. Creates the WBL when an
    /// out-of-order window is first set.
    ///
    /// # Errors
    /// [`MaintenanceError`] if the WBL cannot be created. The old settings then remain.
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

    /// Creates the WBL before an out-of-order sample is accepted.
    fn ensure_wbl(&self, engine: &Engine, window_ms: i64) -> Result<(), MaintenanceError> {
        // Held so that two reloads do not create the WBL twice.
        let _settings = self.settings.write();
        if window_ms > 0 && engine.wbl.get().is_none() {
            let wbl = wbl::open(&self.options)
                .map_err(|error| self.report_failure("create the WBL", &error))?;
            let _ = engine.wbl.set(wbl);
        }
        Ok(())
    }

    /// Settings that apply at present.
    #[must_use]
    pub fn settings(&self) -> Settings {
        *self.settings.read()
    }

    /// Returns `true` while the default retention deletes nothing, because the server clock is
    /// behind the newest data.
    pub fn retention_waits_for_clock(&self, now_ms: i64) -> bool {
        self.retention_hold.waits_for_clock(self.settings().retention.origin, now_ms)
    }

    /// Returns `true` if retention deletes nothing, because the directory had older data at startup
    /// and no retention is configured.
    #[must_use]
    pub fn retention_is_held(&self) -> bool {
        self.retention_hold.is_active(self.settings().retention.origin)
    }
}
