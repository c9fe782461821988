//! Head compaction: writes the oldest block range of the head to a block, once the head spans one
//! and a half ranges. For the order of the steps see [`crate::tsdb::head::truncation`].

use crate::model::time::TimeRange;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::merge::error::MergeError;
use crate::tsdb::compact::write::{BlockSpec, MergeSource, write_block};
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{MaintenanceRun, head_source, is_cancelled, open_written_block};
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::read::compaction_source::InOrderSource;
use crate::tsdb::head::truncation::HeadTruncation;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Sets a gauge to 1 while a block is written, and back to 0 even after a panic.
struct Populating<'a>(&'a AtomicU64);

impl<'a> Populating<'a> {
    fn begin(gauge: &'a AtomicU64) -> Self {
        gauge.store(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Populating<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl MaintenanceRun<'_> {
    /// Compacts the head until its span is short enough.
    pub(super) fn compact_head(&mut self) -> Result<(), MaintenanceError> {
        while self.engine.needs_head_compaction()
            && !self.guard.is_contended()
            && !self.is_closing()
        {
            let started = Instant::now();
            self.guard.state.head_compacted_at = Some(self.now_ms);
            let compacted = self.compact_head_once();
            self.guard.state.ooo_compaction_due = true;
            self.count_compaction(&compacted, 1);
            compacted?;
            self.db.stats.compaction_seconds.observe(started.elapsed().as_secs_f64());
            // The WBL is truncated before the WAL, which may drop series that the WBL names. The
            // errors are ignored, because the run repeats these steps and reports their errors.
            drop(self.compact_ooo());
            // In each iteration, because under constant load the loop may not end soon: expired
            // blocks must not fill the disk.
            drop(self.truncate_wal());
            drop(self.apply_retention());
        }
        Ok(())
    }

    fn compact_head_once(&self) -> Result<(), MaintenanceError> {
        let (db, head) = (self.db, &self.engine.head);
        let range = db.options.chunk_range_ms;
        let Some(head_min_time) = head.times().min() else { return Ok(()) };
        let end = TimeRange::aligned(head_min_time, range).end();
        let truncation = HeadTruncation::new(head);
        truncation.close_before(end);
        // Only now is the range complete. An append in flight may have lowered its minimum time.
        let begin = truncation.min_time().unwrap_or(head_min_time).min(head_min_time);
        self.check()?;
        let lineage = |ulid| Lineage::for_head(ulid, begin, end, CompactionHints::default());
        let in_order = InOrderSource::new(head);
        self.write_head_block(lineage, || head_source(head, &in_order))?;
        fail_point::hit("head.before_truncate");
        // If cancelled here, the next startup truncates the head.
        self.check()?;
        let gc_started = Instant::now();
        let dropped = truncation.truncate_before(end).map_err(|error| {
            db.stats.head_truncations_failed.fetch_add(1, Ordering::Relaxed);
            self.report_failure("remove old head chunk files", &error)
        })?;
        db.stats.head_gcs.observe(gc_started.elapsed());
        db.stats.head_truncations.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            mint = begin,
            maxt = end,
            chunks = dropped.chunks,
            series = dropped.series,
            "compacted head"
        );
        Ok(())
    }

    /// Writes a block of the head and opens it for queries. Returns its ULID, or `None` if there
    /// were no samples for it.
    pub(super) fn write_head_block<'s>(
        &self,
        lineage: impl FnOnce(BlockUlid) -> Lineage,
        source: impl FnOnce() -> Result<MergeSource<'s>, MergeError>,
    ) -> Result<Option<BlockUlid>, MaintenanceError> {
        let (db, engine) = (self.db, self.engine);
        let ulid = self.new_ulid()?;
        let lineage = lineage(ulid);
        let source = source().map_err(|error| self.report_failure("read the head", &error))?;
        let spec = BlockSpec {
            disk: &*db.options.disk,
            dir: &db.options.dir,
            ulid,
            lineage: &lineage,
            floats: db.settings().float_encoding,
        };
        let observe = |chunk: &_| db.observe_chunk(chunk);
        let populating = Populating::begin(&db.stats.populating_block);
        let written =
            write_block(spec, vec![source], &db.write_observer(engine, &db.stopping, &observe));
        drop(populating);
        match written {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {}
            Err(error) if is_cancelled(&error) => return Err(MaintenanceError::Cancelled),
            Err(error) => return Err(self.report_failure("write a head block", &error)),
        }
        let block = open_written_block(&db.options, ulid)
            .map_err(|error| self.report_failure("open a head block", &error))?;
        engine.blocks.add(block);
        Ok(Some(ulid))
    }
}
