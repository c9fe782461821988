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
use crate::tsdb::db::maintenance::head_block::HeadBlockWriter;
use crate::tsdb::db::state::maintenance_lock::MaintenanceState;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::head::Head;
use crate::tsdb::head::read::compaction_source::InOrderSource;
use crate::tsdb::head::read::snapshot::HeadSnapshot;
use crate::tsdb::head::truncation::stale::{StaleSeries, StaleSeriesGc};
use crate::tsdb::query::source::{BlockSource, ChunkSeriesSet, QueryError};
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::write_log::Wal;
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
    /// The series may receive samples of further requests.
    snapshot: HeadSnapshot<'a>,
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
            .as_of(self.snapshot.clone())
            .series_set(self.series.iter().map(|stale| &stale.series), range))
    }
}

/// Compaction of the stale series of the head.
pub(super) struct StaleSeriesCompaction<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) head: &'a Head,
    pub(super) wal: &'a Wal,
    pub(super) writer: HeadBlockWriter<'a>,
    pub(super) now_ms: i64,
}

impl StaleSeriesCompaction<'_> {
    /// Compacts stale series if there are many, unless the head is compacted soon.
    pub(super) fn run_if_due(&self, state: &MaintenanceState) -> Result<(), MaintenanceError> {
        let (shared, head) = (self.shared, self.head);
        let stale = head.stats().stale_series.load(Ordering::Relaxed).max(0);
        let (threshold, all) = (shared.settings().stale_series_threshold, head.series_count());
        let is_due = threshold > 0.0 && all > 0 && stale as f64 / all as f64 >= threshold;
        if !is_due || self.is_head_compacted_soon(state) || shared.is_stopping() {
            return Ok(());
        }
        let stats = shared.stats();
        stats.stale_compactions_triggered.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let result = self.compact();
        match &result {
            Ok(collected) => {
                let duration = started.elapsed();
                stats.stale_compactions.observe(duration.as_secs_f64());
                tracing::info!(series = collected, ?duration, "compacted stale series");
            }
            Err(MaintenanceError::Cancelled) => {}
            Err(_) => _ = stats.stale_compactions_failed.fetch_add(1, Ordering::Relaxed),
        }
        result.map(drop)
    }

    fn is_head_compacted_soon(&self, state: &MaintenanceState) -> bool {
        let range = self.shared.options().chunk_range_ms;
        state
            .head_compacted_at
            .is_some_and(|at| self.now_ms.saturating_add(SOON_MS) > at.saturating_add(range))
    }

    /// Returns the number of collected series.
    fn compact(&self) -> Result<usize, MaintenanceError> {
        let (shared, head, wal) = (self.shared, self.head, self.wal);
        let stale_gc = StaleSeriesGc::new(head);
        let mut series = stale_gc.find();
        series.sort_unstable_by(|a, b| a.series.labels.cmp(&b.series.labels));
        let selected = SelectedSeries { head, series: &series, snapshot: head.snapshot() };
        let hints = CompactionHints { stale_series: true, ..CompactionHints::default() };
        for range in selected
            .ranges(shared.options().chunk_range_ms)
            .map_err(|error| shared.report_failure("read stale series", error))?
        {
            let lineage = |ulid| Lineage::for_head(ulid, range.mint, range.end(), hints);
            self.writer.write(lineage, &selected)?;
        }
        shared.check_stop()?;
        let mut batch = LogBatch::default();
        let collected = stale_gc.collect(&series, |refs| {
            refs.iter().for_each(|series| batch.push_tombstones(*series, &[TimeRange::ALL]));
            wal.enqueue(&mut batch);
        });
        // If a crash loses this record, replay restores the series, in addition to its block.
        wal.wait(wal.position())
            .map_err(|error| shared.report_failure("log collected stale series", error))?;
        Ok(collected)
    }
}
