//! Head compaction: writes the oldest block range of the head to a block, once the head spans one
//! and a half ranges. For the order of the steps see [`crate::tsdb::head::truncation`].

use crate::model::time::TimeRange;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::head_block::HeadBlockWriter;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::Head;
use crate::tsdb::head::read::compaction_source::InOrderSource;
use crate::tsdb::head::truncation::HeadTruncation;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Compaction of the oldest block range of the head.
pub(super) struct HeadCompaction<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) head: &'a Head,
    pub(super) writer: HeadBlockWriter<'a>,
}

impl HeadCompaction<'_> {
    /// Compacts one range, and counts the compaction and its duration.
    pub(super) fn run(&self) -> Result<(), MaintenanceError> {
        let started = Instant::now();
        let compacted = self.compact();
        let stats = self.shared.stats();
        stats.count_compaction(&compacted, 1);
        compacted?;
        stats.compaction_seconds.observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    fn compact(&self) -> Result<(), MaintenanceError> {
        let (shared, head) = (self.shared, self.head);
        let range = shared.options().chunk_range_ms;
        let Some(head_min_time) = head.times().min() else { return Ok(()) };
        let end = TimeRange::aligned(head_min_time, range).end();
        let truncation = HeadTruncation::new(head);
        truncation.close_before(end);
        // Only now is the range complete. An append in flight may have lowered its minimum time.
        let begin = truncation.min_time().unwrap_or(head_min_time).min(head_min_time);
        shared.check_stop()?;
        let lineage = |ulid| Lineage::for_head(ulid, begin, end, CompactionHints::default());
        self.writer.write(lineage, &InOrderSource::new(head))?;
        fail_point::hit("head.before_truncate");
        // If cancelled here, the next startup truncates the head.
        shared.check_stop()?;
        let gc_started = Instant::now();
        let dropped = truncation.truncate_before(end).map_err(|error| {
            shared.stats().head_truncations_failed.fetch_add(1, Ordering::Relaxed);
            shared.report_failure("remove old head chunk files", error)
        })?;
        shared.stats().head_gcs.observe(gc_started.elapsed());
        shared.stats().head_truncations.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            mint = begin,
            maxt = end,
            chunks = dropped.chunks,
            series = dropped.series,
            "compacted head"
        );
        Ok(())
    }
}
