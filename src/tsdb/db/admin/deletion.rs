//! Deletion of samples: tombstones of blocks, and logged tombstones of the head.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::block::delete::delete;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use crate::tsdb::head::Head;
use crate::tsdb::head::deletion::HeadDeletion;
use crate::tsdb::head::tombstones::Tombstone;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::write_log::Wal;

/// Deletion of the samples in a range.
pub(super) struct Deletion<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) head: &'a Head,
    pub(super) wal: &'a Wal,
    pub(super) blocks: &'a BlockSet,
    pub(super) range: TimeRange,
}

impl Deletion<'_> {
    /// Deletes the samples of the series that satisfy every matcher. Requires the maintenance lock.
    pub(super) fn run(&self, matchers: &[Matcher]) -> Result<(), MaintenanceError> {
        for block in self.blocks.overlapping(self.range) {
            // Not `stopping`: requests in flight have time to finish after a shutdown begins.
            if self.shared.is_closing() {
                return Err(MaintenanceError::Cancelled);
            }
            delete(&block, &*self.shared.options().disk, matchers, self.range)
                .map_err(|error| self.shared.report_failure("delete from a block", error))?;
        }
        let deletion = HeadDeletion::new(self.head);
        let tombstones = deletion.plan(matchers, self.range);
        // Logged before it is applied: readers must not see a deletion that a restart loses.
        self.log(&tombstones)?;
        deletion.apply(&tombstones);
        Ok(())
    }

    fn log(&self, tombstones: &[Tombstone]) -> Result<(), MaintenanceError> {
        if tombstones.is_empty() {
            return Ok(());
        }
        WriteUnavailable::check_log(self.wal.check_writable())?;
        let mut batch = LogBatch::default();
        tombstones
            .iter()
            .for_each(|tombstone| batch.push_tombstones(tombstone.series_ref, &[tombstone.range]));
        let position = self.wal.enqueue(&mut batch);
        self.wal.wait(position).map_err(|error| self.shared.report_failure("log a deletion", error))
    }
}
