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
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{MaintenanceRun, head_source};
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::read::compaction_source::OutOfOrderSource;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::wal::truncation::remove_segments;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Hints of blocks with out-of-order samples only.
const OUT_OF_ORDER_HINTS: CompactionHints =
    CompactionHints { out_of_order: true, stale_series: false, selected_series: false };

impl MaintenanceRun<'_> {
    /// Runs an OOO compaction if it is due.
    pub(super) fn compact_ooo(&mut self) -> Result<(), MaintenanceError> {
        let head = &self.engine.head;
        let stats = head.stats();
        let appended = stats.ooo_floats_appended.load(Ordering::Relaxed)
            + stats.ooo_histograms_appended.load(Ordering::Relaxed);
        let is_new = self.guard.state.ooo_samples_compacted != Some(appended);
        let is_due = self.guard.state.ooo_compaction_due || head.out_of_order_window() == 0;
        if !is_due || !is_new || self.is_closing() {
            return Ok(());
        }
        let result = self.compact_ooo_now();
        self.count_compaction(&result, *result.as_ref().unwrap_or(&0));
        result?;
        self.guard.state.ooo_compaction_due = false;
        self.guard.state.ooo_samples_compacted = Some(appended);
        Ok(())
    }

    /// Returns the number of blocks written.
    fn compact_ooo_now(&self) -> Result<u64, MaintenanceError> {
        let (started, head) = (Instant::now(), &self.engine.head);
        let next = match self.engine.wbl.get() {
            Some(wbl) => Some(
                wbl.next_segment()
                    .map_err(|error| self.report_failure("create a WBL segment", &error))?,
            ),
            None => None,
        };
        let source = OutOfOrderSource::prepare_while(head, &|| !self.is_closing())
            .map_err(|error| self.report_failure("write out-of-order chunks", &error))?
            .ok_or(MaintenanceError::Cancelled)?;
        let mut blocks = Vec::new();
        if let Err(error) = self.write_ooo_blocks(&source, &mut blocks) {
            // The head still has their samples.
            if let Err(error) = self.engine.blocks.remove(&blocks) {
                tracing::warn!(%error, "cannot remove blocks of failed OOO compaction");
            }
            return Err(error);
        }
        fail_point::hit("ooo.after_block");
        let dropped = HeadTruncation::new(head)
            .truncate_ooo(&source)
            .map_err(|error| self.report_failure("remove old head chunk files", &error))?;
        fail_point::hit("ooo.before_wbl_truncate");
        if !self.is_closing() {
            self.truncate_wbl(next);
        }
        if !blocks.is_empty() {
            let duration = started.elapsed();
            self.db.stats.compaction_seconds.observe(duration.as_secs_f64());
            let (series, chunks) = (source.series_count(), dropped.chunks);
            let blocks = blocks.len();
            tracing::info!(blocks, series, chunks, ?duration, "compacted out-of-order samples");
        }
        Ok(blocks.len() as u64)
    }

    fn write_ooo_blocks(
        &self,
        source: &OutOfOrderSource<'_>,
        blocks: &mut Vec<BlockUlid>,
    ) -> Result<(), MaintenanceError> {
        let ranges = source.ranges(self.db.options.chunk_range_ms);
        for range in
            ranges.map_err(|error| self.report_failure("read out-of-order chunks", &error))?
        {
            fail_point::hit("ooo.before_block");
            self.check()?;
            let lineage =
                |ulid| Lineage::for_head(ulid, range.mint, range.end(), OUT_OF_ORDER_HINTS);
            blocks
                .extend(self.write_head_block(lineage, || head_source(&self.engine.head, source))?);
        }
        Ok(())
    }

    /// Removes WBL segments before `next`, whose samples blocks contain. Segments that cannot be
    /// removed are replayed at the next startup and removed by a later truncation.
    fn truncate_wbl(&self, next: Option<u32>) {
        let last = next.and_then(|next| next.checked_sub(1));
        if let (Some(wbl), Some(last)) = (self.engine.wbl.get(), last) {
            let options = wbl.options();
            let removal =
                remove_segments(&options.dir, last, &*options.disk, &|| !self.is_closing());
            self.report_removal("WBL segments", &removal, None);
        }
    }
}
