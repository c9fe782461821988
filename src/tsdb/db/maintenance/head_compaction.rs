//! The beginning of the head becomes a block of its own range, as soon as the head spans one and a half.
//!
//! [`crate::tsdb::head::truncation`] tells the order of the steps and why nothing is lost between them.

use crate::model::time::TimeRange;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::write::{BlockSpec, MergeSource, write_block};
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{MaintenanceRun, head_source, is_cancelled, open_written_block};
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::out_of_order::source::InOrderSource;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::query::source::QueryError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The gauge that is 1 while a block is written, also where that panics.
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
    /// Makes blocks of the head until it is short enough.
    pub(super) fn compact_head(&mut self) -> Result<(), MaintenanceError> {
        while self.engine.needs_head_compaction() && !self.turn.is_contended() && !self.is_closing()
        {
            let begun = Instant::now();
            self.turn.state.head_compacted_at = Some(self.now_ms);
            let compacted = self.compact_head_once();
            self.turn.state.ooo_compaction_due = true;
            self.count_compaction(&compacted, 1);
            compacted?;
            self.db.stats.compaction_seconds.observe(begun.elapsed().as_secs_f64());
            // Their log must not wait either; and it ends before the other log may forget series that it names.
            drop(self.compact_ooo());
            // Where the head grows as fast as it is compacted, the log must not wait for its end. A failure is tried again there.
            drop(self.truncate_wal());
        }
        Ok(())
    }

    fn compact_head_once(&self) -> Result<(), MaintenanceError> {
        let (db, head) = (self.db, &self.engine.head);
        let range = db.options.chunk_range_ms;
        let Some(begin) = head.times().min() else { return Ok(()) };
        let end = TimeRange::aligned(begin, range).end();
        let truncation = HeadTruncation::new(head);
        truncation.close_before(end);
        // Nobody adds to it any more: this is where it begins.
        let begin = truncation.min_time().unwrap_or(begin).min(begin);
        self.check()?;
        let lineage = |ulid| Lineage::for_head(ulid, begin, end, CompactionHints::default());
        let in_order = InOrderSource(head);
        self.write_head_block(lineage, || head_source(head, &in_order))?;
        fail_point::hit("head.before_truncate");
        // The next start drops from the head what the block has.
        self.check()?;
        let gc = Instant::now();
        let dropped = truncation.truncate_before(end).map_err(|error| {
            db.stats.head_truncations_failed.fetch_add(1, Ordering::Relaxed);
            self.report_failure("remove old chunk files of the head", &error)
        })?;
        db.stats.head_gcs.observe(gc.elapsed());
        db.stats.head_truncations.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            begin,
            end,
            chunks = dropped.chunks,
            series = dropped.series,
            "the head's beginning is a block now"
        );
        Ok(())
    }

    /// Writes a block of the head and shows it to readers; its name, or `None` where there was nothing for it.
    pub(super) fn write_head_block<'s>(
        &self,
        lineage: impl FnOnce(BlockUlid) -> Lineage,
        source: impl FnOnce() -> Result<MergeSource<'s>, QueryError>,
    ) -> Result<Option<BlockUlid>, MaintenanceError> {
        let (db, engine) = (self.db, self.engine);
        let ulid = self.new_ulid()?;
        let lineage = lineage(ulid);
        let source = source().map_err(|error| self.report_failure("read the head", &error))?;
        let plan = BlockSpec {
            dir: &db.options.dir,
            ulid,
            lineage: &lineage,
            floats: db.settings().float_encoding,
        };
        let observe = |chunk: &_| db.observe_chunk(chunk);
        let populating = Populating::begin(&db.stats.populating_block);
        let written =
            write_block(plan, vec![source], &db.write_observer(engine, &db.stopping, &observe));
        drop(populating);
        match written {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {}
            Err(error) if is_cancelled(&error) => return Err(MaintenanceError::Cancelled),
            Err(error) => return Err(self.report_failure("write a block of the head", &error)),
        }
        let block = open_written_block(&db.options.dir, ulid)
            .map_err(|error| self.report_failure("open a block of the head", &error))?;
        engine.blocks.add(block);
        Ok(Some(ulid))
    }
}
