//! Ready database: appends, queries, maintenance, admin operations and shutdown.

use crate::tsdb::block::meta::BlockMeta;
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::admin::Admin;
use crate::tsdb::db::admission::Admission;
use crate::tsdb::db::appender::Appender;
#[cfg(any(test, feature = "testing"))]
use crate::tsdb::db::blocks::BlockList;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::Maintenance;
use crate::tsdb::db::querier::Querier;
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::shutdown_snapshot::ShutdownSnapshot;
use crate::tsdb::db::state::engine::Engine;
#[cfg(any(test, feature = "testing"))]
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::db::stats::DbStats;
use crate::tsdb::db::wbl;
use crate::tsdb::db::write_unavailable::{ReadOnlyReason, WriteUnavailable};
use crate::tsdb::head::Head;
use crate::tsdb::head::read::family_list::{FamilyList, list_all, list_family};
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::write_log::Wal;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Database of one data directory, after its recovery. Shared by all threads.
#[derive(Debug)]
pub struct Db {
    engine: Arc<Engine>,
}

impl Db {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine: Arc::new(engine) }
    }

    /// State that the earlier stages have as well: options, counters, disk guard.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn shared(&self) -> &Arc<DbShared> {
        &self.engine.shared
    }

    /// Settings that apply at present.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn settings(&self) -> Settings {
        self.engine.shared.settings()
    }

    /// Counters of compaction, retention and other maintenance.
    #[must_use]
    pub fn stats(&self) -> &DbStats {
        self.engine.shared.stats()
    }

    /// Checks whether the logs and the disk accept writes. A shutdown is not a reason here.
    ///
    /// # Errors
    /// [`WriteUnavailable::ReadOnly`] or [`WriteUnavailable::LogFailed`].
    pub fn health(&self) -> Result<(), WriteUnavailable> {
        Admission::new(&self.engine).state()
    }

    /// Probes the free space if the last probe is at least a second old. Returns the reason why
    /// writes are rejected, if they are.
    pub fn check_disk(&self) -> Option<ReadOnlyReason> {
        self.engine.check_disk()
    }

    /// Returns an appender for one request.
    ///
    /// # Errors
    /// [`WriteUnavailable`] while writes are not accepted.
    pub fn appender(&self) -> Result<Appender<'_>, WriteUnavailable> {
        Appender::admit(&self.engine)
    }

    /// Returns a read view for one query.
    #[must_use]
    pub fn querier(&self) -> Querier<'_> {
        Querier::new(&self.engine)
    }

    /// Returns the metadata of the head's series by metric family, of all families or of `family`.
    ///
    /// Without `family` this visits every series of the head.
    #[must_use]
    pub fn metadata(&self, family: Option<&str>) -> FamilyList {
        match family {
            None => list_all(&self.engine.head),
            Some(family) => list_family(&self.engine.head, family),
        }
    }

    /// Head, for status pages and metrics.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.engine.head
    }

    /// Open blocks by their minimum time.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn blocks(&self) -> BlockList {
        self.engine.blocks.list()
    }

    /// Metadata of the open blocks by their minimum time, without fields of other programs.
    #[must_use]
    pub fn block_metas(&self) -> Vec<BlockMeta> {
        self.engine.blocks.list().iter().map(|block| block.meta().known_fields()).collect()
    }

    /// Minimum time of head and blocks, ms; `None` if they are empty.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        let head_min_time = self.engine.head.times().min().unwrap_or(i64::MAX);
        let min_time = head_min_time.min(self.stats().blocks_min_time.load(Ordering::Relaxed));
        (min_time < i64::MAX).then_some(min_time)
    }

    /// Counters of compaction output.
    #[must_use]
    pub fn compact_stats(&self) -> &CompactStats {
        &self.engine.compact_stats
    }

    /// WAL, for status pages and metrics.
    #[must_use]
    pub fn wal(&self) -> &Wal {
        &self.engine.wal
    }

    /// WBL, for status pages and metrics; `None` until an out-of-order window is first set.
    #[must_use]
    pub fn wbl(&self) -> Option<&Wal> {
        self.engine.wbl.get()
    }

    /// Returns the background maintenance.
    #[must_use]
    pub fn maintenance(&self) -> Maintenance {
        Maintenance::new(Arc::clone(&self.engine))
    }

    /// Returns the admin operations.
    #[must_use]
    pub fn admin(&self) -> Admin<'_> {
        Admin::new(&self.engine)
    }

    /// Changes the settings. Work in progress continues with the old ones. Creates the WBL when an
    /// out-of-order window is first set.
    ///
    /// # Errors
    /// [`MaintenanceError`] if the WBL cannot be created. The old settings then remain.
    pub fn apply_settings(&self, settings: Settings) -> Result<(), MaintenanceError> {
        let Engine { shared, head, wbl, .. } = &*self.engine;
        {
            // Locked from the first step, so that two reloads do not create the WBL twice.
            let mut current = shared.settings_mut();
            // Created before an out-of-order sample is accepted.
            if settings.out_of_order_window_ms > 0 && wbl.get().is_none() {
                let created = wbl::open(shared.options())
                    .map_err(|error| shared.report_failure("create the WBL", error))?;
                let _ = wbl.set(created);
            }
            *current = settings;
        }
        head.set_float_encoding(settings.float_encoding);
        head.set_out_of_order_window(settings.out_of_order_window_ms);
        head.exemplars().configure(settings.exemplars());
        Ok(())
    }

    /// Cancels maintenance and admin operations at their next step, and starts no new ones.
    /// Cancelled work leaves nothing incomplete and starts again after the next startup. Appends
    /// and reads go on.
    pub fn cancel_maintenance(&self) {
        self.engine.stop_maintenance();
    }

    /// Rejects further writes, syncs the WAL and the m-mapped chunks, and releases the directory.
    ///
    /// # Errors
    /// [`WalError`] if the rest of the WAL could not be written.
    pub fn close(&self) -> Result<(), WalError> {
        self.engine.shared.close();
        self.cancel_maintenance();
        let closed = self.close_logs();
        self.engine.dir_lock.lock().take();
        closed
    }

    fn close_logs(&self) -> Result<(), WalError> {
        let Engine { shared, head, wal, wbl, maintenance_lock, .. } = &*self.engine;
        // Running work stops soon, because it was cancelled, and leaves nothing incomplete.
        let _guard = maintenance_lock.lock();
        let synced = head.chunk_files().sync();
        wal.close()?;
        wbl.get().map_or(Ok(()), Wal::close)?;
        match synced {
            // A chunk snapshot needs the m-mapped chunks: if they are lost, it would hide that only
            // the WAL has their samples.
            Ok(()) => ShutdownSnapshot { options: shared.options(), head }.write_if_enabled(),
            Err(error) => {
                tracing::warn!(%error, "cannot sync head chunks, the WAL has their samples");
            }
        }
        Ok(())
    }
}
