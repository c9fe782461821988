//! OOO compaction: writes out-of-order samples to blocks with the hint `from-out-of-order`, one per
//! block range. Block compaction then merges them with the blocks that they overlap.
//!
//! # Ordering
//! 1. Start a new segment of the WBL.
//! 2. Write all open out-of-order chunks to `chunks_head/`.
//! 3. Write the blocks.
//! 4. Drop these chunks from the head.
//! 5. Remove the older segments of the WBL.
//!
//! After a crash between two steps, samples are in blocks as well as in chunks or WBL. They are
//! compacted again, and block compaction removes the duplicates.
//!
//! Due after each head compaction. Without an out-of-order window it is also due once, for samples
//! that were accepted with another setting or by another program. A failure is retried in the next
//! run and delays nothing else.
//!
//! Source: `compactOOOHead` of Prometheus.

use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::head_block::HeadBlockWriter;
use crate::tsdb::db::maintenance::wal_truncation::warn_of_failed_removal;
use crate::tsdb::db::state::maintenance_lock::MaintenanceState;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::Head;
use crate::tsdb::head::read::compaction_source::OutOfOrderSource;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::wal::truncation::remove_segments;
use crate::tsdb::wal::write_log::Wal;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Hints of blocks with out-of-order samples only.
const OUT_OF_ORDER_HINTS: CompactionHints =
    CompactionHints { out_of_order: true, stale_series: false, selected_series: false };

/// Compaction of the out-of-order samples of the head.
pub(super) struct OutOfOrderCompaction<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) head: &'a Head,
    pub(super) wbl: Option<&'a Wal>,
    pub(super) blocks: &'a BlockSet,
    pub(super) writer: HeadBlockWriter<'a>,
}

impl OutOfOrderCompaction<'_> {
    /// Compacts the samples if that is due.
    pub(super) fn run_if_due(&self, state: &mut MaintenanceState) -> Result<(), MaintenanceError> {
        let head_stats = self.head.stats();
        let appended = head_stats.ooo_floats_appended.load(Ordering::Relaxed)
            + head_stats.ooo_histograms_appended.load(Ordering::Relaxed);
        let is_new = state.ooo_samples_compacted != Some(appended);
        let is_due = state.ooo_compaction_due || self.head.out_of_order_window() == 0;
        if !is_due || !is_new || self.shared.is_stopping() {
            return Ok(());
        }
        let result = self.compact();
        self.shared.stats().count_compaction(&result, *result.as_ref().unwrap_or(&0));
        result?;
        state.ooo_compaction_due = false;
        state.ooo_samples_compacted = Some(appended);
        Ok(())
    }

    /// Returns the number of blocks written.
    fn compact(&self) -> Result<u64, MaintenanceError> {
        let (started, shared) = (Instant::now(), self.shared);
        let next = match self.wbl {
            Some(wbl) => Some(
                wbl.next_segment()
                    .map_err(|error| shared.report_failure("create a WBL segment", error))?,
            ),
            None => None,
        };
        let source = OutOfOrderSource::prepare_while(self.head, &|| !shared.is_stopping())
            .map_err(|error| shared.report_failure("write out-of-order chunks", error))?
            .ok_or(MaintenanceError::Cancelled)?;
        let mut blocks = Vec::new();
        if let Err(error) = self.write_blocks(&source, &mut blocks) {
            // The head still has their samples.
            if let Err(error) = self.blocks.remove(&blocks) {
                tracing::warn!(%error, "cannot remove blocks of failed OOO compaction");
            }
            return Err(error);
        }
        fail_point::hit("ooo.after_block");
        let dropped = HeadTruncation::new(self.head)
            .truncate_ooo(&source)
            .map_err(|error| shared.report_failure("remove old head chunk files", error))?;
        fail_point::hit("ooo.before_wbl_truncate");
        if !shared.is_stopping() {
            self.truncate_wbl(next);
        }
        if !blocks.is_empty() {
            let duration = started.elapsed();
            shared.stats().compaction_seconds.observe(duration.as_secs_f64());
            let (series, chunks) = (source.series_count(), dropped.chunks);
            let blocks = blocks.len();
            tracing::info!(blocks, series, chunks, ?duration, "compacted out-of-order samples");
        }
        Ok(blocks.len() as u64)
    }

    fn write_blocks(
        &self,
        source: &OutOfOrderSource<'_>,
        blocks: &mut Vec<BlockUlid>,
    ) -> Result<(), MaintenanceError> {
        let ranges = source.ranges(self.shared.options().chunk_range_ms);
        for range in
            ranges.map_err(|error| self.shared.report_failure("read out-of-order chunks", error))?
        {
            fail_point::hit("ooo.before_block");
            self.shared.check_stop()?;
            let lineage =
                |ulid| Lineage::for_head(ulid, range.mint, range.end(), OUT_OF_ORDER_HINTS);
            blocks.extend(self.writer.write(lineage, source)?);
        }
        Ok(())
    }

    /// Removes WBL segments before `next`, whose samples blocks contain. Segments that cannot be
    /// removed are replayed at the next startup and removed by a later truncation.
    fn truncate_wbl(&self, next: Option<u32>) {
        let last = next.and_then(|next| next.checked_sub(1));
        if let (Some(wbl), Some(last)) = (self.wbl, last) {
            let options = wbl.options();
            let removal =
                remove_segments(&options.dir, last, &*options.disk, &|| !self.shared.is_stopping());
            warn_of_failed_removal("WBL segments", &removal);
        }
    }
}
