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
    /// Whether the head makes no blocks, as the log has native histograms of its time that this version can't put into one.
    pub(super) is_head_held: bool,
}

impl Engine {
    /// Whether the head's beginning should become a block.
    pub(super) fn is_head_due(&self) -> bool {
        !self.is_head_held && self.head.is_compactable()
    }
}
