//! Replay of out-of-order samples into the head, and repair of a corrupted WBL.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::db::wbl;
use crate::tsdb::db::wbl::WblError;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::wbl::{WblReplay, WblReplayOutcome, WblReplayReport};
use crate::tsdb::wal::reader::ReadLogError;
use crate::tsdb::wal::repair::{RepairReport, repair};
use crate::tsdb::wal::segment::list_segments;
use hashbrown::HashMap;
use std::path::Path;

/// Result of a WBL replay.
#[derive(Debug, Default)]
pub struct WblRecovery {
    /// Counts of the replay.
    pub report: WblReplayReport,
    /// Corruption that was cut off or quarantined.
    pub repaired: Option<RepairReport>,
}

impl WblRecovery {
    /// Returns `true` if the WBL has samples of series that the head does not have.
    #[must_use]
    pub fn has_unknown_series(&self) -> bool {
        self.report.unknown_refs > 0
    }
}

/// Input of a WBL replay: a head with its series, and what the WAL replay found.
pub(super) struct WblReplayInput<'a> {
    pub(super) head: &'a Head,
    /// Out-of-order chunks in `chunks_head/`.
    pub(super) chunks: &'a [HeadChunkMeta],
    /// Aliases of series that the WAL replay found.
    pub(super) aliases: HashMap<SeriesRef, SeriesRef>,
}

impl WblReplayInput<'_> {
    /// Replays the WBL. Repairs it if it is corrupted.
    ///
    /// # Errors
    /// [`WblError`] if the WBL cannot be read or repaired.
    pub(super) fn replay(
        self,
        shared: &DbShared,
        quarantine: &Path,
    ) -> Result<WblRecovery, WblError> {
        let options = shared.options();
        let dir = wbl::dir(options);
        let files = if dir.is_dir() { list_segments(&dir)? } else { Vec::new() };
        let WblReplayOutcome { report, corruption } =
            WblReplay::new(self.head, self.chunks, self.aliases)
                .run(&files, shared.replay_progress());
        let repaired = match corruption {
            None => None,
            Some(ReadLogError::Corrupted(corruption)) => {
                Some(repair(&*options.disk, &dir, quarantine, &corruption)?)
            }
            Some(error) => return Err(WblError::Read(error)),
        };
        Ok(WblRecovery { report, repaired })
    }
}
