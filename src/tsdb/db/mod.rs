//! Database of one data directory: startup, appends, queries, maintenance and shutdown. The only
//! part of the engine that the rest of the program uses directly.
//!
//! | module | contents |
//! |--------|----------|
//! | [`options`] | options that are fixed while the database is open |
//! | [`settings`] | settings that can change at a reload |
//! | [`dir_lock`] | lock of the data directory |
//! | [`recovery`] | startup: from a locked directory to a ready database |
//! | [`wbl`] | log of out-of-order samples |
//! | [`appender`] | appends of a request |
//! | [`querier`] | consistent read view |
//! | [`metadata`] | type, unit and help text of metrics |
//! | `lookup` | one series of one block |
//! | `block_duplicates` | duplicate check against blocks |
//! | [`blocks`] | open blocks |
//! | [`clock`] | wall clock |
//! | [`state`] | parts of a database that its stages and its work share |
//! | [`maintenance`] | background work: compaction, truncation, retention, verification |
//! | [`admin`] | admin operations: delete series, clean tombstones, snapshot; changes of settings |
//! | [`chunk_snapshot`] | chunk snapshot of the head, for a fast startup |
//! | [`disk_guard`] | read-only mode before the disk is full |
//! | [`stats`] | counters of maintenance |
//! | [`error`] | error of admin operations |
//!
//! A [`Db`] is shared by all threads. [`Db::open`] only locks the directory, so that status pages
//! are available at once. [`Db::replay`] makes it ready. All functions block; none needs an async
//! runtime.

pub mod admin;
pub mod appender;
mod block_duplicates;
pub mod blocks;
pub mod chunk_snapshot;
pub mod clock;
pub mod dir_lock;
pub mod disk_guard;
pub mod error;
mod lookup;
pub mod maintenance;
pub mod metadata;
pub mod options;
pub mod querier;
pub mod recovery;
pub mod settings;
pub mod state;
pub mod stats;
pub mod wbl;

use crate::tsdb::compact::ranges::default_max_block_range;
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::appender::{Appender, WriteUnavailable};
use crate::tsdb::db::blocks::BlockList;
use crate::tsdb::db::dir_lock::DirLock;
use crate::tsdb::db::disk_guard::DiskGuard;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::querier::Querier;
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::db::state::notifier::Notifier;
use crate::tsdb::db::state::panic_watch::PanicWatch;
use crate::tsdb::db::state::retention_hold::RetentionHold;
use crate::tsdb::db::stats::DbStats;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::report::ReplayProgress;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::write_log::{LogHealth, Wal};
use parking_lot::{Mutex, RwLock};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Database of one data directory.
#[derive(Debug)]
pub struct Db {
    options: DbOptions,
    settings: RwLock<Settings>,
    disk_guard: DiskGuard,
    retention_hold: RetentionHold,
    stats: DbStats,
    progress: ReplayProgress,
    /// Set once, at the end of the replay.
    engine: OnceLock<Engine>,
    /// Set at the start of a shutdown: maintenance and admin operations stop at their next step.
    stopping: AtomicBool,
    /// Set when appends are no longer accepted.
    closing: AtomicBool,
    notifier: Notifier,
    panic_watch: PanicWatch,
    /// Held until [`Db::close`] releases it.
    lock: Mutex<Option<DirLock>>,
}

/// State of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbHealth {
    /// Reads and writes work.
    Healthy,
    /// Writes are rejected until the cause is gone; the text names it.
    ReadOnly(String),
    /// Writes are rejected until a restart; the text names the cause.
    Failed(String),
}

impl Db {
    /// Options with which the database was opened.
    #[must_use]
    pub fn options(&self) -> &DbOptions {
        &self.options
    }

    /// Maximum time span of a block, ms: the configured one, or a tenth of the retention.
    #[must_use]
    pub fn longest_block_ms(&self) -> i64 {
        self.options.max_block_range_ms.unwrap_or_else(|| {
            let retention = self.settings().retention.time_ms;
            default_max_block_range((retention > 0).then_some(retention))
        })
    }

    /// Progress of the replay.
    #[must_use]
    pub fn replay_progress(&self) -> &ReplayProgress {
        &self.progress
    }

    /// Returns `true` once the replay has finished.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.engine.get().is_some()
    }

    /// Returns whether writes are accepted, and the cause if not.
    #[must_use]
    pub fn health(&self) -> DbHealth {
        match self.engine.get().map(Engine::log_health) {
            None => DbHealth::Healthy,
            Some(LogHealth::Healthy) => {
                self.check_disk().map_or(DbHealth::Healthy, DbHealth::ReadOnly)
            }
            Some(LogHealth::NoSpace(cause)) => DbHealth::ReadOnly(cause),
            Some(LogHealth::Failed(cause)) => DbHealth::Failed(cause),
        }
    }

    /// Probes the free space if the last probe is at least a second old. Returns the reason why
    /// writes are rejected, if they are.
    pub fn check_disk(&self) -> Option<String> {
        let now = Instant::now();
        if let Some(engine) = self.engine.get() {
            let failures = engine.head.stats().chunk_writes_without_space.load(Ordering::Relaxed);
            self.disk_guard.report_chunk_write_failures(failures, now);
        }
        self.disk_guard.check(&*self.options.disk, &self.options.dir, now)
    }

    /// Guard of the free space. Report failed writes outside the WAL to it.
    #[must_use]
    pub fn disk_guard(&self) -> &DiskGuard {
        &self.disk_guard
    }

    /// Counters of compaction, retention and other maintenance.
    #[must_use]
    pub fn stats(&self) -> &DbStats {
        &self.stats
    }

    /// Returns an appender for one request.
    ///
    /// # Errors
    /// [`WriteUnavailable`] while writes are not accepted.
    pub fn appender(&self) -> Result<Appender<'_>, WriteUnavailable> {
        if self.closing.load(Ordering::Acquire) {
            return Err(WriteUnavailable::Closing);
        }
        let engine = self.engine.get().ok_or(WriteUnavailable::Replaying)?;
        if let Some(cause) = self.check_disk() {
            // Only `Appender::new` lets a WAL without space try again, and not below the reserve.
            return Err(match engine.log_health() {
                LogHealth::Healthy => WriteUnavailable::ReadOnly(cause),
                LogHealth::NoSpace(cause) => WriteUnavailable::ReadOnly(cause),
                LogHealth::Failed(cause) => WriteUnavailable::Failed(cause),
            });
        }
        Appender::new(engine, &self.notifier)
    }

    /// Returns a read view for one query. Empty until the database is ready.
    #[must_use]
    pub fn querier(&self) -> Querier<'_> {
        Querier::new(self.engine.get())
    }

    /// Head of a ready database, for status pages and metrics.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.engine.get().map(|engine| &engine.head)
    }

    /// Minimum time of head and blocks, ms; `None` if they are empty or the database is not ready.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        let head_min_time = self.head()?.times().min().unwrap_or(i64::MAX);
        let min_time = head_min_time.min(self.stats.blocks_min_time.load(Ordering::Relaxed));
        (min_time < i64::MAX).then_some(min_time)
    }

    /// Open blocks by their minimum time; empty before the database is ready.
    #[must_use]
    pub fn blocks(&self) -> BlockList {
        self.engine.get().map(|engine| engine.blocks.list()).unwrap_or_default()
    }

    /// Counters of compaction output, once the database is ready.
    #[must_use]
    pub fn compact_stats(&self) -> Option<&CompactStats> {
        self.engine.get().map(|engine| &engine.compact_stats)
    }

    /// WAL of a ready database, for status pages and metrics.
    #[must_use]
    pub fn wal(&self) -> Option<&Wal> {
        self.engine.get().map(|engine| &engine.wal)
    }

    /// WBL, if it exists and the database is ready; for status pages and metrics.
    #[must_use]
    pub fn wbl(&self) -> Option<&Wal> {
        self.engine.get().and_then(|engine| engine.wbl.get())
    }

    /// Cancels maintenance and admin operations at their next step, and starts no new ones.
    /// Cancelled work leaves nothing incomplete and starts again after the next startup. Appends
    /// and reads go on.
    pub fn cancel_maintenance(&self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(engine) = self.engine.get() {
            engine.maintenance_lock.close();
        }
        self.notifier.notify();
    }

    /// Returns `true` once maintenance must stop.
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Rejects further writes, syncs the WAL and the m-mapped chunks, and releases the directory.
    ///
    /// # Errors
    /// [`WalError`] if the rest of the WAL could not be written.
    pub fn close(&self) -> Result<(), WalError> {
        self.closing.store(true, Ordering::Release);
        self.cancel_maintenance();
        let closed = self.engine.get().map_or(Ok(()), |engine| {
            // Running work stops soon, because `stopping` is set, and leaves nothing incomplete.
            let _guard = engine.maintenance_lock.lock();
            let synced = engine.head.chunk_files().sync();
            engine.wal.close()?;
            engine.wbl.get().map_or(Ok(()), Wal::close)?;
            match synced {
                // A chunk snapshot needs the m-mapped chunks: if they are lost, it would hide that
                // only the WAL has their samples.
                Ok(()) => self.snapshot_head(engine),
                Err(error) => {
                    tracing::warn!(%error, "cannot sync head chunks, the WAL has their samples");
                }
            }
            Ok(())
        });
        // Without an engine a replay may still be running. The lock then ends with the process.
        if self.engine.get().is_some() {
            self.lock.lock().take();
        }
        closed
    }
}
