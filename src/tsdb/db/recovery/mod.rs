//! Startup: turns a data directory into a ready database.
//!
//! # Order
//! 1. Lock the directory ([`Db::open`]). The steps below are [`Db::replay`].
//! 2. Load the blocks and verify the newest one. The head begins where they end.
//! 3. Recover the head from a chunk snapshot, or from `chunks_head/`, checkpoint and WAL, then from
//!    the WBL. A corrupted WAL is repaired.
//! 4. Start a new WAL segment and publish the engine.
//!
//! | module | contents |
//! |--------|----------|
//! | [`log_files`] | WAL files that startup replays |
//! | [`chunk_loss`] | report of samples lost with quarantined chunk files |

pub mod chunk_loss;
pub mod log_files;

use crate::model::refs::SeriesRef;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::head_chunks::{
    HeadChunkMeta, HeadChunkStore, QuarantinedChunkFiles, QuarantinedChunks,
};
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::Db;
use crate::tsdb::db::admin::snapshot;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::blocks::load::LoadBlocksError;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::dir_lock::{DirLock, LockError};
use crate::tsdb::db::disk_guard::DiskGuard;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::recovery::chunk_loss::{Holders, LostSeries, write_list};
use crate::tsdb::db::recovery::log_files::{LogFiles, LogFilesError};
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::db::state::maintenance_lock::MaintenanceLock;
use crate::tsdb::db::state::notifier::Notifier;
use crate::tsdb::db::state::panic_watch::PanicWatch;
use crate::tsdb::db::state::retention_hold::RetentionHold;
use crate::tsdb::db::stats::DbStats;
use crate::tsdb::db::wbl;
use crate::tsdb::db::wbl::{WblError, WblRecovery, WblReplayInput};
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::head::replay::report::{ReplayOutcome, ReplayProgress, ReplayReport};
use crate::tsdb::head::replay::wal::WalReplay;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::wal::checkpoint::list_unfinished;
use crate::tsdb::wal::corruption::WalCorruption;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::lost_checkpoint::GIVEN_UP;
use crate::tsdb::wal::reader::ReadLogError;
use crate::tsdb::wal::repair::{RepairError, RepairReport, repair};
use crate::tsdb::wal::write_log::{Wal, WalOptions};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Size up to which the newest block is verified at startup, bytes.
const MAX_STARTUP_VERIFY_BYTES: u64 = 64 << 20;

/// Maximum number of series with lost samples that are logged individually.
const LOGGED_LOST_SERIES: usize = 100;

/// Error of opening a data directory.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the directory.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The directory cannot be created.
    #[error("cannot create directory {path}: {source}")]
    Io {
        /// Path of the data directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Error of making a database ready.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The blocks cannot be listed or read.
    #[error(transparent)]
    Blocks(#[from] LoadBlocksError),
    /// The files in `chunks_head/` cannot be listed or read.
    #[error(transparent)]
    Chunks(#[from] HeadChunksError),
    /// The checkpoint is corrupted. Cutting it off would orphan the WAL records of its series.
    #[error(
        "{}; a corrupted checkpoint is not repaired automatically: restore it from a backup, or \
        delete this file and the later ones and create the file {} to start without the \
        series that only they name",
        .0,
        .0.path.with_file_name(GIVEN_UP).display()
    )]
    Checkpoint(Box<WalCorruption>),
    /// A WAL file cannot be read.
    #[error(transparent)]
    Read(ReadLogError),
    /// The WAL is incomplete.
    #[error(transparent)]
    LogFiles(#[from] LogFilesError),
    /// The corrupted rest of the WAL could not be moved to the quarantine.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// The WBL cannot be used.
    #[error(transparent)]
    Wbl(#[from] WblError),
    /// A new WAL segment cannot be created.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// A directory cannot be created, or the head cannot be truncated.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Report of a startup.
#[derive(Debug)]
pub struct OpenReport {
    /// Counts of the WAL replay.
    pub replay: ReplayReport,
    /// Corruption of the WAL that was cut off or moved to the quarantine.
    pub repaired: Option<RepairReport>,
    /// Counts and corruption of the WBL replay.
    pub late: WblRecovery,
    /// Samples that only quarantined chunk files contain, by series.
    pub lost: Vec<LostSeries>,
    /// Duration of the startup.
    pub duration: Duration,
}

impl Db {
    /// Creates the directory if it is missing, and locks it. Reads and writes nothing else before
    /// [`Self::replay`].
    ///
    /// # Errors
    /// [`OpenError`] if the directory cannot be created or another process uses it.
    pub fn open(options: DbOptions) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: options.dir.clone(), source };
        options.disk.create_dir_all(&options.dir).map_err(failed)?;
        let lock = DirLock::acquire(&options.dir)?;
        Ok(Self {
            settings: RwLock::new(options.settings),
            disk_guard: DiskGuard::new(options.disk_reserve),
            retention_hold: RetentionHold::default(),
            stats: DbStats::default(),
            options,
            progress: ReplayProgress::default(),
            engine: OnceLock::new(),
            stopping: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            notifier: Notifier::default(),
            panic_watch: PanicWatch::default(),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Rebuilds the head from the directory and makes the database ready. The duration grows with
    /// the size of the WAL.
    ///
    /// # Errors
    /// [`ReplayError`] if the directory cannot be used. Completed repairs remain on disk.
    pub fn replay(&self) -> Result<OpenReport, ReplayError> {
        let started = Instant::now();
        let dir = &self.options.dir;
        let quarantine = dir.join("quarantine");
        snapshot::remove_unfinished(&*self.options.disk, dir);
        let blocks = BlockSet::new(Arc::clone(&self.options.disk), dir, &quarantine);
        blocks.load()?;
        let verified = verify_newest_block(&blocks)?;
        let min_valid = blocks.in_order_max_time().unwrap_or(i64::MIN);
        let wal_dir = dir.join("wal");
        self.options.disk.create_dir_all(&wal_dir)?;
        self.remove_unfinished_checkpoints(&wal_dir);
        let RecoveredHead { head, replay, repaired, late, quarantined, aliases } =
            self.recover_head(min_valid, &wal_dir, &quarantine)?;
        // Lost samples are looked up by label. Without them, the index is built after the
        // truncation, so that it never contains series that the truncation collects.
        let mut is_indexed = false;
        let mut lost = Vec::new();
        if let Some(quarantined) = quarantined {
            head.index_series();
            is_indexed = true;
            let holders = Holders { head: &head, aliases: &aliases, blocks: &blocks, min_valid };
            lost = quarantined.report_lost(&*self.options.disk, &holders);
        }
        if min_valid > i64::MIN {
            // Blocks contain everything before this time. Series with nothing else are collected.
            HeadTruncation::new(&head).truncate_before(min_valid)?;
        }
        if !is_indexed {
            head.index_series();
        }
        let wal = Wal::open(WalOptions {
            dir: wal_dir,
            segment_size: self.options.wal_segment_size,
            compression: self.options.wal_compression,
            sync: self.options.wal_sync,
            disk: Arc::clone(&self.options.disk),
        })?;
        let report = OpenReport { replay, repaired, late, lost, duration: started.elapsed() };
        report.log(&head);
        let ends: Vec<i64> = blocks.retention_candidates().iter().map(|block| block.maxt).collect();
        let newest = ends.iter().copied().chain(head.times().max()).max().unwrap_or(i64::MIN);
        let now_ms = now_ms();
        self.retention_hold.record_startup(ends, newest, now_ms);
        if self.retention_waits_for_clock(now_ms) {
            tracing::warn!(
                newest_sample_ms = newest,
                clock_ms = now_ms,
                "server clock is behind the newest stored sample, default retention is paused"
            );
        }
        if self.retention_is_held() {
            tracing::warn!(
                "retention deletes nothing until a retention is set: \
            found data older than the default of 15 days"
            );
        }
        let maintenance_lock = MaintenanceLock::default();
        maintenance_lock.lock().state.log_truncated = Some(min_valid);
        maintenance_lock.lock().state.verified.extend(verified);
        let wbl = OnceLock::new();
        if self.settings().out_of_order_window_ms > 0 || wbl::exists(&self.options) {
            let _ = wbl.set(wbl::open(&self.options)?);
        }
        // A second replay of the same `Db` finds the engine set and does not replace it.
        let _ = self.engine.set(Engine {
            head,
            wal,
            wbl,
            blocks,
            maintenance_lock,
            compact_stats: CompactStats::default(),
        });
        // A reload during the replay stored its settings but had no engine to apply them to.
        let _ = self.apply_settings(self.settings());
        self.update_block_stats();
        Ok(report)
    }

    /// Removes checkpoints that a crash left unfinished. Nothing reads them.
    fn remove_unfinished_checkpoints(&self, wal_dir: &Path) {
        for path in list_unfinished(wal_dir).unwrap_or_default() {
            match self.options.disk.remove_dir_all(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "removed unfinished checkpoint")
                }
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(%path, %error, "cannot remove unfinished checkpoint")
                }
            }
        }
    }

    /// Recovers the head, from a usable chunk snapshot or else from the WAL.
    fn recover_head(
        &self,
        min_valid: i64,
        wal_dir: &Path,
        quarantine: &Path,
    ) -> Result<RecoveredHead, ReplayError> {
        let mut repaired_late = None;
        let mut quarantined_first = None;
        // Checked even if a snapshot is used: the next startup may have to replay the WAL.
        let files = LogFiles::find(wal_dir)?;
        if let Some(snapshot) = self.find_usable_snapshot().filter(|_| files.blank.is_none()) {
            let EmptyHead { head, chunks, is_whole, quarantined } =
                self.open_head(min_valid, quarantine)?;
            // Only the WAL has the samples of unreadable m-mapped chunks. The snapshot does not.
            let late_chunks = out_of_order_chunks(&chunks);
            if is_whole && self.load_chunk_snapshot(&snapshot, &head, chunks) {
                let known =
                    WblReplayInput { head: &head, chunks: &late_chunks, aliases: HashMap::new() };
                let late = wbl::replay(&self.options, known, &self.progress, quarantine)?;
                // The WBL may name a series by an alias. Only the WAL has aliases, the snapshot
                // does not.
                if !late.has_unknown_series() {
                    let (replay, aliases) = (ReplayReport::default(), HashMap::new());
                    return Ok(RecoveredHead {
                        head,
                        replay,
                        repaired: None,
                        late,
                        quarantined,
                        aliases,
                    });
                }
                repaired_late = late.repaired;
            }
            quarantined_first = quarantined;
        }
        let EmptyHead { head, chunks, quarantined, .. } = self.open_head(min_valid, quarantine)?;
        let late_chunks = out_of_order_chunks(&chunks);
        let WalRecovery { report: replay, repaired, aliases } =
            self.replay_log(&head, chunks, &files, quarantine)?;
        let quarantined = quarantined.or(quarantined_first);
        let kept_aliases = if quarantined.is_some() { aliases.clone() } else { HashMap::new() };
        let known = WblReplayInput { head: &head, chunks: &late_chunks, aliases };
        let mut late = wbl::replay(&self.options, known, &self.progress, quarantine)?;
        late.repaired = late.repaired.or(repaired_late);
        Ok(RecoveredHead { head, replay, repaired, late, quarantined, aliases: kept_aliases })
    }

    fn open_head(&self, min_valid_time: i64, quarantine: &Path) -> Result<EmptyHead, ReplayError> {
        let policy = CutPolicy {
            chunk_range_ms: self.options.chunk_range_ms,
            samples_per_chunk: self.options.samples_per_chunk,
        };
        let (mut files, opened) = HeadChunkStore::open(
            Arc::clone(&self.options.disk),
            &self.options.dir.join("chunks_head"),
        )?;
        if let Some(path) = opened.removed_empty {
            let path = path.display();
            tracing::info!(%path, "removed empty chunk file left by a crash");
        }
        let mut chunks = Vec::new();
        let walked = files.for_each(quarantine, |chunk| chunks.push(chunk))?;
        let is_whole = walked.corruption.is_none() && walked.unknown_encodings == 0;
        let quarantined = walked.corruption.map(|found| {
            let QuarantinedChunkFiles { corruption, moved_to } = found;
            tracing::warn!(
                file = %corruption.path.display(),
                offset = corruption.offset,
                cause = %corruption.cause,
                ?moved_to,
                "quarantined corrupted chunk files, reading their samples from the WAL"
            );
            Quarantined { moved_to, chunks: files.take_quarantined() }
        });
        if walked.unknown_encodings > 0 {
            tracing::warn!(
                chunks = walked.unknown_encodings,
                "skipped head chunks with unknown encoding"
            );
        }
        let options = HeadOptions {
            policy,
            max_series: self.options.max_series,
            min_valid_time,
            encodings: EncodingPolicy {
                floats: self.settings().float_encoding,
                histogram_st_mode: self.options.histogram_st_mode,
            },
            record_version: self.options.record_version,
        };
        let head = Head::new(options, files);
        head.exemplars().configure(self.settings().exemplars());
        head.set_out_of_order_window(self.settings().out_of_order_window_ms);
        Ok(EmptyHead { head, chunks, is_whole, quarantined })
    }

    /// Replays checkpoint and segments. Repairs the WAL if a segment is corrupted.
    fn replay_log(
        &self,
        head: &Head,
        chunks: Vec<HeadChunkMeta>,
        files: &LogFiles,
        quarantine: &Path,
    ) -> Result<WalRecovery, ReplayError> {
        let (checkpoint_files, segments) = files.all.split_at(files.checkpoint_files);
        if let (Some(first), Some(last)) = (segments.first(), segments.last()) {
            self.progress.min.store(i64::from(first.number), Ordering::Relaxed);
            self.progress.max.store(i64::from(last.number), Ordering::Relaxed);
        }
        let ReplayOutcome { report, corruption, aliases } = WalReplay::new(head, chunks).run(
            &files.all,
            self.options.replay_workers,
            &self.progress,
        );
        // Before the repair changes a file. After corruption, a chunk may be orphaned only because
        // the record of its series was not reached, so orphaned chunks do not count then.
        let orphaned_chunks = if corruption.is_none() { report.orphaned_chunks } else { 0 };
        files.check_blank(report.unknown_refs + orphaned_chunks)?;
        let corruption = match corruption {
            None => return Ok(WalRecovery { report, repaired: None, aliases }),
            Some(ReadLogError::Damaged(corruption)) => corruption,
            Some(error) => return Err(ReplayError::Read(error)),
        };
        if checkpoint_files.iter().any(|file| file.path == corruption.path) {
            return Err(ReplayError::Checkpoint(corruption));
        }
        let wal_dir = self.options.dir.join("wal");
        let repaired = repair(&*self.options.disk, &wal_dir, quarantine, &corruption)?;
        Ok(WalRecovery { report, repaired: Some(repaired), aliases })
    }
}

/// Verifies the block that determines the minimum time of the head, unless it is large, and returns
/// its ULID.
///
/// A corrupted block is quarantined before replay drops WAL samples that it claims to contain. Then
/// the previous block is verified.
fn verify_newest_block(blocks: &BlockSet) -> Result<Option<BlockUlid>, ReplayError> {
    loop {
        let Some(block) =
            blocks.newest_in_order().filter(|block| block.size_bytes() <= MAX_STARTUP_VERIFY_BYTES)
        else {
            return Ok(None);
        };
        let ulid = block.meta().ulid;
        match block.verify() {
            Ok(_) => return Ok(Some(ulid)),
            Err(BlockError::Corrupted(corruption)) => {
                blocks.quarantine(ulid, &corruption).map_err(LoadBlocksError::from)?;
            }
            Err(error) => {
                tracing::warn!(block = %ulid, %error, "cannot verify newest block");
                return Ok(None);
            }
        }
    }
}

/// An empty head and the m-mapped chunks to attach to its series.
struct EmptyHead {
    head: Head,
    chunks: Vec<HeadChunkMeta>,
    /// Whether all chunks were readable.
    is_whole: bool,
    /// Chunk files that were moved to the quarantine.
    quarantined: Option<Quarantined>,
}

/// Chunk files in the quarantine.
struct Quarantined {
    moved_to: Vec<PathBuf>,
    chunks: QuarantinedChunks,
}

impl Quarantined {
    /// Finds the samples that nothing else contains, logs the first series, and writes the list of
    /// all series next to the quarantined files.
    fn report_lost(self, disk: &dyn Disk, holders: &Holders<'_>) -> Vec<LostSeries> {
        let lost = holders.find_lost(&self.chunks).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot compare quarantined chunk files with stored samples");
            Vec::new()
        });
        if lost.is_empty() {
            return lost;
        }
        for series in lost.iter().take(LOGGED_LOST_SERIES) {
            let LostSeries { range, samples, .. } = series;
            let (mint, maxt) = (range.mint, range.maxt);
            tracing::error!(%series, mint, maxt, samples, "lost samples");
        }
        let samples: u64 = lost.iter().map(|series| series.samples).sum();
        let list =
            self.moved_to.last().map(|path| path.with_added_extension("lost")).unwrap_or_default();
        let written = write_list(disk, &list, &lost);
        let (series, list) = (lost.len(), list.display());
        match written {
            Ok(()) => {
                tracing::error!(series, samples, %list, "lost samples of quarantined chunk files")
            }
            Err(error) => {
                tracing::error!(series, samples, %error, "cannot write list of lost samples")
            }
        }
        lost
    }
}

/// A head that was recovered from the directory.
struct RecoveredHead {
    head: Head,
    replay: ReplayReport,
    repaired: Option<RepairReport>,
    late: WblRecovery,
    /// Chunk files that were moved to the quarantine.
    quarantined: Option<Quarantined>,
    /// Aliases of series, kept only if chunk files were quarantined.
    aliases: HashMap<SeriesRef, SeriesRef>,
}

/// Result of a WAL replay, after a repair.
struct WalRecovery {
    report: ReplayReport,
    repaired: Option<RepairReport>,
    /// Aliases of series that the replay found.
    aliases: HashMap<SeriesRef, SeriesRef>,
}

/// Returns the chunks with out-of-order samples.
fn out_of_order_chunks(chunks: &[HeadChunkMeta]) -> Vec<HeadChunkMeta> {
    chunks.iter().filter(|chunk| chunk.out_of_order).copied().collect()
}

impl OpenReport {
    /// Logs the result of the WBL replay.
    fn log_wbl_report(&self) {
        let WblRecovery { report, repaired } = &self.late;
        if let Some(repaired) = repaired {
            tracing::warn!(%repaired, "repaired corrupted WBL");
        }
        if report.unknown_refs > 0 || report.invalid_histograms > 0 || report.unknown_records > 0 {
            tracing::warn!(
                unknown_series = report.unknown_refs,
                invalid_histograms = report.invalid_histograms,
                other_records = report.unknown_records,
                "skipped unusable entries of the WBL"
            );
        }
        if report.chunks > 0 || report.samples > 0 {
            tracing::info!(
                chunks = report.chunks,
                samples_in_log = report.samples,
                "replayed out-of-order samples"
            );
        }
    }

    /// Logs the result of the startup.
    fn log(&self, head: &Head) {
        let replay = &self.replay;
        if let Some(repaired) = &self.repaired {
            tracing::warn!(%repaired, "repaired corrupted WAL");
        }
        self.log_wbl_report();
        if replay.unknown_records > 0 {
            tracing::warn!(
                records = replay.unknown_records,
                "skipped WAL records with unknown type"
            );
        }
        if replay.unknown_refs > 0 {
            tracing::warn!(entries = replay.unknown_refs, "skipped WAL entries of unknown series");
        }
        if replay.chunks_skipped > 0 || replay.chunk_overlaps > 0 {
            tracing::warn!(
                chunks = replay.chunks_skipped,
                series_replaced = replay.chunk_overlaps,
                "skipped head chunks that overlap, reading their samples from the WAL"
            );
        }
        if replay.invalid_histograms > 0 {
            tracing::warn!(
                histograms = replay.invalid_histograms,
                "skipped invalid native histograms in the WAL"
            );
        }
        tracing::info!(
            series = head.series_count(),
            samples = replay.samples,
            exemplars = head.exemplars().counts().exemplars,
            samples_in_chunks = replay.samples_in_chunks,
            samples_in_blocks = replay.samples_before_head,
            orphaned_chunks = replay.orphaned_chunks,
            duration = ?self.duration,
            "replay completed"
        );
    }
}
