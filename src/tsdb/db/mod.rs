//! The database: one data directory, opened, replayed, appended to, read and closed. All that the rest of the program sees of
//! the engine.
//!
//! | file          | what                                                    |
//! |---------------|---------------------------------------------------------|
//! | [`options`]   | what a database is opened with                          |
//! | [`settings`]  | what of it can be changed later                         |
//! | [`dir_lock`]      | one process per directory                               |
//! | [`open`]      | from a locked directory to a ready one                  |
//! | [`log_files`] | the files of the log that a start replays               |
//! | [`chunk_loss`] | samples that were only in quarantined chunk files      |
//! | [`appender`]  | samples in                                              |
//! | [`querier`]   | samples out                                             |
//! | [`metadata`]  | type, unit and help text of metrics                     |
//! | `lookup`      | one series of one block                                 |
//! | `block_duplicates`     | old samples that are stored already                     |
//! | [`blocks`]    | the blocks that are open                                |
//! | [`clock`]     | the time                                                |
//! | [`uploads`]   | which blocks somebody still wants to upload             |
//! | [`maintenance`] | what the database does by itself: compaction, retention |
//! | [`admin`] | what an operator orders: delete, clean up, snapshot |
//! | [`snapshot`]  | a copy of the database                                  |
//! | [`chunk_snapshot`] | the head written at a clean stop, loaded at a start |
//! | [`retention_hold`] | whether retention waits for the operator's word    |
//! | `engine`      | the parts of a database that is ready                   |
//! | [`disk_guard`] | read-only before the disk is full                      |
//! | [`stats`]     | what is counted of compaction and the like              |
//! | [`error`]     | why an order was not carried out                        |
//!
//! A [`Db`] is shared by all threads. [`Db::open`] only takes the lock, so that status pages can be served at once;
//! [`Db::replay`] then makes it ready. Every call blocks its thread; none needs an async runtime.

pub mod admin;
pub mod appender;
mod block_duplicates;
pub mod blocks;
pub mod chunk_loss;
pub mod chunk_snapshot;
pub mod clock;
pub mod dir_lock;
pub mod disk_guard;
mod engine;
pub mod error;
pub mod log_files;
mod lookup;
pub mod maintenance;
pub mod metadata;
pub mod open;
pub mod options;
pub mod querier;
pub mod retention_hold;
pub mod settings;
pub mod snapshot;
pub mod stats;
pub mod uploads;
pub mod wbl;

use crate::tsdb::compact::ranges::default_max_block_range;
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::appender::{Appender, WriteUnavailable};
use crate::tsdb::db::blocks::BlockList;
use crate::tsdb::db::dir_lock::DirLock;
use crate::tsdb::db::disk_guard::DiskGuard;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::maintenance::notifier::Notifier;
use crate::tsdb::db::maintenance::panic_watch::PanicWatch;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::querier::Querier;
use crate::tsdb::db::retention_hold::RetentionHold;
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::stats::DbStats;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::ReplayProgress;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::write_log::{LogHealth, Wal};
use parking_lot::{Mutex, RwLock};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A data directory in use.
#[derive(Debug)]
pub struct Db {
    options: DbOptions,
    settings: RwLock<Settings>,
    disk_guard: DiskGuard,
    retention_hold: RetentionHold,
    stats: DbStats,
    progress: ReplayProgress,
    /// Set once, when the replay has ended.
    engine: OnceLock<Engine>,
    /// Set when the process begins to end: work on blocks is given up at its next step.
    stopping: AtomicBool,
    /// Set when nothing is appended any more.
    closing: AtomicBool,
    notifier: Notifier,
    panic_watch: PanicWatch,
    /// Given up by [`Db::close`].
    lock: Mutex<Option<DirLock>>,
}

/// Whether the database does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbHealth {
    /// Reads and writes.
    Healthy,
    /// Reads only, until the cause is gone; the text names it.
    ReadOnly(String),
    /// Reads only, until a restart; the text names the cause.
    Failed(String),
}

impl Db {
    /// What it was opened with.
    #[must_use]
    pub fn options(&self) -> &DbOptions {
        &self.options
    }

    /// Longest time span of a block, ms: as it was given, or a tenth of the retention.
    #[must_use]
    pub fn longest_block_ms(&self) -> i64 {
        self.options.max_block_range_ms.unwrap_or_else(|| {
            let retention = self.settings().retention.time_ms;
            default_max_block_range((retention > 0).then_some(retention))
        })
    }

    /// How far the replay is.
    #[must_use]
    pub fn replay_progress(&self) -> &ReplayProgress {
        &self.progress
    }

    /// Whether the replay has ended.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.engine.get().is_some()
    }

    /// Whether writes are taken, and if not, why.
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

    /// Looks at the free space where the last look is a second old; why no write is taken, if so.
    pub fn check_disk(&self) -> Option<String> {
        let now = Instant::now();
        if let Some(engine) = self.engine.get() {
            let failures = engine.head.stats().chunk_writes_without_space.load(Ordering::Relaxed);
            self.disk_guard.report_chunk_write_failures(failures, now);
        }
        self.disk_guard.check(&*self.options.disk, &self.options.dir, now)
    }

    /// The watch over the free space, to be told where a write other than the log's met a full disk.
    #[must_use]
    pub fn disk_guard(&self) -> &DiskGuard {
        &self.disk_guard
    }

    /// What is counted of compaction, retention and the like.
    #[must_use]
    pub fn stats(&self) -> &DbStats {
        &self.stats
    }

    /// An appender for one request.
    ///
    /// # Errors
    /// [`WriteUnavailable`] while no write can be taken.
    pub fn appender(&self) -> Result<Appender<'_>, WriteUnavailable> {
        if self.closing.load(Ordering::Acquire) {
            return Err(WriteUnavailable::Closing);
        }
        let engine = self.engine.get().ok_or(WriteUnavailable::Replaying)?;
        if let Some(cause) = self.check_disk() {
            // The log tries again only in `Appender::new`: below the reserve not at all.
            return Err(match engine.log_health() {
                LogHealth::Healthy => WriteUnavailable::ReadOnly(cause),
                LogHealth::NoSpace(cause) => WriteUnavailable::ReadOnly(cause),
                LogHealth::Failed(cause) => WriteUnavailable::Failed(cause),
            });
        }
        Appender::new(engine, &self.notifier)
    }

    /// A view of everything that is stored, for one query. Empty until the database is ready.
    #[must_use]
    pub fn querier(&self) -> Querier<'_> {
        Querier::new(self.engine.get())
    }

    /// The head, once the database is ready; for status pages and metrics.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.engine.get().map(|engine| &engine.head)
    }

    /// Time of the oldest sample of head and blocks, ms; `None` where there is none, or the database is not ready.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        let of_head = self.head()?.times().min().unwrap_or(i64::MAX);
        let all = of_head.min(self.stats.blocks_min_time.load(Ordering::Relaxed));
        (all < i64::MAX).then_some(all)
    }

    /// The blocks, by their first time; none before the database is ready.
    #[must_use]
    pub fn blocks(&self) -> BlockList {
        self.engine.get().map(|engine| engine.blocks.list()).unwrap_or_default()
    }

    /// What was written to blocks since the start, once the database is ready.
    #[must_use]
    pub fn compact_stats(&self) -> Option<&CompactStats> {
        self.engine.get().map(|engine| &engine.compact_stats)
    }

    /// The log, once the database is ready; for status pages and metrics.
    #[must_use]
    pub fn wal(&self) -> Option<&Wal> {
        self.engine.get().map(|engine| &engine.wal)
    }

    /// The log of out-of-order samples, once there is one; for status pages and metrics.
    #[must_use]
    pub fn wbl(&self) -> Option<&Wal> {
        self.engine.get().and_then(|engine| engine.wbl.get())
    }

    /// Lets work on blocks, also what an operator ordered, end at its next step; nothing new of it
    /// begins. What is given up leaves nothing half-done: all of it is begun again after the next
    /// start. Appends and reads go on.
    pub fn cancel_maintenance(&self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(engine) = self.engine.get() {
            engine.maintenance_lock.close();
        }
        self.notifier.notify();
    }

    /// Whether work on blocks is to end.
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Takes no more writes, brings the log and the full chunks to the disk, and gives the directory free.
    ///
    /// # Errors
    /// [`WalError`] where the last bytes of the log could not be written.
    pub fn close(&self) -> Result<(), WalError> {
        self.closing.store(true, Ordering::Release);
        self.cancel_maintenance();
        let closed = self.engine.get().map_or(Ok(()), |engine| {
            // What is under way stops soon; it leaves nothing behind.
            let _turn = engine.maintenance_lock.lock();
            let synced = engine.head.chunk_files().sync();
            engine.wal.close()?;
            engine.wbl.get().map_or(Ok(()), Wal::close)?;
            match synced {
                // A snapshot stands beside the full chunks: without them it would hide what the log has.
                Ok(()) => self.snapshot_head(engine),
                Err(error) => tracing::warn!(%error, "can't sync the chunks of the head; the log has their samples"),
            }
            Ok(())
        });
        // Without an engine a replay may be at work still: the lock then ends with the process.
        if self.engine.get().is_some() {
            self.lock.lock().take();
        }
        closed
    }
}
