//! Records of commits that must reach the logs together with those of other commits.

use crate::tsdb::head::in_flight::slot_set::SlotSet;
use crate::tsdb::wal::group::WriteGroup;

/// Sealed records of a part of a commit.
#[derive(Debug, Default)]
pub struct CommitRecords {
    /// Records for the WAL.
    pub wal: WriteGroup,
    /// Records for the WBL.
    pub wbl: WriteGroup,
}

/// Records that are not in the log queues yet, in the order in which they must be logged.
#[derive(Debug, Default)]
pub(super) struct ParkedRecords(Vec<(usize, CommitRecords)>);

impl ParkedRecords {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds records of the commit in `slot`.
    pub(super) fn push(&mut self, slot: usize, records: CommitRecords) {
        self.0.push((slot, records));
    }

    /// Removes the records of the commits in `slots` and returns them as one part.
    pub(super) fn take(&mut self, slots: &SlotSet) -> CommitRecords {
        let mut taken = CommitRecords::default();
        for (_, mut records) in self.0.extract_if(.., |(slot, _)| slots.contains(*slot)) {
            taken.wal.append(&mut records.wal);
            taken.wbl.append(&mut records.wbl);
        }
        taken
    }
}
