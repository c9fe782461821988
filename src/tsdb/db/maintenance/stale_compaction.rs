//! Series that have ended leave the head early, where they are many: their samples become blocks with a hint, one for each range of time.
//!
//! Off unless `stale_series_compaction_threshold` is set: a Prometheus older than the hint would take such a block for the head's whole past.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{MaintenanceRun, head_source};
use crate::tsdb::head::Head;
use crate::tsdb::head::truncation::{HeadTruncation, StaleSeries};
use crate::tsdb::query::source::{BlockSource, ChunkSeriesSet, QueryError};
use crate::tsdb::wal::batch::LogBatch;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Where the next compaction of the head comes within this time, ms, it is not worth it.
const SOON_MS: i64 = 10 * 60_000;

/// Chosen series of the head.
struct SelectedSeries<'a> {
    head: &'a Head,
    /// By labels.
    series: &'a [StaleSeries],
}

impl SelectedSeries<'_> {
    /// The ranges of `width` ms, counted from time 0, that have a part of a chunk, oldest first. Of
    /// times between chunks there is none, however far these lie apart.
    fn ranges(&self, width: i64) -> Result<Vec<TimeRange>, QueryError> {
        let mut ranges = BTreeMap::new();
        for series in self.select(&[], TimeRange::ALL)? {
            for chunk in series?.chunks {
                let mut range = TimeRange::aligned(chunk.mint, width);
                ranges.insert(range.mint, range);
                while range.maxt < chunk.maxt {
                    range = TimeRange::aligned(range.end(), width);
                    ranges.insert(range.mint, range);
                }
            }
        }
        Ok(ranges.into_values().collect())
    }
}

impl BlockSource for SelectedSeries<'_> {
    /// All of them, whatever the matchers: only whole blocks are made of it.
    fn select(&self, _: &[Matcher], range: TimeRange) -> Result<ChunkSeriesSet<'_>, QueryError> {
        Ok(self.head.series_set(self.series.iter().map(|one| &one.series), range))
    }
}

impl MaintenanceRun<'_> {
    pub(super) fn compact_stale(&mut self) -> Result<(), MaintenanceError> {
        let (db, head) = (self.db, &self.engine.head);
        let stale = head.stats().stale_series.load(Ordering::Relaxed).max(0);
        let (threshold, all) = (db.settings().stale_series_threshold, head.series_count());
        let is_due = threshold > 0.0 && all > 0 && stale as f64 / all as f64 >= threshold;
        if !is_due || self.is_head_compacted_soon() || self.is_closing() {
            return Ok(());
        }
        db.stats.stale_compactions_triggered.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let done = self.compact_stale_now();
        match &done {
            Ok(collected) => {
                db.stats.stale_compactions.observe(begun.elapsed().as_secs_f64());
                tracing::info!(series = collected, took = ?begun.elapsed(), "stale series have left the head");
            }
            Err(MaintenanceError::Cancelled) => {}
            Err(_) => _ = db.stats.stale_compactions_failed.fetch_add(1, Ordering::Relaxed),
        }
        done.map(drop)
    }

    fn is_head_compacted_soon(&self) -> bool {
        let range = self.db.options.chunk_range_ms;
        self.turn
            .state
            .head_compacted_at
            .is_some_and(|at| self.now_ms.saturating_add(SOON_MS) > at.saturating_add(range))
    }

    fn compact_stale_now(&self) -> Result<usize, MaintenanceError> {
        let (head, wal) = (&self.engine.head, &self.engine.wal);
        let range = self.db.options.chunk_range_ms;
        let truncation = HeadTruncation::new(head);
        let mut series = truncation.stale_series();
        series.sort_unstable_by(|a, b| a.series.labels.cmp(&b.series.labels));
        let chosen = SelectedSeries { head, series: &series };
        let hints = CompactionHints { stale_series: true, ..CompactionHints::default() };
        for range in chosen
            .ranges(range)
            .map_err(|error| self.report_failure("read series that have ended", &error))?
        {
            let lineage = |ulid| Lineage::for_head(ulid, range.mint, range.end(), hints);
            self.write_head_block(lineage, || head_source(head, &chosen))?;
        }
        self.check()?;
        let mut batch = LogBatch::default();
        let collected = truncation.gc_stale_series(&series, |refs| {
            refs.iter().for_each(|one| batch.push_tombstones(*one, &[TimeRange::ALL]));
            wal.enqueue(&mut batch);
        });
        // What is not in the log after a crash comes back into the head, beside its block.
        wal.wait(wal.position())
            .map_err(|error| self.report_failure("log the series that were collected", &error))?;
        Ok(collected)
    }
}
