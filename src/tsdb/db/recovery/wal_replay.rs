//! Replay of checkpoint and segments into the head, and repair of a corrupted WAL.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::db::recovery::error::RecoveryError;
use crate::tsdb::db::recovery::log_files::LogFiles;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::report::{ReplayOutcome, ReplayReport};
use crate::tsdb::head::replay::wal::WalReplay;
use crate::tsdb::wal::reader::ReadLogError;
use crate::tsdb::wal::repair::{RepairReport, repair};
use hashbrown::HashMap;
use std::path::Path;

/// Input of a WAL replay.
pub(super) struct WalReplayInput<'a> {
    pub(super) head: &'a Head,
    /// M-mapped chunks of the series.
    pub(super) chunks: Vec<HeadChunkMeta>,
    pub(super) files: &'a LogFiles,
}

/// Result of a WAL replay, after a repair.
pub(super) struct WalRecovery {
    pub(super) report: ReplayReport,
    pub(super) repaired: Option<RepairReport>,
    /// Aliases of series that the replay found.
    pub(super) aliases: HashMap<SeriesRef, SeriesRef>,
}

impl WalReplayInput<'_> {
    /// Replays the files. Repairs the WAL if a segment is corrupted.
    pub(super) fn replay(
        self,
        shared: &DbShared,
        quarantine: &Path,
    ) -> Result<WalRecovery, RecoveryError> {
        let Self { head, chunks, files } = self;
        let (options, progress) = (shared.options(), shared.replay_progress());
        let (checkpoint_files, segments) = files.all.split_at(files.checkpoint_files);
        progress.start(segments);
        let ReplayOutcome { report, corruption, aliases } =
            WalReplay::new(head, chunks).run(&files.all, options.replay_workers, progress);
        // Before the repair changes a file. After corruption, a chunk may be orphaned only because
        // the record of its series was not reached, so orphaned chunks do not count then.
        let orphaned_chunks = if corruption.is_none() { report.orphaned_chunks } else { 0 };
        files.check_blank(report.unknown_refs + orphaned_chunks)?;
        let corruption = match corruption {
            None => return Ok(WalRecovery { report, repaired: None, aliases }),
            Some(ReadLogError::Corrupted(corruption)) => corruption,
            Some(error) => return Err(RecoveryError::Read(error)),
        };
        if checkpoint_files.iter().any(|file| file.path == corruption.path) {
            return Err(RecoveryError::Checkpoint(corruption));
        }
        let repaired = repair(&*options.disk, &options.dir.join("wal"), quarantine, &corruption)?;
        Ok(WalRecovery { report, repaired: Some(repaired), aliases })
    }
}
