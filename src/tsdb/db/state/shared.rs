//! State of a database that exists before it is ready: options, settings, counters, and the flags
//! of a shutdown.

use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::ranges::default_max_block_range;
use crate::tsdb::db::disk_guard::DiskGuard;
use crate::tsdb::db::error::{MaintenanceError, MaintenanceFailure};
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::state::notifier::Notifier;
use crate::tsdb::db::state::panic_watch::PanicWatch;
use crate::tsdb::db::state::retention_hold::RetentionHold;
use crate::tsdb::db::stats::DbStats;
use crate::tsdb::db::write_unavailable::ReadOnlyReason;
use crate::tsdb::head::replay::report::ReplayProgress;
use parking_lot::{RwLock, RwLockWriteGuard};
use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// State that all stages of one database share, from the locked directory to the shutdown.
#[derive(Debug)]
pub struct DbShared {
    options: DbOptions,
    settings: RwLock<Settings>,
    disk_guard: DiskGuard,
    retention_hold: RetentionHold,
    stats: DbStats,
    progress: ReplayProgress,
    /// Set at the start of a shutdown: maintenance and admin operations stop at their next step.
    stopping: AtomicBool,
    /// Set when appends are no longer accepted.
    closing: AtomicBool,
    notifier: Notifier,
    panic_watch: PanicWatch,
}

impl DbShared {
    pub(crate) fn new(options: DbOptions) -> Self {
        Self {
            settings: RwLock::new(options.settings),
            disk_guard: DiskGuard::new(options.disk_reserve),
            retention_hold: RetentionHold::default(),
            stats: DbStats::default(),
            options,
            progress: ReplayProgress::default(),
            stopping: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            notifier: Notifier::default(),
            panic_watch: PanicWatch::default(),
        }
    }

    /// Options with which the database was opened.
    #[must_use]
    pub fn options(&self) -> &DbOptions {
        &self.options
    }

    /// Settings that apply at present.
    #[must_use]
    pub fn settings(&self) -> Settings {
        *self.settings.read()
    }

    /// Locks the settings for a change.
    pub(crate) fn settings_mut(&self) -> RwLockWriteGuard<'_, Settings> {
        self.settings.write()
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

    /// Guard of the free space. Report failed writes outside the WAL to it.
    #[must_use]
    pub fn disk_guard(&self) -> &DiskGuard {
        &self.disk_guard
    }

    /// Probes the free space if the last probe is at least a second old. Returns the reason why
    /// writes are rejected, if they are.
    pub fn check_disk(&self) -> Option<ReadOnlyReason> {
        self.disk_guard.check(&*self.options.disk, &self.options.dir, Instant::now())
    }

    /// Counters of compaction, retention and other maintenance.
    #[must_use]
    pub fn stats(&self) -> &DbStats {
        &self.stats
    }

    pub(crate) fn retention_hold(&self) -> &RetentionHold {
        &self.retention_hold
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

    pub(crate) fn panic_watch(&self) -> &PanicWatch {
        &self.panic_watch
    }

    /// Error of maintenance runs that panic repeatedly; `None` while maintenance works. Reads and
    /// writes work regardless.
    #[must_use]
    pub fn maintenance_fault(&self) -> Option<String> {
        self.panic_watch.fault()
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Sets the flag that stops maintenance and admin operations.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.notifier.notify();
    }

    /// Returns `true` once maintenance must stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Returns an error once maintenance must stop.
    pub(crate) fn check_stop(&self) -> Result<(), MaintenanceError> {
        if self.is_stopping() { Err(MaintenanceError::Cancelled) } else { Ok(()) }
    }

    /// Flag that is set once maintenance must stop.
    pub(crate) fn stop_flag(&self) -> &AtomicBool {
        &self.stopping
    }

    /// Rejects appends and admin operations from now on.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Returns `true` once appends are no longer accepted.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Returns a ULID for a block created at `now_ms`.
    pub(crate) fn new_ulid(&self, now_ms: i64) -> Result<BlockUlid, MaintenanceError> {
        let now = u64::try_from(now_ms).unwrap_or_default();
        BlockUlid::from_random(now, self.options.random)
            .map_err(|error| self.report_failure("name a block", error))
    }

    /// Logs a failure of work on blocks. Lack of space makes the database read-only.
    pub(crate) fn report_failure(
        &self,
        operation: &'static str,
        error: impl Into<MaintenanceFailure>,
    ) -> MaintenanceError {
        let error = Box::new(error.into());
        if let Some(io) = io_error(&*error) {
            self.disk_guard.report_write_error(operation, io, Instant::now());
        }
        match error.corrupted_file() {
            Some((path, offset)) => {
                let file = path.display();
                tracing::error!(operation, %file, offset, %error, "maintenance failed");
            }
            None => tracing::error!(operation, %error, "maintenance failed"),
        }
        MaintenanceError::Failed { operation, cause: error }
    }
}

/// Returns the I/O error in the source chain of `error`.
pub(crate) fn io_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    let mut error = Some(error);
    while let Some(source) = error {
        if let Some(io) = source.downcast_ref::<io::Error>() {
            return Some(io);
        }
        error = source.source();
    }
    None
}
