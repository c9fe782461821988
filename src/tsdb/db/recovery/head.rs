//! Recovery of the head: from a usable chunk snapshot, or else from the m-mapped chunks and the
//! WAL; then out-of-order samples from the WBL.

use crate::model::refs::SeriesRef;
use crate::tsdb::db::recovery::chunk_snapshot::{ChunkSnapshotLoader, find_usable_snapshot};
use crate::tsdb::db::recovery::error::RecoveryError;
use crate::tsdb::db::recovery::head_chunks::EmptyHead;
use crate::tsdb::db::recovery::log_files::LogFiles;
use crate::tsdb::db::recovery::lost_samples::QuarantinedHeadChunks;
use crate::tsdb::db::recovery::wal_replay::{WalRecovery, WalReplayInput};
use crate::tsdb::db::recovery::wbl_replay::{WblRecovery, WblReplayInput};
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunk_snapshot::ChunkSnapshot;
use crate::tsdb::head::replay::report::ReplayReport;
use crate::tsdb::wal::repair::RepairReport;
use hashbrown::HashMap;
use std::path::Path;

/// Recovery of the head.
pub(super) struct HeadRecovery<'a> {
    pub(super) shared: &'a DbShared,
    /// Minimum time of the head, ms: blocks contain the in-order samples before it.
    pub(super) min_valid: i64,
    pub(super) quarantine: &'a Path,
}

/// A head that was recovered from the directory.
pub(super) struct RecoveredHead {
    pub(super) head: Head,
    pub(super) replay: ReplayReport,
    /// Corruption of the WAL that was cut off or moved to the quarantine.
    pub(super) repaired: Option<RepairReport>,
    pub(super) wbl: WblRecovery,
    /// Chunk files that were moved to the quarantine.
    pub(super) quarantined: Option<QuarantinedHeadChunks>,
    /// Aliases of series, kept only if chunk files were quarantined.
    pub(super) aliases: HashMap<SeriesRef, SeriesRef>,
}

/// Result of an attempt to recover the head from a chunk snapshot.
enum SnapshotAttempt {
    Recovered(Box<RecoveredHead>),
    /// The snapshot does not suffice.
    Failed {
        repaired_wbl: Option<RepairReport>,
        quarantined: Option<QuarantinedHeadChunks>,
    },
}

impl HeadRecovery<'_> {
    pub(super) fn run(&self) -> Result<RecoveredHead, RecoveryError> {
        let options = self.shared.options();
        // Checked even if a snapshot is used: the next startup may have to replay the WAL.
        let files = LogFiles::find(&options.dir.join("wal"))?;
        let snapshot = find_usable_snapshot(options).filter(|_| files.blank.is_none());
        let (mut repaired_wbl, mut quarantined_first) = (None, None);
        if let Some(snapshot) = snapshot {
            match self.load_snapshot(&snapshot)? {
                SnapshotAttempt::Recovered(recovered) => return Ok(*recovered),
                SnapshotAttempt::Failed { repaired_wbl: repaired, quarantined } => {
                    (repaired_wbl, quarantined_first) = (repaired, quarantined);
                }
            }
        }
        let mut recovered = self.replay_wal(&files, quarantined_first)?;
        recovered.wbl.repaired = recovered.wbl.repaired.or(repaired_wbl);
        Ok(recovered)
    }

    fn load_snapshot(&self, snapshot: &ChunkSnapshot) -> Result<SnapshotAttempt, RecoveryError> {
        let empty = EmptyHead::open(self.shared, self.min_valid, self.quarantine)?;
        let ooo_chunks = empty.out_of_order_chunks();
        let EmptyHead { head, chunks, is_whole, quarantined } = empty;
        let loader = ChunkSnapshotLoader { shared: self.shared, head: &head };
        // Only the WAL has the samples of unreadable m-mapped chunks. The snapshot does not.
        if !is_whole || !loader.load(snapshot, chunks) {
            return Ok(SnapshotAttempt::Failed { repaired_wbl: None, quarantined });
        }
        let known = WblReplayInput { head: &head, chunks: &ooo_chunks, aliases: HashMap::new() };
        let wbl = known.replay(self.shared, self.quarantine)?;
        // The WBL may name a series by an alias. Only the WAL has aliases, the snapshot does not.
        if wbl.has_unknown_series() {
            return Ok(SnapshotAttempt::Failed { repaired_wbl: wbl.repaired, quarantined });
        }
        Ok(SnapshotAttempt::Recovered(Box::new(RecoveredHead {
            head,
            replay: ReplayReport::default(),
            repaired: None,
            wbl,
            quarantined,
            aliases: HashMap::new(),
        })))
    }

    /// Replays WAL and WBL. `quarantined_first` are chunk files that an earlier attempt has
    /// quarantined.
    fn replay_wal(
        &self,
        files: &LogFiles,
        quarantined_first: Option<QuarantinedHeadChunks>,
    ) -> Result<RecoveredHead, RecoveryError> {
        let empty = EmptyHead::open(self.shared, self.min_valid, self.quarantine)?;
        let ooo_chunks = empty.out_of_order_chunks();
        let EmptyHead { head, chunks, quarantined, .. } = empty;
        let quarantined = quarantined.or(quarantined_first);
        let input = WalReplayInput { head: &head, chunks, files };
        let WalRecovery { report: replay, repaired, aliases } =
            input.replay(self.shared, self.quarantine)?;
        let kept_aliases = if quarantined.is_some() { aliases.clone() } else { HashMap::new() };
        let known = WblReplayInput { head: &head, chunks: &ooo_chunks, aliases };
        let wbl = known.replay(self.shared, self.quarantine)?;
        Ok(RecoveredHead { head, replay, repaired, wbl, quarantined, aliases: kept_aliases })
    }
}
