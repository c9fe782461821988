//! Report of the samples that were lost with quarantined chunk files: in the log, and as a list
//! next to the files.

use crate::tsdb::chunk::head_chunks::QuarantinedChunks;
use crate::tsdb::db::recovery::chunk_loss::{Holders, LostSeries, write_list};
use crate::tsdb::fs::disk::Disk;
use std::path::PathBuf;

/// Maximum number of series with lost samples that are logged individually.
const LOGGED_LOST_SERIES: usize = 100;

/// Chunk files of the head that were moved to the quarantine.
pub(super) struct QuarantinedHeadChunks {
    /// Paths in the quarantine.
    pub(super) moved_to: Vec<PathBuf>,
    pub(super) chunks: QuarantinedChunks,
}

impl QuarantinedHeadChunks {
    /// Finds the samples that nothing else contains, logs the first series, and writes the list of
    /// all series next to the quarantined files.
    pub(super) fn report_lost(self, disk: &dyn Disk, holders: &Holders<'_>) -> Vec<LostSeries> {
        let lost = holders.find_lost(&self.chunks).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot compare quarantined chunk files with stored samples");
            Vec::new()
        });
        if lost.is_empty() {
            return lost;
        }
        for series in lost.iter().take(LOGGED_LOST_SERIES) {
            let LostSeries { range, samples, .. } = series;
            let (mint, maxt) = (range.mint, range.maxt);
            tracing::error!(%series, mint, maxt, samples, "lost samples");
        }
        let samples: u64 = lost.iter().map(|series| series.samples).sum();
        let list =
            self.moved_to.last().map(|path| path.with_added_extension("lost")).unwrap_or_default();
        let written = write_list(disk, &list, &lost);
        let (series, list) = (lost.len(), list.display());
        match written {
            Ok(()) => {
                tracing::error!(series, samples, %list, "lost samples of quarantined chunk files")
            }
            Err(error) => {
                tracing::error!(series, samples, %error, "cannot write list of lost samples")
            }
        }
        lost
    }
}
