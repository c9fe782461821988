//! The log loses what blocks have: its older part becomes a checkpoint.

use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::Round;
use crate::tsdb::head::truncation::Truncation;
use crate::tsdb::wal::checkpoint_writer::CheckpointWriteError;
use crate::tsdb::wal::truncation::{Removal, TruncateError, Truncated, TruncatedPart, Truncation as LogTruncation};
use std::sync::atomic::{AtomicU64, Ordering};

impl Round<'_> {
    /// Truncates the log where the head was truncated since the last time.
    pub(super) fn truncate_log(&mut self) -> Result<(), MaintenanceError> {
        let (db, head) = (self.db, &self.engine.head);
        let mint = head.truncated_before();
        if self.turn.memory.log_truncated.is_none_or(|done| done >= mint) || self.is_closing() {
            return Ok(());
        }
        let series = Truncation::new(head);
        let keep = |one| series.keeps(one, mint);
        let truncation = LogTruncation { mint, keep: &keep };
        let done = truncation.run_while(&self.engine.wal, &|| !self.is_closing());
        // Counted only now: whether there is anything to make a checkpoint of is known afterwards,
        // and no counter may fall.
        if matches!(&done, Ok(Truncated { part: Some(TruncatedPart { checkpoint: Some(_), .. }), .. }))
            || matches!(&done, Err(TruncateError::Checkpoint(_)))
        {
            db.stats.checkpoints.fetch_add(1, Ordering::Relaxed);
        }
        let done = done.map_err(|error| {
            if matches!(error, TruncateError::Checkpoint(CheckpointWriteError::Stopped)) {
                return MaintenanceError::Cancelled;
            }
            if matches!(error, TruncateError::Checkpoint(_)) {
                db.stats.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
            }
            self.failed("truncate the log", &error)
        })?;
        self.turn.memory.log_truncated = Some(mint);
        db.stats.wal_truncations.observe(done.took);
        // Without a part the log was too short.
        if let Some(part) = &done.part {
            series.log_begins_at(mint);
            self.note("segments of the log", &part.segments, None);
            db.stats.checkpoint_deletions.fetch_add(1, Ordering::Relaxed);
            self.note("old checkpoints", &part.checkpoints, Some(&db.stats.checkpoint_deletions_failed));
            tracing::info!(last_segment = part.last, took = ?done.took, "the log begins with a new checkpoint");
        }
        Ok(())
    }

    /// What could not be removed is ignored by readers, and goes the next time.
    pub(super) fn note(&self, what: &'static str, removal: &Removal, failures: Option<&AtomicU64>) {
        if let Some(error) = &removal.error {
            tracing::warn!(%error, "can't remove all {what}; the next truncation tries again");
            if let Some(failures) = failures {
                failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
