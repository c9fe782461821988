//! Background maintenance: head compaction, WAL truncation, block compaction, retention,
//! verification.
//!
//! | module | contents |
//! |--------|----------|
//! | [`head_compaction`] | oldest range of the head to a block |
//! | [`ooo_compaction`] | out-of-order samples to blocks |
//! | [`stale_compaction`] | stale series to blocks, before their range is complete |
//! | [`wal_truncation`] | checkpoint, and removal of WAL segments that blocks cover |
//! | [`block_compaction`] | blocks to larger blocks |
//! | [`retention`] | deletion of blocks by age and size |
//! | [`verify`] | verification of one block per run |
//! | [`uploads`] | list of uploaded blocks |
//! | [`background`] | maintenance thread |
//!
//! # Ordering
//! A run ([`Db::run_maintenance_once`]) does what is due, the most urgent first: head, out-of-order
//! samples, WAL, stale series, retention, blocks. No request waits for it: writes and reads take
//! none of its locks.
//!
//! # Failure
//! After each step, a restart after a crash finds every sample once, in blocks or in the WAL.
//! Failed steps are retried in a later run. A failure with blocks delays neither head nor WAL. A
//! head that cannot be written to a block keeps its WAL.
//!
//! # Cancellation
//! [`Db::cancel_maintenance`] takes effect between steps, and within long ones: per series and
//! postings list of a block, per verified chunk, per record of a checkpoint, per removed file or
//! block. Cancelled work is removed or left as after a crash.

pub mod background;
pub mod block_compaction;
pub mod head_compaction;
pub mod ooo_compaction;
pub mod retention;
pub mod stale_compaction;
pub mod uploads;
pub mod verify;
pub mod wal_truncation;

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::chunk::chunk_segments::format::num_samples;
use crate::tsdb::compact::merge::error::MergeError;
use crate::tsdb::compact::merge::symbols::{MergedSymbols, SymbolIter};
use crate::tsdb::compact::write::{MergeSource, WriteBlockError, WriteObserver};
use crate::tsdb::db::Db;
use crate::tsdb::db::blocks::dir;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::db::state::maintenance_lock::MaintenanceGuard;
use crate::tsdb::head::Head;
use crate::tsdb::head::read::symbols::symbols;
use crate::tsdb::query::source::{BlockSource, Chunk};
use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A maintenance run. It holds the maintenance lock.
pub(super) struct MaintenanceRun<'a> {
    db: &'a Db,
    engine: &'a Engine,
    guard: MaintenanceGuard<'a>,
    now_ms: i64,
}

impl Db {
    /// Does what is due now. Waits for other work on blocks. `now_ms` is the current time: blocks
    /// are named by it, and it decides about backoff and retention.
    ///
    /// # Errors
    /// [`MaintenanceError`] of the first step that failed. The other steps were done.
    pub fn run_maintenance_once(&self, now_ms: i64) -> Result<(), MaintenanceError> {
        let engine = self.engine.get().ok_or(MaintenanceError::NotReady)?;
        let run =
            MaintenanceRun { db: self, engine, guard: engine.maintenance_lock.lock(), now_ms };
        if run.is_closing() {
            return Err(MaintenanceError::NotReady);
        }
        let result = run.run();
        self.update_block_stats();
        result
    }
}

impl MaintenanceRun<'_> {
    fn run(mut self) -> Result<(), MaintenanceError> {
        self.db.stats.compactions_triggered.fetch_add(1, Ordering::Relaxed);
        let reloaded = self.reload_blocks();
        let head = self.compact_head();
        let ooo = self.compact_ooo();
        let wal = self.truncate_wal();
        let stale = self.compact_stale();
        // Before the compaction, which would merge expired blocks, and after it.
        let expired = self.apply_retention();
        let blocks = self.compact_blocks();
        let expired_again = self.apply_retention();
        self.verify_next_block();
        reloaded.and(head).and(ooo).and(wal).and(stale).and(expired).and(blocks).and(expired_again)
    }

    /// Opens blocks that other programs have put into the directory.
    fn reload_blocks(&self) -> Result<(), MaintenanceError> {
        self.db.stats.reloads.fetch_add(1, Ordering::Relaxed);
        self.engine.blocks.reload().map(drop).map_err(|error| {
            self.db.stats.reload_failures.fetch_add(1, Ordering::Relaxed);
            self.report_failure("reload blocks", &error)
        })
    }

    fn is_closing(&self) -> bool {
        self.db.is_stopping()
    }

    /// Returns an error if the process is shutting down.
    fn check(&self) -> Result<(), MaintenanceError> {
        if self.is_closing() { Err(MaintenanceError::Cancelled) } else { Ok(()) }
    }

    /// Counts compactions of the head. A cancelled one counts neither as completed nor as failed.
    fn count_compaction<T>(&self, result: &Result<T, MaintenanceError>, compactions: u64) {
        let stats = &self.db.stats;
        match result {
            Ok(_) => stats.compactions.fetch_add(compactions, Ordering::Relaxed),
            Err(MaintenanceError::Cancelled) => 0,
            Err(_) => stats.compactions_failed.fetch_add(1, Ordering::Relaxed),
        };
    }

    fn new_ulid(&self) -> Result<BlockUlid, MaintenanceError> {
        self.db.new_ulid(self.now_ms)
    }

    /// Logs a failure. Lack of space makes the database read-only.
    fn report_failure(
        &self,
        operation: &'static str,
        error: &(dyn Error + 'static),
    ) -> MaintenanceError {
        self.db.report_failure(operation, error)
    }
}

impl Db {
    /// Returns a ULID for a block created at `now_ms`.
    pub(super) fn new_ulid(&self, now_ms: i64) -> Result<BlockUlid, MaintenanceError> {
        let now = u64::try_from(now_ms).unwrap_or_default();
        BlockUlid::from_random(now, self.options.random)
            .map_err(|error| self.report_failure("name a block", &error))
    }

    /// Logs a failure of work on blocks. Lack of space makes the database read-only.
    pub(super) fn report_failure(
        &self,
        operation: &'static str,
        error: &(dyn Error + 'static),
    ) -> MaintenanceError {
        if let Some(io) = io_error(error) {
            self.disk_guard.report_write_error(operation, io, Instant::now());
        }
        tracing::error!(operation, %error, "maintenance failed");
        MaintenanceError::Failed(format!("cannot {operation}: {error}"))
    }

    /// Updates the statistics of the current blocks.
    pub(super) fn update_block_stats(&self) {
        let Some(engine) = self.engine.get() else { return };
        let list = engine.blocks.list();
        let stats = &self.stats;
        stats.blocks_loaded.store(list.len() as u64, Ordering::Relaxed);
        stats.blocks_bytes.store(engine.blocks.size_bytes(), Ordering::Relaxed);
        stats.blocks_quarantined.store(engine.blocks.quarantined_total(), Ordering::Relaxed);
        let min_time = list.iter().map(|block| block.meta().min_time).min().unwrap_or(i64::MAX);
        stats.blocks_min_time.store(min_time, Ordering::Relaxed);
    }

    /// Returns an observer that counts what is written to blocks, until `cancel` is set.
    pub(super) fn write_observer<'a>(
        &'a self,
        engine: &'a Engine,
        cancel: &'a AtomicBool,
        on_chunk: &'a dyn Fn(&Chunk),
    ) -> WriteObserver<'a> {
        WriteObserver { stats: &engine.compact_stats, cancel, on_chunk }
    }

    /// Records the size of a chunk that is written to a block for the first time.
    pub(super) fn observe_chunk(&self, chunk: &Chunk) {
        let bytes = chunk.data.bytes();
        self.stats.compaction_chunk_bytes.observe(bytes.len() as f64);
        self.stats.compaction_chunk_samples.observe(f64::from(num_samples(chunk.encoding, bytes)));
        self.stats
            .compaction_chunk_seconds
            .observe(chunk.maxt.saturating_sub(chunk.mint) as f64 / 1000.0);
    }
}

/// Returns `series` of the head as a source of a block.
pub(super) fn head_source<'a>(
    head: &'a Head,
    series: &'a dyn BlockSource,
) -> Result<MergeSource<'a>, MergeError> {
    let symbols = symbols(head)
        .map(|list| -> SymbolIter<'a> { Box::new(list.map(|symbol| Ok(Cow::Owned(symbol)))) });
    Ok(MergeSource { series, symbols: Box::new(MergedSymbols::new(symbols.collect())?) })
}

/// Returns `true` if the error is only the cancellation.
pub(super) fn is_cancelled(error: &WriteBlockError) -> bool {
    matches!(error, WriteBlockError::Cancelled | WriteBlockError::Write(BlockError::Cancelled))
}

/// Opens a block that was just written, and removes it if that fails: its samples are still in the
/// sources, which may lose more of them until the next startup.
pub(super) fn open_written_block(
    options: &DbOptions,
    ulid: BlockUlid,
) -> Result<Arc<Block>, BlockError> {
    let dir = &options.dir;
    Block::open(&dir::block_dir(dir, ulid)).map(Arc::new).inspect_err(|_| {
        if let Err(error) = dir::remove(&*options.disk, dir, ulid) {
            tracing::warn!(%error, block = %ulid, "cannot remove unreadable new block");
        }
    })
}

/// Returns the I/O error in the source chain of `error`.
fn io_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    let mut error = Some(error);
    while let Some(source) = error {
        if let Some(io) = source.downcast_ref::<io::Error>() {
            return Some(io);
        }
        error = source.source();
    }
    None
}
