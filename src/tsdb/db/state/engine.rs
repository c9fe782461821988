//! Parts of a ready database.

use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::dir_lock::DirLock;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::state::maintenance_lock::{MaintenanceGuard, MaintenanceLock};
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::db::write_unavailable::ReadOnlyReason;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::wbl_batch::WriteLogs;
use crate::tsdb::wal::log_state::LogState;
use crate::tsdb::wal::write_log::Wal;
use parking_lot::Mutex;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Head, logs, blocks and locks. Exists once the recovery has finished.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) shared: Arc<DbShared>,
    pub(crate) head: Head,
    pub(crate) wal: Wal,
    /// Log of out-of-order samples; see [`crate::tsdb::db::wbl`].
    pub(crate) wbl: OnceLock<Wal>,
    pub(crate) blocks: BlockSet,
    pub(crate) maintenance_lock: MaintenanceLock,
    /// Counts of chunks and samples that were written to blocks.
    pub(crate) compact_stats: CompactStats,
    /// Held until the database is closed. The last field, so that it is dropped last.
    pub(crate) dir_lock: Mutex<Option<DirLock>>,
}

impl Engine {
    /// Worse one of the states of WAL and WBL.
    pub(crate) fn log_state(&self) -> LogState {
        self.wal.state().worse(self.wbl.get().map_or(LogState::Writable, Wal::state))
    }

    /// Checks whether a new request may append, with [`Wal::check_writable`] of both logs.
    pub(crate) fn check_writable(&self) -> LogState {
        let wbl = || self.wbl.get().map_or(LogState::Writable, Wal::check_writable);
        self.wal.check_writable().worse(wbl())
    }

    /// Returns the reason why writes are rejected, if they are. Failed writes of head chunks count
    /// as well.
    pub(crate) fn check_disk(&self) -> Option<ReadOnlyReason> {
        let failures = self.head.stats().chunk_writes_without_space.load(Ordering::Relaxed);
        self.shared.disk_guard().report_chunk_write_failures(failures, Instant::now());
        self.shared.check_disk()
    }

    /// WAL and WBL, for an append.
    pub(crate) fn logs(&self) -> WriteLogs<'_> {
        WriteLogs { wal: &self.wal, wbl: self.wbl.get() }
    }

    /// Stops maintenance and admin operations at their next step.
    pub(crate) fn stop_maintenance(&self) {
        self.shared.stop();
        self.maintenance_lock.close();
    }

    /// Takes the maintenance lock for an admin operation. Fails once the database is closed,
    /// because another process may own the directory then.
    pub(crate) fn lock_for_admin(&self) -> Result<MaintenanceGuard<'_>, MaintenanceError> {
        let guard = self.maintenance_lock.lock_for_admin();
        if self.shared.is_closing() { Err(MaintenanceError::NotReady) } else { Ok(guard) }
    }

    /// Updates the statistics of the current blocks.
    pub(crate) fn update_block_stats(&self) {
        let list = self.blocks.list();
        let stats = self.shared.stats();
        stats.blocks_loaded.store(list.len() as u64, Ordering::Relaxed);
        stats.blocks_bytes.store(self.blocks.size_bytes(), Ordering::Relaxed);
        stats.blocks_quarantined.store(self.blocks.quarantined_total(), Ordering::Relaxed);
        let min_time = list.iter().map(|block| block.meta().min_time).min().unwrap_or(i64::MAX);
        stats.blocks_min_time.store(min_time, Ordering::Relaxed);
    }
}
