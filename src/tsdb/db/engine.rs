//! The parts of a database that is ready.

use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::maintenance::lock::MaintenanceLock;
use crate::tsdb::head::Head;
use crate::tsdb::head::out_of_order::wbl_batch::WriteLogs;
use crate::tsdb::wal::write_log::{LogHealth, Wal};
use std::sync::OnceLock;

/// The running parts.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) head: Head,
    pub(super) wal: Wal,
    /// The log of out-of-order samples; see [`crate::tsdb::db::wbl`].
    pub(super) wbl: OnceLock<Wal>,
    pub(super) blocks: BlockSet,
    pub(super) maintenance_lock: MaintenanceLock,
    /// What was written to blocks.
    pub(super) compact_stats: CompactStats,
}

impl Engine {
    /// Whether both logs can be written, and if not, why: the worse of the two.
    pub(super) fn log_health(&self) -> LogHealth {
        worst_of(self.wal.health(), self.wbl.get().map_or(LogHealth::Healthy, Wal::health))
    }

    /// Whether a new request may append, as [`Wal::check_writable`] says of both logs.
    pub(super) fn check_writable(&self) -> LogHealth {
        worst_of(
            self.wal.check_writable(),
            self.wbl.get().map_or(LogHealth::Healthy, Wal::check_writable),
        )
    }

    /// Both logs.
    pub(super) fn logs(&self) -> WriteLogs<'_> {
        WriteLogs { wal: &self.wal, wbl: self.wbl.get() }
    }

    /// Whether the head's beginning should become a block.
    pub(super) fn needs_head_compaction(&self) -> bool {
        self.head.is_compactable()
    }
}

fn worst_of(one: LogHealth, other: LogHealth) -> LogHealth {
    match (&one, &other) {
        (LogHealth::Failed(_), _)
        | (LogHealth::NoSpace(_), LogHealth::Healthy | LogHealth::NoSpace(_)) => one,
        _ => other,
    }
}
