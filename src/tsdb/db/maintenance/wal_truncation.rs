//! WAL truncation: replaces the oldest segments, which blocks cover, by a checkpoint.

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
    /// Truncates the WAL if the head was truncated since the last time.
    pub(super) fn truncate_wal(&mut self) -> Result<(), MaintenanceError> {
        let (db, head) = (self.db, &self.engine.head);
        let mint = head.truncated_before();
        if self.guard.state.log_truncated.is_none_or(|done| done >= mint) || self.is_closing() {
            return Ok(());
        }
        let head_truncation = HeadTruncation::new(head);
        let keep = |series| head_truncation.must_checkpoint(series, mint);
        let truncation = LogTruncation { mint, is_live: &keep };
        let result = truncation.run_while(&self.engine.wal, &|| !self.is_closing());
        // Counted afterwards, because only the result shows whether a checkpoint was needed.
        if matches!(
            &result,
            Ok(TruncationReport { part: Some(TruncatedSegments { checkpoint: Some(_), .. }), .. })
        ) || matches!(&result, Err(TruncateError::Checkpoint(_)))
        {
            db.stats.checkpoints.fetch_add(1, Ordering::Relaxed);
        }
        let report = result.map_err(|error| {
            if matches!(error, TruncateError::Checkpoint(WriteCheckpointError::Stopped)) {
                return MaintenanceError::Cancelled;
            }
            if matches!(error, TruncateError::Checkpoint(_)) {
                db.stats.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
            }
            self.report_failure("truncate the WAL", &error)
        })?;
        self.guard.state.log_truncated = Some(mint);
        db.stats.wal_truncations.observe(report.duration);
        // Without a part the WAL was too short to truncate.
        if let Some(part) = &report.part {
            head_truncation.expire_before(mint);
            self.report_removal("WAL segments", &part.segments, None);
            db.stats.checkpoint_deletions.fetch_add(1, Ordering::Relaxed);
            self.report_removal(
                "checkpoints",
                &part.checkpoints,
                Some(&db.stats.checkpoint_deletions_failed),
            );
            let (last_segment, duration) = (part.last, report.duration);
            tracing::info!(last_segment, ?duration, "truncated WAL");
        }
        Ok(())
    }

    /// Logs files that could not be removed. Readers ignore them, and a later truncation removes
    /// them.
    pub(super) fn report_removal(
        &self,
        files: &'static str,
        removal: &RemovalReport,
        failures: Option<&AtomicU64>,
    ) {
        if let Some(error) = &removal.error {
            tracing::warn!(files, %error, "cannot remove obsolete files, next truncation retries");
            if let Some(failures) = failures {
                failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
