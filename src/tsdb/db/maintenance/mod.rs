//! What the database does by itself: blocks of the head, a shorter log, larger blocks, and none that are too old.
//!
//! | file           | what                                                    |
//! |----------------|---------------------------------------------------------|
//! | [`lock`]       | one piece of work on blocks at a time, orders first     |
//! | [`head_compaction`]       | the beginning of the head becomes a block               |
//! | [`ooo_compaction`]       | samples that came late become blocks of their own      |
//! | [`stale_compaction`]      | series that have ended become a block early             |
//! | [`wal_truncation`]        | the log loses what blocks have                          |
//! | [`block_compaction`]     | blocks become larger blocks                             |
//! | [`retention`]  | blocks that are too old or too many go                  |
//! | [`verify`]     | blocks are checked from end to end, one a round         |
//! | [`background`] | the thread that does all this                           |
//! | [`panic_watch`] | whether the thread's work panics again and again       |
//! | [`notifier`]       | by which it is called                                   |
//!
//! A round ([`Db::run_maintenance_once`]) does what is due, the most urgent first: head, late samples, log, retention, blocks. Each step leaves the directory such that a
//! start after a crash finds every sample once (in blocks or log), and what fails is tried again in a later round. A failure with blocks holds
//! up neither head nor log; a head that can't be written as a block keeps its log.
//!
//! No request waits for a round: writes and reads take none of its locks.
//!
//! The end of the process ([`Db::cancel_maintenance`]) is asked for between all steps, and within
//! those that take long: for each series and each list of a block, each chunk that is verified,
//! each record of a checkpoint, each file and block that is removed. What is given up is removed,
//! or left as a crash would leave it.

pub mod background;
pub mod block_compaction;
pub mod head_compaction;
pub mod lock;
pub mod notifier;
pub mod ooo_compaction;
pub mod panic_watch;
pub mod retention;
pub mod stale_compaction;
pub mod verify;
pub mod wal_truncation;

use crate::tsdb::block::chunk_segments::format::num_samples;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::merge::symbols::{MergedSymbols, SymbolIter};
use crate::tsdb::compact::write::{MergeSource, WriteBlockError, WriteObserver};
use crate::tsdb::db::Db;
use crate::tsdb::db::blocks::dir;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::lock::MaintenanceGuard;
use crate::tsdb::head::Head;
use crate::tsdb::head::symbols::symbols;
use crate::tsdb::query::source::{BlockSource, Chunk, QueryError};
use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A round of work.
pub(super) struct MaintenanceRun<'a> {
    db: &'a Db,
    engine: &'a Engine,
    turn: MaintenanceGuard<'a>,
    now_ms: i64,
}

impl Db {
    /// Does what is due now; `now_ms` only names the blocks that are made. Waits while other work on blocks is under way.
    ///
    /// # Errors
    /// [`MaintenanceError`], the first of those that came up; what did not fail was done.
    pub fn run_maintenance_once(&self, now_ms: i64) -> Result<(), MaintenanceError> {
        let engine = self.engine.get().ok_or(MaintenanceError::NotReady)?;
        let round =
            MaintenanceRun { db: self, engine, turn: engine.maintenance_lock.lock(), now_ms };
        if round.is_closing() {
            return Err(MaintenanceError::NotReady);
        }
        let done = round.run();
        self.update_block_stats();
        done
    }
}

impl MaintenanceRun<'_> {
    fn run(mut self) -> Result<(), MaintenanceError> {
        self.db.stats.compactions_triggered.fetch_add(1, Ordering::Relaxed);
        let looked = self.reload_blocks();
        let head = self.compact_head();
        let late = self.compact_ooo();
        let log = self.truncate_wal();
        let stale = self.compact_stale();
        let expired = self.apply_retention();
        let blocks = self.compact_blocks();
        let again = self.apply_retention();
        self.verify_next_block();
        looked.and(head).and(late).and(log).and(stale).and(expired).and(blocks).and(again)
    }

    /// Blocks that somebody else has put into the directory are taken in.
    fn reload_blocks(&self) -> Result<(), MaintenanceError> {
        self.db.stats.reloads.fetch_add(1, Ordering::Relaxed);
        self.engine.blocks.reload().map(drop).map_err(|error| {
            self.db.stats.reload_failures.fetch_add(1, Ordering::Relaxed);
            self.report_failure("look at the blocks", &error)
        })
    }

    fn is_closing(&self) -> bool {
        self.db.is_stopping()
    }

    /// Ends a step where the process ends.
    fn check(&self) -> Result<(), MaintenanceError> {
        if self.is_closing() { Err(MaintenanceError::Cancelled) } else { Ok(()) }
    }

    /// Counts compactions of the head; one that was given up is neither executed nor failed.
    fn count_compaction<T>(&self, done: &Result<T, MaintenanceError>, compactions: u64) {
        let stats = &self.db.stats;
        match done {
            Ok(_) => stats.compactions.fetch_add(compactions, Ordering::Relaxed),
            Err(MaintenanceError::Cancelled) => 0,
            Err(_) => stats.compactions_failed.fetch_add(1, Ordering::Relaxed),
        };
    }

    fn new_ulid(&self) -> Result<BlockUlid, MaintenanceError> {
        self.db.new_ulid(self.now_ms)
    }

    /// Reports a failure; one for want of space makes the database read-only.
    fn report_failure(
        &self,
        what: &'static str,
        error: &(dyn Error + 'static),
    ) -> MaintenanceError {
        self.db.report_failure(what, error)
    }
}

impl Db {
    /// Returns a name for a block that is made at `now_ms`.
    pub(super) fn new_ulid(&self, now_ms: i64) -> Result<BlockUlid, MaintenanceError> {
        let now = u64::try_from(now_ms).unwrap_or_default();
        BlockUlid::from_random(now, self.options.random)
            .map_err(|error| self.report_failure("name a block", &error))
    }

    /// Reports a failure of work on blocks; one for want of space makes the database read-only.
    pub(super) fn report_failure(
        &self,
        what: &'static str,
        error: &(dyn Error + 'static),
    ) -> MaintenanceError {
        if let Some(io) = io_error(error) {
            self.disk_guard.report_write_error(what, io, Instant::now());
        }
        tracing::error!(%error, "can't {what}");
        MaintenanceError::Failed(format!("can't {what}: {error}"))
    }

    /// Takes down what the blocks are now, for the metrics.
    pub(super) fn update_block_stats(&self) {
        let Some(engine) = self.engine.get() else { return };
        let list = engine.blocks.list();
        let stats = &self.stats;
        stats.blocks_loaded.store(list.len() as u64, Ordering::Relaxed);
        stats.blocks_bytes.store(engine.blocks.size_bytes(), Ordering::Relaxed);
        stats.blocks_quarantined.store(engine.blocks.quarantined_total(), Ordering::Relaxed);
        let begin = list.iter().map(|block| block.meta().min_time).min().unwrap_or(i64::MAX);
        stats.blocks_min_time.store(begin, Ordering::Relaxed);
    }

    /// Counts what is written to blocks, until `cancel` is set.
    pub(super) fn write_observer<'a>(
        &'a self,
        engine: &'a Engine,
        stop: &'a AtomicBool,
        on_chunk: &'a dyn Fn(&Chunk),
    ) -> WriteObserver<'a> {
        WriteObserver { stats: &engine.compact_stats, cancel: stop, on_chunk }
    }

    /// Observes a chunk that is written to a block for the first time.
    pub(super) fn observe_chunk(&self, chunk: &Chunk) {
        let bytes = chunk.data.bytes();
        self.stats.compaction_chunk_bytes.observe(bytes.len() as f64);
        self.stats.compaction_chunk_samples.observe(f64::from(num_samples(chunk.encoding, bytes)));
        self.stats
            .compaction_chunk_seconds
            .observe(chunk.maxt.saturating_sub(chunk.mint) as f64 / 1000.0);
    }
}

/// `series`, all of which are the head's, as a source of a block.
pub(super) fn head_source<'a>(
    head: &'a Head,
    series: &'a dyn BlockSource,
) -> Result<MergeSource<'a>, QueryError> {
    let lists = symbols(head)
        .map(|list| -> SymbolIter<'a> { Box::new(list.map(|one| Ok(Cow::Owned(one)))) });
    Ok(MergeSource { series, symbols: Box::new(MergedSymbols::new(lists.collect())?) })
}

/// Whether the wish to stop is all that went wrong.
pub(super) fn is_cancelled(error: &WriteBlockError) -> bool {
    matches!(error, WriteBlockError::Cancelled | WriteBlockError::Write(BlockError::Cancelled))
}

/// Opens a block that was just written. Where that fails it is removed: what it was made of is there still, and may yet lose more.
pub(super) fn open_written_block(dir: &Path, ulid: BlockUlid) -> Result<Arc<Block>, BlockError> {
    Block::open(&dir::block_dir(dir, ulid)).map(Arc::new).inspect_err(|_| {
        if let Err(error) = dir::remove(dir, ulid) {
            tracing::warn!(%error, block = %ulid, "can't remove a block that can't be opened");
        }
    })
}

/// The error of the system that lies behind another one.
fn io_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    let mut error = Some(error);
    while let Some(one) = error {
        if let Some(io) = one.downcast_ref::<io::Error>() {
            return Some(io);
        }
        error = one.source();
    }
    None
}
