//! The log loses what blocks have: its older part becomes a checkpoint.

use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::MaintenanceRun;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::wal::checkpoint_writer::WriteCheckpointError;
use crate::tsdb::wal::truncation::{
    RemovalReport, TruncateError, TruncatedSegments, TruncationReport,
    WalTruncation as LogTruncation,
};
use std::sync::atomic::{AtomicU64, Ordering};

impl MaintenanceRun<'_> {
    /// Truncates the log where the head was truncated since the last time.
    pub(super) fn truncate_wal(&mut self) -> Result<(), MaintenanceError> {
        let (db, head) = (self.db, &self.engine.head);
        let mint = head.truncated_before();
        if self.turn.state.log_truncated.is_none_or(|done| done >= mint) || self.is_closing() {
            return Ok(());
        }
        let series = HeadTruncation::new(head);
        let keep = |one| series.must_checkpoint(one, mint);
        let truncation = LogTruncation { mint, is_live: &keep };
        let done = truncation.run_while(&self.engine.wal, &|| !self.is_closing());
        // Counted only now: whether there is anything to make a checkpoint of is known afterwards,
        // and no counter may fall.
        if matches!(
            &done,
            Ok(TruncationReport { part: Some(TruncatedSegments { checkpoint: Some(_), .. }), .. })
        ) || matches!(&done, Err(TruncateError::Checkpoint(_)))
        {
            db.stats.checkpoints.fetch_add(1, Ordering::Relaxed);
        }
        let done = done.map_err(|error| {
            if matches!(error, TruncateError::Checkpoint(WriteCheckpointError::Stopped)) {
                return MaintenanceError::Cancelled;
            }
            if matches!(error, TruncateError::Checkpoint(_)) {
                db.stats.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
            }
            self.report_failure("truncate the log", &error)
        })?;
        self.turn.state.log_truncated = Some(mint);
        db.stats.wal_truncations.observe(done.duration);
        // Without a part the log was too short.
        if let Some(part) = &done.part {
            series.expire_before(mint);
            self.report_removal("segments of the log", &part.segments, None);
            db.stats.checkpoint_deletions.fetch_add(1, Ordering::Relaxed);
            self.report_removal(
                "old checkpoints",
                &part.checkpoints,
                Some(&db.stats.checkpoint_deletions_failed),
            );
            tracing::info!(last_segment = part.last, took = ?done.duration, "the log begins with a new checkpoint");
        }
        Ok(())
    }

    /// What could not be removed is ignored by readers, and goes the next time.
    pub(super) fn report_removal(
        &self,
        what: &'static str,
        removal: &RemovalReport,
        failures: Option<&AtomicU64>,
    ) {
        if let Some(error) = &removal.error {
            tracing::warn!(%error, "can't remove all {what}; the next truncation tries again");
            if let Some(failures) = failures {
                failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
