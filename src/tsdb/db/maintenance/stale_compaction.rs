//! Stale-series compaction: if many series are stale, writes their samples to blocks with the hint
//! `from-stale-series`, one per block range, and removes the series from the head.
//!
//! Disabled unless `stale_series_compaction_threshold` is set. A Prometheus that is older than the
//! hint would assume that such a block contains the whole head before its maximum time.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::{MaintenanceRun, head_source};
use crate::tsdb::head::Head;
use crate::tsdb::head::read::compaction_source::InOrderSource;
use crate::tsdb::head::truncation::stale::{StaleSeries, StaleSeriesGc};
use crate::tsdb::query::source::{BlockSource, ChunkSeriesSet, QueryError};
use crate::tsdb::wal::batch::LogBatch;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Minimum time until the next expected head compaction for this to be useful, ms.
const SOON_MS: i64 = 10 * 60_000;

/// Selected series of the head.
struct SelectedSeries<'a> {
    head: &'a Head,
    /// Stale series, sorted by labels.
    series: &'a [StaleSeries],
}

impl SelectedSeries<'_> {
    /// Returns the aligned ranges of `width` ms that a chunk overlaps, oldest first. A gap between
    /// chunks costs nothing, however long it is.
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
    /// Returns all series for any matchers, because only complete blocks are made of them.
    fn select(&self, _: &[Matcher], range: TimeRange) -> Result<ChunkSeriesSet<'_>, QueryError> {
        Ok(InOrderSource::new(self.head)
            .series_set(self.series.iter().map(|stale| &stale.series), range))
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
        let started = Instant::now();
        let result = self.compact_stale_now();
        match &result {
            Ok(collected) => {
                let duration = started.elapsed();
                db.stats.stale_compactions.observe(duration.as_secs_f64());
                tracing::info!(series = collected, ?duration, "compacted stale series");
            }
            Err(MaintenanceError::Cancelled) => {}
            Err(_) => _ = db.stats.stale_compactions_failed.fetch_add(1, Ordering::Relaxed),
        }
        result.map(drop)
    }

    fn is_head_compacted_soon(&self) -> bool {
        let range = self.db.options.chunk_range_ms;
        self.guard
            .state
            .head_compacted_at
            .is_some_and(|at| self.now_ms.saturating_add(SOON_MS) > at.saturating_add(range))
    }

    fn compact_stale_now(&self) -> Result<usize, MaintenanceError> {
        let (head, wal) = (&self.engine.head, &self.engine.wal);
        let range = self.db.options.chunk_range_ms;
        let stale_gc = StaleSeriesGc::new(head);
        let mut series = stale_gc.find();
        series.sort_unstable_by(|a, b| a.series.labels.cmp(&b.series.labels));
        let selected = SelectedSeries { head, series: &series };
        let hints = CompactionHints { stale_series: true, ..CompactionHints::default() };
        for range in selected
            .ranges(range)
            .map_err(|error| self.report_failure("read stale series", &error))?
        {
            let lineage = |ulid| Lineage::for_head(ulid, range.mint, range.end(), hints);
            self.write_head_block(lineage, || head_source(head, &selected))?;
        }
        self.check()?;
        let mut batch = LogBatch::default();
        let collected = stale_gc.collect(&series, |refs| {
            refs.iter().for_each(|series| batch.push_tombstones(*series, &[TimeRange::ALL]));
            wal.enqueue(&mut batch);
        });
        // If a crash loses this record, replay restores the series, in addition to its block.
        wal.wait(wal.position())
            .map_err(|error| self.report_failure("log collected stale series", &error))?;
        Ok(collected)
    }
}
