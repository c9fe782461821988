//! Background maintenance: head compaction, WAL truncation, block compaction, retention,
//! verification.
//!
//! | module | contents |
//! |--------|----------|
//! | `run` | one run: the due steps, the most urgent first |
//! | `head_compaction` | oldest range of the head to a block |
//! | `ooo_compaction` | out-of-order samples to blocks |
//! | `stale_compaction` | stale series to blocks, before their range is complete |
//! | `head_block` | block of samples of the head |
//! | `wal_truncation` | checkpoint, and removal of WAL segments that blocks cover |
//! | `block_compaction` | blocks to larger blocks |
//! | `retention` | deletion of blocks by age, size and share of the disk |
//! | `verification` | verification of one block per run |
//! | `uploads` | list of uploaded blocks |
//! | `background` | maintenance thread |
//!
//! # Ordering
//! A run ([`Maintenance::run_once`]) first opens blocks of other programs. Then it does what is
//! due, the most urgent first: head, out-of-order samples, WAL, stale series, retention, block
//! compaction, verification. No request waits for it: writes and reads take none of its locks.
//!
//! # Failure
//! After each step, a restart after a crash finds every sample once, in blocks or in the WAL.
//! Failed steps are retried in a later run. A failure with blocks delays neither head nor WAL. A
//! head that cannot be written to a block keeps its WAL.
//!
//! # Cancellation
//! [`crate::tsdb::db::Db::cancel_maintenance`] takes effect between steps, and within long ones:
//! per series and postings list of a block, per verified chunk, per record of a checkpoint, per
//! removed file or block. Cancelled work is removed or left as after a crash.

mod background;
mod block_compaction;
mod head_block;
mod head_compaction;
mod ooo_compaction;
mod retention;
mod run;
mod stale_compaction;
mod uploads;
mod verification;
mod wal_truncation;

use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::background::MaintenanceLoop;
use crate::tsdb::db::maintenance::run::MaintenanceRun;
use crate::tsdb::db::state::engine::Engine;
use std::sync::Arc;

/// Background maintenance of a database. Clones share its state.
#[derive(Debug, Clone)]
pub struct Maintenance {
    engine: Arc<Engine>,
}

impl Maintenance {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Does what is due now. Waits for other work on blocks. `now_ms` is the current time: blocks
    /// are named by it, and it decides about backoff and retention.
    ///
    /// # Errors
    /// [`MaintenanceError`] of the first step that failed. The other steps were done.
    pub fn run_once(&self, now_ms: i64) -> Result<(), MaintenanceError> {
        let guard = self.engine.maintenance_lock.lock();
        if self.engine.shared.is_stopping() {
            return Err(MaintenanceError::NotReady);
        }
        let result = MaintenanceRun { engine: &self.engine, guard, now_ms }.run();
        self.engine.update_block_stats();
        result
    }

    /// Does what is due, again and again, until [`crate::tsdb::db::Db::cancel_maintenance`] or
    /// [`crate::tsdb::db::Db::close`]. Blocks the calling thread. `now_ms` returns the current
    /// time, ms since the epoch.
    pub fn run_loop(&self, now_ms: impl Fn() -> i64) {
        let shared = &self.engine.shared;
        MaintenanceLoop { shared }.run(|| self.run_once(now_ms()));
    }
}
