//! WAL truncation: replaces the oldest segments, which blocks cover, by a checkpoint.

use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::state::maintenance_lock::MaintenanceState;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::head::Head;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::wal::checkpoint_writer::WriteCheckpointError;
use crate::tsdb::wal::truncation::{
    RemovalReport, TruncateError, TruncatedSegments, TruncationReport,
    WalTruncation as LogTruncation,
};
use crate::tsdb::wal::write_log::Wal;
use std::sync::atomic::Ordering;

/// Truncation of the WAL behind the head.
pub(super) struct WalTruncation<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) head: &'a Head,
    pub(super) wal: &'a Wal,
}

impl WalTruncation<'_> {
    /// Truncates the WAL if the head was truncated since the last time.
    pub(super) fn run_if_due(&self, state: &mut MaintenanceState) -> Result<(), MaintenanceError> {
        let mint = self.head.truncated_before();
        if state.log_truncated.is_none_or(|done| done >= mint) || self.shared.is_stopping() {
            return Ok(());
        }
        let head_truncation = HeadTruncation::new(self.head);
        let report = self.truncate(&head_truncation, mint)?;
        state.log_truncated = Some(mint);
        let stats = self.shared.stats();
        stats.wal_truncations.observe(report.duration);
        // Without a part the WAL was too short to truncate.
        if let Some(part) = &report.part {
            head_truncation.expire_before(mint);
            warn_of_failed_removal("WAL segments", &part.segments);
            stats.checkpoint_deletions.fetch_add(1, Ordering::Relaxed);
            if warn_of_failed_removal("checkpoints", &part.checkpoints) {
                stats.checkpoint_deletions_failed.fetch_add(1, Ordering::Relaxed);
            }
            let (last_segment, duration) = (part.last, report.duration);
            tracing::info!(last_segment, ?duration, "truncated WAL");
        }
        Ok(())
    }

    fn truncate(
        &self,
        head_truncation: &HeadTruncation<'_>,
        mint: i64,
    ) -> Result<TruncationReport, MaintenanceError> {
        let (shared, stats) = (self.shared, self.shared.stats());
        let keep = |series| head_truncation.must_checkpoint(series, mint);
        let truncation = LogTruncation { mint, is_live: &keep };
        let result = truncation.run_while(self.wal, &|| !shared.is_stopping());
        // Counted afterwards, because only the result shows whether a checkpoint was needed.
        if matches!(
            &result,
            Ok(TruncationReport { part: Some(TruncatedSegments { checkpoint: Some(_), .. }), .. })
        ) || matches!(&result, Err(TruncateError::Checkpoint(_)))
        {
            stats.checkpoints.fetch_add(1, Ordering::Relaxed);
        }
        result.map_err(|error| {
            if matches!(error, TruncateError::Checkpoint(WriteCheckpointError::Stopped)) {
                return MaintenanceError::Cancelled;
            }
            if matches!(error, TruncateError::Checkpoint(_)) {
                stats.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
            }
            shared.report_failure("truncate the WAL", error)
        })
    }
}

/// Logs files that could not be removed, and returns `true` if there are any. Readers ignore them,
/// and a later truncation removes them.
pub(super) fn warn_of_failed_removal(files: &'static str, removal: &RemovalReport) -> bool {
    if let Some(error) = &removal.error {
        tracing::warn!(files, %error, "cannot remove obsolete files, next truncation retries");
    }
    removal.error.is_some()
}
