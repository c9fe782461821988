//! Parts of a ready database.

use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::state::maintenance_lock::MaintenanceLock;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::wbl_batch::WriteLogs;
use crate::tsdb::wal::write_log::{LogHealth, Wal};
use std::sync::OnceLock;

/// Head, logs, blocks and maintenance lock. Exists once the replay has finished.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) head: Head,
    pub(crate) wal: Wal,
    /// Log of out-of-order samples; see [`crate::tsdb::db::wbl`].
    pub(crate) wbl: OnceLock<Wal>,
    pub(crate) blocks: BlockSet,
    pub(crate) maintenance_lock: MaintenanceLock,
    /// Counts of chunks and samples that were written to blocks.
    pub(crate) compact_stats: CompactStats,
}

impl Engine {
    /// Worse one of the states of WAL and WBL.
    pub(crate) fn log_health(&self) -> LogHealth {
        worst_of(self.wal.health(), self.wbl.get().map_or(LogHealth::Healthy, Wal::health))
    }

    /// Checks whether a new request may append, with [`Wal::check_writable`] of both logs.
    pub(crate) fn check_writable(&self) -> LogHealth {
        worst_of(
            self.wal.check_writable(),
            self.wbl.get().map_or(LogHealth::Healthy, Wal::check_writable),
        )
    }

    /// WAL and WBL, for an append.
    pub(crate) fn logs(&self) -> WriteLogs<'_> {
        WriteLogs { wal: &self.wal, wbl: self.wbl.get() }
    }

    /// Returns `true` if the oldest range of the head should be compacted.
    pub(crate) fn needs_head_compaction(&self) -> bool {
        self.head.times().is_compactable()
    }
}

fn worst_of(first: LogHealth, second: LogHealth) -> LogHealth {
    match (&first, &second) {
        (LogHealth::Failed(_), _)
        | (LogHealth::NoSpace(_), LogHealth::Healthy | LogHealth::NoSpace(_)) => first,
        _ => second,
    }
}
