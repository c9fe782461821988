//! From a data directory to a ready database: lock, blocks' times, `chunks_head/`, checkpoint, log, repair, a new segment.

use crate::model::refs::SeriesRef;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::head_chunks::{
    HeadChunkMeta, HeadChunkStore, QuarantinedChunkFiles, QuarantinedChunks,
};
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::Db;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::blocks::load::LoadBlocksError;
use crate::tsdb::db::chunk_loss::{Holders, LostSeries, write_list};
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::dir_lock::{DirLock, LockError};
use crate::tsdb::db::disk_guard::DiskGuard;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::log_files::{LogFiles, LogFilesError};
use crate::tsdb::db::maintenance::lock::MaintenanceLock;
use crate::tsdb::db::maintenance::notifier::Notifier;
use crate::tsdb::db::maintenance::panic_watch::PanicWatch;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::retention_hold::RetentionHold;
use crate::tsdb::db::snapshot;
use crate::tsdb::db::stats::DbStats;
use crate::tsdb::db::wbl;
use crate::tsdb::db::wbl::{WblError, WblRecovery, WblReplayInput};
use crate::tsdb::head::replay::{ReplayOutcome, ReplayProgress, ReplayReport, WalReplay};
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
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A block that is larger is not read whole at the start, bytes.
const MAX_STARTUP_VERIFY_BYTES: u64 = 64 << 20;

/// Number of series with lost samples that are logged one by one.
const LOGGED_LOST_SERIES: usize = 100;

/// Why a directory can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// It can't be made.
    #[error("{path}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Why a database can't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The blocks can't be told.
    #[error(transparent)]
    Blocks(#[from] LoadBlocksError),
    /// The files of full chunks can't be used.
    #[error(transparent)]
    Chunks(#[from] HeadChunksError),
    /// The checkpoint is damaged. Cutting it would orphan the records of the log that need its series.
    #[error(
        "{}; a damaged checkpoint is not repaired by itself: restore it from a backup, or remove this file and those behind it \
         and create the file {} to start without the series that only they name",
        .0,
        .0.path.with_file_name(GIVEN_UP).display()
    )]
    Checkpoint(Box<WalCorruption>),
    /// A file of the log can't be read.
    #[error(transparent)]
    Read(ReadLogError),
    /// The files of the log are incomplete.
    #[error(transparent)]
    LogFiles(#[from] LogFilesError),
    /// The damaged rest of the log could not be set aside.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// The log of out-of-order samples can't be used.
    #[error(transparent)]
    Wbl(#[from] WblError),
    /// The log can't be begun.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// A folder can't be made.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a start found.
#[derive(Debug)]
pub struct OpenReport {
    /// What the replay read.
    pub replay: ReplayReport,
    /// The damage that was cut off or set aside.
    pub repaired: Option<RepairReport>,
    /// The same of late samples.
    pub late: WblRecovery,
    /// Samples that were only in chunk files that were moved to the quarantine, by series.
    pub lost: Vec<LostSeries>,
    /// How long it took.
    pub duration: Duration,
}

impl Db {
    /// Makes the directory where there is none, and locks it. Nothing else is read or written before [`Self::replay`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: DbOptions) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: options.dir.clone(), source };
        fs::create_dir_all(&options.dir).map_err(failed)?;
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

    /// Rebuilds the head from the directory and makes the database ready. Takes as long as the log is long.
    ///
    /// # Errors
    /// [`ReplayError`] where the directory can't be used as it is; nothing was changed then but what a repair had done.
    pub fn replay(&self) -> Result<OpenReport, ReplayError> {
        let started = Instant::now();
        let dir = &self.options.dir;
        let quarantine = dir.join("quarantine");
        snapshot::remove_unfinished(dir);
        let blocks = BlockSet::new(dir, &quarantine);
        blocks.load()?;
        let verified = verify_newest_block(&blocks)?;
        let min_valid = blocks.in_order_max_time().unwrap_or(i64::MIN);
        let wal_dir = dir.join("wal");
        self.options.disk.create_dir_all(&wal_dir)?;
        self.remove_unfinished_checkpoints(&wal_dir);
        let RecoveredHead { head, replay, repaired, late, quarantined, aliases } =
            self.recover_head(min_valid, &wal_dir, &quarantine)?;
        let holders = Holders { head: &head, aliases: &aliases, blocks: &blocks, min_valid };
        let lost =
            quarantined.map(|quarantined| quarantined.report_lost(&holders)).unwrap_or_default();
        if min_valid > i64::MIN {
            // What blocks have is not needed, nor are series that have nothing else.
            HeadTruncation::new(&head).truncate_before(min_valid)?;
        }
        head.index_series();
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
                "server clock is behind the newest stored sample; retention by default deletes nothing until it is not"
            );
        }
        if self.retention_is_held() {
            tracing::warn!(
                "retention deletes nothing until a retention is set: the directory has data older than the default of 15 days"
            );
        }
        let turns = MaintenanceLock::default();
        turns.lock().state.log_truncated = Some(min_valid);
        turns.lock().state.verified.extend(verified);
        let written = CompactStats::default();
        let wbl = OnceLock::new();
        if self.settings().out_of_order_window_ms > 0 || wbl::exists(&self.options) {
            let _ = wbl.set(wbl::open(&self.options)?);
        }
        // A second replay of the same Db finds the engine set, and changes nothing.
        let _ = self.engine.set(Engine {
            head,
            wal,
            wbl,
            blocks,
            maintenance_lock: turns,
            compact_stats: written,
        });
        // Settings may have been applied meanwhile.
        let _ = self.apply_settings(self.settings());
        self.update_block_stats();
        Ok(report)
    }

    /// What a crash left of a checkpoint that was not finished; nobody reads it.
    fn remove_unfinished_checkpoints(&self, wal_dir: &Path) {
        for path in list_unfinished(wal_dir).unwrap_or_default() {
            match self.options.disk.remove_dir_all(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "removed an unfinished checkpoint")
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "can't remove an unfinished checkpoint")
                }
            }
        }
    }

    /// The head, from its snapshot or from the log.
    fn recover_head(
        &self,
        min_valid: i64,
        wal_dir: &Path,
        quarantine: &Path,
    ) -> Result<RecoveredHead, ReplayError> {
        let mut repaired_late = None;
        let mut quarantined_first = None;
        // Before a snapshot is used, too: the next start may have to replay the log.
        let files = LogFiles::find(wal_dir)?;
        if let Some(snapshot) = self.find_usable_snapshot().filter(|_| files.blank.is_none()) {
            let EmptyHead { head, chunks, is_whole, quarantined } =
                self.open_head(min_valid, quarantine)?;
            // Full chunks that can't be read are in the log alone: the snapshot does not have them.
            let late_chunks = out_of_order_chunks(&chunks);
            if is_whole && self.load_chunk_snapshot(&snapshot, &head, chunks) {
                let known =
                    WblReplayInput { head: &head, chunks: &late_chunks, aliases: HashMap::new() };
                let late = wbl::replay(&self.options, known, &self.progress, quarantine)?;
                // A snapshot has no second references, by which the log of late samples may name a series: the other log knows them.
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
        let (mut files, opened) = HeadChunkStore::open(&self.options.dir.join("chunks_head"))?;
        if let Some(path) = opened.removed_empty {
            tracing::info!(path = %path.display(), "removed a chunk file without content, left by a crash");
        }
        let mut chunks = Vec::new();
        let walked = files.for_each(quarantine, |chunk| chunks.push(chunk))?;
        let is_whole = walked.corruption.is_none() && walked.unknown_encodings == 0;
        let quarantined = walked.corruption.map(|QuarantinedChunkFiles { corruption: damage, moved_to }| {
            tracing::warn!(%damage, ?moved_to, "chunk files cannot be used: quarantined, their samples come from the log");
            Quarantined { moved_to, chunks: files.take_quarantined() }
        });
        if walked.unknown_encodings > 0 {
            tracing::warn!(
                chunks = walked.unknown_encodings,
                "chunks of encodings newer than this version: passed over"
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

    /// Replays checkpoint and segments; cuts the log off where it is damaged.
    fn replay_log(
        &self,
        head: &Head,
        chunks: Vec<HeadChunkMeta>,
        files: &LogFiles,
        quarantine: &Path,
    ) -> Result<WalRecovery, ReplayError> {
        let (of_checkpoint, segments) = files.all.split_at(files.checkpoint_files);
        if let (Some(first), Some(last)) = (segments.first(), segments.last()) {
            self.progress.min.store(i64::from(first.number), Ordering::Relaxed);
            self.progress.max.store(i64::from(last.number), Ordering::Relaxed);
        }
        let ReplayOutcome { report, damage, aliases } = WalReplay::new(head, chunks).run(
            &files.all,
            self.options.replay_workers,
            &self.progress,
        );
        // Before a repair changes anything. Behind damage, chunks may be of series that are named there.
        let orphaned_chunks = if damage.is_none() { report.orphaned_chunks } else { 0 };
        files.check_blank(report.unknown_refs + orphaned_chunks)?;
        let damage = match damage {
            None => return Ok(WalRecovery { report, repaired: None, aliases }),
            Some(ReadLogError::Damaged(damage)) => damage,
            Some(error) => return Err(ReplayError::Read(error)),
        };
        if of_checkpoint.iter().any(|file| file.path == damage.path) {
            return Err(ReplayError::Checkpoint(damage));
        }
        let wal_dir = self.options.dir.join("wal");
        let repaired = repair(&*self.options.disk, &wal_dir, quarantine, &damage)?;
        Ok(WalRecovery { report, repaired: Some(repaired), aliases })
    }
}

/// Reads the block that decides where the head begins from end to end, unless that takes long, and returns its name. A damaged one is
/// set aside, before samples of its time that the log may still have are left out for it; then the one before decides.
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
            Err(error) if error.is_corruption() => {
                blocks.quarantine(ulid, &error.to_string()).map_err(LoadBlocksError::from)?;
            }
            Err(error) => {
                tracing::warn!(block = %ulid, %error, "can't check the newest block");
                return Ok(None);
            }
        }
    }
}

/// An empty head, and the full chunks that it is to have.
struct EmptyHead {
    head: Head,
    chunks: Vec<HeadChunkMeta>,
    /// Whether all chunks that there were could be read.
    is_whole: bool,
    /// The chunk files that were moved to the quarantine.
    quarantined: Option<Quarantined>,
}

/// Chunk files in the quarantine.
struct Quarantined {
    moved_to: Vec<PathBuf>,
    chunks: QuarantinedChunks,
}

impl Quarantined {
    /// Finds the samples that nothing else holds, logs the first series, and writes the list of all beside the files.
    fn report_lost(self, holders: &Holders<'_>) -> Vec<LostSeries> {
        let lost = holders.find_lost(&self.chunks).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot compare the quarantined chunk files with what is stored");
            Vec::new()
        });
        if lost.is_empty() {
            return lost;
        }
        for series in lost.iter().take(LOGGED_LOST_SERIES) {
            let LostSeries { range, samples, .. } = series;
            tracing::error!(%series, mint = range.mint, maxt = range.maxt, samples, "lost samples: not in the log");
        }
        let samples: u64 = lost.iter().map(|series| series.samples).sum();
        let list =
            self.moved_to.last().map(|path| path.with_added_extension("lost")).unwrap_or_default();
        let written = write_list(&list, &lost);
        let (series, list) = (lost.len(), list.display());
        match written {
            Ok(()) => {
                tracing::error!(series, samples, %list, "quarantined chunk files have samples that the log lost")
            }
            Err(error) => {
                tracing::error!(series, samples, %error, "cannot write the list of lost samples")
            }
        }
        lost
    }
}

/// A head with everything that the directory has of it.
struct RecoveredHead {
    head: Head,
    replay: ReplayReport,
    repaired: Option<RepairReport>,
    late: WblRecovery,
    /// Chunk files that were moved to the quarantine.
    quarantined: Option<Quarantined>,
    /// Second references of series, kept only if files were moved.
    aliases: HashMap<SeriesRef, SeriesRef>,
}

/// What the replay of the log found.
struct WalRecovery {
    report: ReplayReport,
    repaired: Option<RepairReport>,
    /// Second references of series.
    aliases: HashMap<SeriesRef, SeriesRef>,
}

/// Those of the chunks that have late samples.
fn out_of_order_chunks(chunks: &[HeadChunkMeta]) -> Vec<HeadChunkMeta> {
    chunks.iter().filter(|chunk| chunk.out_of_order).copied().collect()
}

impl OpenReport {
    /// Tells the operator of late samples.
    fn log_wbl_report(&self) {
        let WblRecovery { report, repaired } = &self.late;
        if let Some(repaired) = repaired {
            tracing::warn!(%repaired, "the log of late samples was damaged");
        }
        if report.unknown_refs > 0 || report.bad_histograms > 0 || report.unknown_records > 0 {
            tracing::warn!(
                unknown_series = report.unknown_refs,
                bad_histograms = report.bad_histograms,
                other_records = report.unknown_records,
                "the log of late samples has what can't be used: passed over"
            );
        }
        if report.chunks > 0 || report.points > 0 {
            tracing::info!(
                chunks = report.chunks,
                samples_in_log = report.points,
                "late samples are there"
            );
        }
    }

    /// Tells the operator.
    fn log(&self, head: &Head) {
        let replay = &self.replay;
        if let Some(repaired) = &self.repaired {
            tracing::warn!(%repaired, "the log was damaged");
        }
        self.log_wbl_report();
        if replay.unknown_records > 0 {
            tracing::warn!(
                records = replay.unknown_records,
                "the log has records of types newer than this version: passed over"
            );
        }
        if replay.unknown_refs > 0 {
            tracing::warn!(
                entries = replay.unknown_refs,
                "the log has samples of series that it does not name: passed over"
            );
        }
        if replay.chunks_skipped > 0 || replay.chunk_overlaps > 0 {
            tracing::warn!(
                chunks = replay.chunks_skipped,
                series_replaced = replay.chunk_overlaps,
                "chunk files have chunks that can't follow what is there: their samples come from the log"
            );
        }
        if replay.invalid_histograms > 0 {
            tracing::warn!(
                histograms = replay.invalid_histograms,
                "the log has native histograms that are none, or of a schema newer than this version: passed over"
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
