//! The parts of a database that is ready.

use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::maintenance::turn::Turns;
use crate::tsdb::head::Head;
use crate::tsdb::wal::commit::Wal;

/// The running parts.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) head: Head,
    pub(super) wal: Wal,
    pub(super) blocks: BlockSet,
    pub(super) turns: Turns,
    /// What was written to blocks.
    pub(super) written: CompactStats,
}

impl Engine {
    /// Whether the head's beginning should become a block.
    pub(super) fn is_head_due(&self) -> bool {
        self.head.is_compactable()
    }
}
