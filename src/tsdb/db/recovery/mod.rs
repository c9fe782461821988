//! Startup: turns a locked data directory into a ready database.
//!
//! | module | contents |
//! |--------|----------|
//! | [`error`] | error of a recovery |
//! | [`report`] | result of a recovery, for the log and for metrics |
//! | `blocks` | blocks of the directory; the newest one is verified |
//! | `head` | head from a chunk snapshot, or from `chunks_head/` and the WAL; then from the WBL |
//! | `head_chunks` | empty head and the m-mapped chunks in `chunks_head/` |
//! | `chunk_snapshot` | chunk snapshot that an earlier shutdown wrote |
//! | [`log_files`] | files of the WAL |
//! | `wal_replay` | replay and repair of the WAL |
//! | [`wbl_replay`] | replay and repair of the WBL |
//! | [`chunk_loss`] | detection of samples that only quarantined chunk files contain |
//! | `lost_samples` | report of these samples, in the log and as a file |
//!
//! # Order
//! 1. Remove unfinished snapshots. Load the blocks and verify the newest one. The head begins where
//!    they end.
//! 2. Remove unfinished checkpoints. Recover the head from a chunk snapshot, or from
//!    `chunks_head/`, checkpoint and WAL, then from the WBL. A corrupted WAL or WBL is repaired.
//! 3. Remove from the head what blocks contain, and index its series.
//! 4. Start new segments of WAL and WBL.

mod blocks;
pub mod chunk_loss;
mod chunk_snapshot;
pub mod error;
mod head;
mod head_chunks;
pub mod log_files;
mod lost_samples;
pub mod report;
mod wal_replay;
pub mod wbl_replay;

use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::admin::snapshot;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::database::Db;
use crate::tsdb::db::dir_lock::DirLock;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::recovery::blocks::LoadedBlocks;
use crate::tsdb::db::recovery::chunk_loss::{Holders, LostSeries};
use crate::tsdb::db::recovery::error::RecoveryError;
use crate::tsdb::db::recovery::head::{HeadRecovery, RecoveredHead};
use crate::tsdb::db::recovery::lost_samples::QuarantinedHeadChunks;
use crate::tsdb::db::recovery::report::RecoveryReport;
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::db::state::maintenance_lock::MaintenanceLock;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::db::wbl;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::head::Head;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::wal::checkpoint::list_unfinished;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::write_log::{Wal, WalOptions};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Second stage of a database: its locked directory is read, and the head is rebuilt.
#[derive(Debug)]
pub struct Recovery {
    shared: Arc<DbShared>,
    lock: DirLock,
}

/// Recovered database.
#[derive(Debug)]
pub struct Recovered {
    /// The ready database.
    pub db: Db,
    /// Counts and repairs of the recovery.
    pub report: RecoveryReport,
}

impl Recovery {
    pub(crate) fn new(shared: Arc<DbShared>, lock: DirLock) -> Self {
        Self { shared, lock }
    }

    /// Rebuilds the head from the directory. The duration grows with the size of the WAL.
    ///
    /// # Errors
    /// [`RecoveryError`] if the directory cannot be used. Completed repairs remain on disk.
    pub fn run(self) -> Result<Recovered, RecoveryError> {
        let started = Instant::now();
        let options = self.shared.options();
        let wal_dir = options.dir.join("wal");
        let quarantine = options.dir.join("quarantine");
        snapshot::remove_unfinished(&*options.disk, &options.dir);
        let LoadedBlocks { blocks, verified } = LoadedBlocks::load(options, &quarantine)?;
        let min_valid = blocks.in_order_max_time().unwrap_or(i64::MIN);
        options.disk.create_dir_all(&wal_dir)?;
        remove_unfinished_checkpoints(&*options.disk, &wal_dir);
        let recovery = HeadRecovery { shared: &self.shared, min_valid, quarantine: &quarantine };
        let RecoveredHead { head, replay, repaired, wbl, quarantined, aliases } = recovery.run()?;
        let holders = Holders { head: &head, aliases: &aliases, blocks: &blocks, min_valid };
        let lost = finish_head(&*options.disk, &holders, quarantined)?;
        let wal = open_wal(options, wal_dir)?;
        let report = RecoveryReport { replay, repaired, wbl, lost, duration: started.elapsed() };
        report.log(&head);
        record_age(&self.shared, &blocks, &head);
        let maintenance_lock = MaintenanceLock::default();
        maintenance_lock.lock().state.log_truncated = Some(min_valid);
        maintenance_lock.lock().state.verified.extend(verified);
        let wbl = OnceLock::new();
        if self.shared.settings().out_of_order_window_ms > 0 || wbl::exists(options) {
            let _ = wbl.set(wbl::open(options)?);
        }
        let engine = Engine {
            shared: self.shared,
            head,
            wal,
            wbl,
            blocks,
            maintenance_lock,
            compact_stats: CompactStats::default(),
            dir_lock: Mutex::new(Some(self.lock)),
        };
        engine.update_block_stats();
        Ok(Recovered { db: Db::new(engine), report })
    }
}

/// Removes checkpoints that a crash left unfinished. Nothing reads them.
fn remove_unfinished_checkpoints(disk: &dyn Disk, wal_dir: &Path) {
    for path in list_unfinished(wal_dir).unwrap_or_default() {
        match disk.remove_dir_all(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "removed unfinished checkpoint"),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot remove unfinished checkpoint")
            }
        }
    }
}

/// Reports lost samples, removes from the head what blocks contain, and indexes its series.
fn finish_head(
    disk: &dyn Disk,
    holders: &Holders<'_>,
    quarantined: Option<QuarantinedHeadChunks>,
) -> Result<Vec<LostSeries>, RecoveryError> {
    let (head, min_valid) = (holders.head, holders.min_valid);
    // Lost samples are looked up by label. Without them, the index is built after the truncation,
    // so that it never contains series that the truncation collects.
    let is_indexed = quarantined.is_some();
    if is_indexed {
        head.index_series();
    }
    let lost = quarantined.map(|chunks| chunks.report_lost(disk, holders)).unwrap_or_default();
    if min_valid > i64::MIN {
        // Blocks contain everything before this time. Series with nothing else are collected.
        HeadTruncation::new(head).truncate_before(min_valid)?;
    }
    if !is_indexed {
        head.index_series();
    }
    Ok(lost)
}

fn open_wal(options: &DbOptions, dir: PathBuf) -> Result<Wal, WalError> {
    Wal::open(WalOptions {
        dir,
        segment_size: options.wal_segment_size,
        compression: options.wal_compression,
        sync: options.wal_sync,
        disk: Arc::clone(&options.disk),
    })
}

/// Records the age of the data for the hold of the default retention.
fn record_age(shared: &DbShared, blocks: &BlockSet, head: &Head) {
    let ends: Vec<i64> = blocks.retention_candidates().iter().map(|block| block.maxt).collect();
    let newest = ends.iter().copied().chain(head.times().max()).max().unwrap_or(i64::MIN);
    let now_ms = now_ms();
    shared.retention_hold().record_startup(ends, newest, now_ms);
    if shared.retention_waits_for_clock(now_ms) {
        tracing::warn!(
            newest_sample_ms = newest,
            clock_ms = now_ms,
            "server clock is behind the newest stored sample, default retention is paused"
        );
    }
    if shared.retention_is_held() {
        tracing::warn!(
            "retention deletes nothing until a retention is set: \
            found data older than the default of 15 days"
        );
    }
}
