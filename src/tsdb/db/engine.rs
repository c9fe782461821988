//! The parts of a database that is ready.

use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::maintenance::turn::Turns;
use crate::tsdb::head::Head;
use crate::tsdb::head::ooo::log::Logs;
use crate::tsdb::wal::commit::{Health, Wal};
use std::sync::OnceLock;

/// The running parts.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) head: Head,
    pub(super) wal: Wal,
    /// The log of out-of-order samples; see [`crate::tsdb::db::late_log`].
    pub(super) wbl: OnceLock<Wal>,
    pub(super) blocks: BlockSet,
    pub(super) turns: Turns,
    /// What was written to blocks.
    pub(super) written: CompactStats,
}

impl Engine {
    /// Whether both logs can be written, and if not, why: the worse of the two.
    pub(super) fn log_health(&self) -> Health {
        worse(self.wal.health(), self.wbl.get().map_or(Health::Good, Wal::health))
    }

    /// Whether a new request may append, as [`Wal::admit`] says of both logs.
    pub(super) fn admit(&self) -> Health {
        worse(self.wal.admit(), self.wbl.get().map_or(Health::Good, Wal::admit))
    }

    /// Both logs.
    pub(super) fn logs(&self) -> Logs<'_> {
        Logs { wal: &self.wal, wbl: self.wbl.get() }
    }

    /// Whether the head's beginning should become a block.
    pub(super) fn is_head_due(&self) -> bool {
        self.head.is_compactable()
    }
}

fn worse(one: Health, other: Health) -> Health {
    match (&one, &other) {
        (Health::Broken(_), _) | (Health::NoSpace(_), Health::Good | Health::NoSpace(_)) => one,
        _ => other,
    }
}
