//! Result of a recovery: counts, repairs, lost samples.

use crate::tsdb::db::recovery::chunk_loss::LostSeries;
use crate::tsdb::db::recovery::wbl_replay::WblRecovery;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::report::ReplayReport;
use crate::tsdb::wal::repair::RepairReport;
use std::time::Duration;

/// Result of a recovery.
#[derive(Debug)]
pub struct RecoveryReport {
    /// Counts of the WAL replay.
    pub replay: ReplayReport,
    /// Corruption of the WAL that was cut off or moved to the quarantine.
    pub repaired: Option<RepairReport>,
    /// Counts and corruption of the WBL replay.
    pub wbl: WblRecovery,
    /// Samples that only quarantined chunk files contain, by series.
    #[cfg_attr(
        not(feature = "testing"),
        expect(dead_code, reason = "logged and written to a file")
    )]
    pub lost: Vec<LostSeries>,
    /// Duration of the recovery.
    pub duration: Duration,
}

impl RecoveryReport {
    /// Logs the result of the WBL replay.
    fn log_wbl_report(&self) {
        let WblRecovery { report, repaired } = &self.wbl;
        if let Some(repaired) = repaired {
            log_repair("WBL", repaired);
        }
        if report.unknown_refs > 0 || report.invalid_histograms > 0 || report.unknown_records > 0 {
            tracing::warn!(
                unknown_series = report.unknown_refs,
                invalid_histograms = report.invalid_histograms,
                other_records = report.unknown_records,
                "skipped unusable entries of the WBL"
            );
        }
        if report.chunks > 0 || report.samples > 0 {
            tracing::info!(
                chunks = report.chunks,
                samples_in_log = report.samples,
                "replayed out-of-order samples"
            );
        }
    }

    /// Logs the result of the recovery.
    pub(super) fn log(&self, head: &Head) {
        let replay = &self.replay;
        if let Some(repaired) = &self.repaired {
            log_repair("WAL", repaired);
        }
        self.log_wbl_report();
        if replay.unknown_records > 0 {
            tracing::warn!(
                records = replay.unknown_records,
                "skipped WAL records with unknown type"
            );
        }
        if replay.unknown_refs > 0 {
            tracing::warn!(entries = replay.unknown_refs, "skipped WAL entries of unknown series");
        }
        if replay.chunks_skipped > 0 || replay.chunk_overlaps > 0 {
            tracing::warn!(
                chunks = replay.chunks_skipped,
                series_replaced = replay.chunk_overlaps,
                "skipped head chunks that overlap, reading their samples from the WAL"
            );
        }
        if replay.invalid_histograms > 0 {
            tracing::warn!(
                histograms = replay.invalid_histograms,
                "skipped invalid native histograms in the WAL"
            );
        }
        tracing::info!(
            series = head.series_count(),
            samples = replay.samples,
            exemplars = head.exemplars().counts().exemplars,
            samples_in_chunks = replay.samples_in_chunks,
            samples_in_blocks = replay.samples_before_head,
            orphaned_chunks = replay.orphaned_chunks,
            duration = ?self.duration,
            "replay completed"
        );
    }
}

fn log_repair(log: &'static str, repaired: &RepairReport) {
    let RepairReport { corruption, retained_bytes, removed_bytes, quarantined, .. } = repaired;
    let moved_to = quarantined.as_ref().map(|moved| moved.folder.display().to_string());
    tracing::warn!(
        log,
        file = %corruption.path.display(),
        offset = corruption.offset,
        extent = ?corruption.extent,
        cause = %corruption.reason,
        retained_bytes,
        removed_bytes,
        moved_to,
        "repaired corrupted log"
    );
}
