//! Samples that came late become blocks of their own, one for each range of time, with the hint from-out-of-order (`compactOOOHead` of
//! Prometheus). Compaction then merges them with the blocks that they overlap.
//!
//! ```text
//! new segment of the WBL ▶ all open chunks to chunks_head/ ▶ blocks ▶ those chunks dropped ▶ older segments of the WBL removed
//! ```
//!
//! A crash between two steps leaves late samples in blocks and in chunks or log: they are made blocks of again, and merging keeps one of each.
//! Due after each compaction of the head, and once where no window is set: what came late under another setting, or another program, goes.
//! A failure is tried again in the next round, and holds up nothing else.

use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{MaintenanceRun, head_source};
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::out_of_order::source::OutOfOrderSource;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::wal::truncation::remove_segments;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The hint of blocks of late samples.
const OUT_OF_ORDER_HINTS: CompactionHints =
    CompactionHints { out_of_order: true, stale_series: false, selected_series: false };

impl MaintenanceRun<'_> {
    /// Makes blocks of late samples where that is due.
    pub(super) fn compact_ooo(&mut self) -> Result<(), MaintenanceError> {
        let head = &self.engine.head;
        let stats = head.stats();
        let taken = stats.ooo_floats_appended.load(Ordering::Relaxed)
            + stats.ooo_histograms_appended.load(Ordering::Relaxed);
        let is_new = self.turn.state.ooo_samples_compacted != Some(taken);
        let is_due = self.turn.state.ooo_compaction_due || head.out_of_order_window() == 0;
        if !is_due || !is_new || self.is_closing() {
            return Ok(());
        }
        let done = self.compact_ooo_now();
        self.count_compaction(&done, *done.as_ref().unwrap_or(&0));
        done?;
        self.turn.state.ooo_compaction_due = false;
        self.turn.state.ooo_samples_compacted = Some(taken);
        Ok(())
    }

    /// How many blocks were made.
    fn compact_ooo_now(&self) -> Result<u64, MaintenanceError> {
        let (begun, head) = (Instant::now(), &self.engine.head);
        let next = match self.engine.wbl.get() {
            Some(wbl) => Some(
                wbl.next_segment()
                    .map_err(|error| self.report_failure("begin a segment of the WBL", &error))?,
            ),
            None => None,
        };
        let source = OutOfOrderSource::prepare_while(head, &|| !self.is_closing())
            .map_err(|error| self.report_failure("write chunks of late samples", &error))?
            .ok_or(MaintenanceError::Cancelled)?;
        let mut blocks = Vec::new();
        if let Err(error) = self.write_ooo_blocks(&source, &mut blocks) {
            // What they have is in the head still.
            if let Err(error) = self.engine.blocks.remove(&blocks) {
                tracing::warn!(%error, "can't remove blocks of late samples that would be there twice");
            }
            return Err(error);
        }
        fail_point::hit("ooo.after_block");
        let dropped = HeadTruncation::new(head)
            .truncate_ooo(&source)
            .map_err(|error| self.report_failure("remove old chunk files of the head", &error))?;
        fail_point::hit("ooo.before_wbl_truncate");
        if !self.is_closing() {
            self.truncate_wbl(next);
        }
        if !blocks.is_empty() {
            self.db.stats.compaction_seconds.observe(begun.elapsed().as_secs_f64());
            let (series, chunks) = (source.series_count(), dropped.chunks);
            tracing::info!(blocks = blocks.len(), series, chunks, took = ?begun.elapsed(), "late samples are blocks now");
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
            ranges.map_err(|error| self.report_failure("read chunks of late samples", &error))?
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

    /// What blocks have is no longer needed in the WBL. What can't be removed is read again at the next start, and goes the next time.
    fn truncate_wbl(&self, next: Option<u32>) {
        let last = next.and_then(|next| next.checked_sub(1));
        if let (Some(wbl), Some(last)) = (self.engine.wbl.get(), last) {
            let options = wbl.options();
            let removal =
                remove_segments(&options.dir, last, &*options.disk, &|| !self.is_closing());
            self.report_removal("segments of the WBL", &removal, None);
        }
    }
}
