//! The beginning of the head becomes a block of its own range, as soon as the head spans one and a half.
//!
//! [`crate::tsdb::head::truncation`] tells the order of the steps and why nothing is lost between them.

use crate::model::time::TimeRange;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::facts::Hints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::write::{BlockPlan, Source, write_block};
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{Round, head_source, is_stopped, opened};
use crate::tsdb::fs::fault;
use crate::tsdb::head::ooo::source::InOrder;
use crate::tsdb::head::truncation::Truncation;
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

impl Round<'_> {
    /// Makes blocks of the head until it is short enough.
    pub(super) fn compact_head(&mut self) -> Result<(), MaintenanceError> {
        while self.engine.is_head_due() && !self.turn.is_wanted() && !self.is_closing() {
            let begun = Instant::now();
            self.turn.memory.head_compacted_at = Some(self.now_ms);
            let compacted = self.compact_head_once();
            self.turn.memory.late_is_due = true;
            self.count_compaction(&compacted, 1);
            compacted?;
            self.db.stats.compaction_seconds.observe(begun.elapsed().as_secs_f64());
            // Their log must not wait either; and it ends before the other log may forget series that it names.
            drop(self.compact_late());
            // Where the head grows as fast as it is compacted, the log must not wait for its end. A failure is tried again there.
            drop(self.truncate_log());
        }
        Ok(())
    }

    fn compact_head_once(&self) -> Result<(), MaintenanceError> {
        let (db, head) = (self.db, &self.engine.head);
        let range = db.options.chunk_range_ms;
        let Some(begin) = head.times().min() else { return Ok(()) };
        let end = TimeRange::aligned(begin, range).end();
        let truncation = Truncation::new(head);
        truncation.close(end);
        // Nobody adds to it any more: this is where it begins.
        let begin = truncation.oldest().unwrap_or(begin).min(begin);
        self.check()?;
        let lineage = |ulid| Lineage::of_head(ulid, begin, end, Hints::default());
        let in_order = InOrder(head);
        self.write_head_block(lineage, || head_source(head, &in_order))?;
        fault::point("head.before_truncate");
        // The next start drops from the head what the block has.
        self.check()?;
        let gc = Instant::now();
        let dropped = truncation.drop_before(end).map_err(|error| {
            db.stats.head_truncations_failed.fetch_add(1, Ordering::Relaxed);
            self.failed("remove old chunk files of the head", &error)
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
        source: impl FnOnce() -> Result<Source<'s>, QueryError>,
    ) -> Result<Option<BlockUlid>, MaintenanceError> {
        let (db, engine) = (self.db, self.engine);
        let ulid = self.new_ulid()?;
        let lineage = lineage(ulid);
        let source = source().map_err(|error| self.failed("read the head", &error))?;
        let plan = BlockPlan { dir: &db.options.dir, ulid, lineage: &lineage, floats: db.settings().float_encoding };
        let observe = |chunk: &_| db.observe_chunk(chunk);
        let populating = Populating::begin(&db.stats.populating_block);
        let written = write_block(plan, vec![source], &db.watch(engine, &db.stopping, &observe));
        drop(populating);
        match written {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {}
            Err(error) if is_stopped(&error) => return Err(MaintenanceError::Cancelled),
            Err(error) => return Err(self.failed("write a block of the head", &error)),
        }
        let block = opened(&db.options.dir, ulid).map_err(|error| self.failed("open a block of the head", &error))?;
        engine.blocks.add(block);
        Ok(Some(ulid))
    }
}
