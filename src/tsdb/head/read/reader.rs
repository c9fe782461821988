//! Reader of the head for one query. It falls back to blocks for chunks that are truncated during
//! the query.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use crate::tsdb::head::read::chunk_selector::ChunkSelector;
use crate::tsdb::head::read::series_view::ChunkSelection;
use crate::tsdb::head::read::snapshot::HeadSnapshot;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::query::source::{Chunk, ChunkSeries, ChunkSeriesSet, QueryError};
use std::sync::Arc;

/// Returns the chunks of a series in a time range that are no longer in the head, from blocks that
/// the query has not pinned.
pub type BlockFallback<'a> =
    Box<dyn Fn(&Labels, TimeRange) -> Result<Vec<Chunk>, QueryError> + Send + 'a>;

/// View of the head for one query.
pub struct HeadReader<'a> {
    series: &'a SeriesStore,
    snapshot: HeadSnapshot<'a>,
    selector: ChunkSelector<'a>,
    truncated_before: i64,
    ooo_epoch: u64,
    fallback: BlockFallback<'a>,
}

impl<'a> HeadReader<'a> {
    /// Creates a reader with the head's current truncation state, for the samples that `snapshot`
    /// sees. `fallback` returns what is dropped later, for any series that was in the head.
    #[must_use]
    pub fn new(head: &'a Head, snapshot: HeadSnapshot<'a>, fallback: BlockFallback<'a>) -> Self {
        let truncation = &head.chunks.truncation;
        Self {
            series: &head.series,
            snapshot,
            selector: ChunkSelector::new(head),
            truncated_before: truncation.truncated_before(),
            ooo_epoch: truncation.ooo_epoch(),
            fallback,
        }
    }

    /// Returns the matching series, sorted by labels, with their chunks that overlap `range`.
    #[must_use]
    pub fn into_series(self, matchers: &[Matcher], range: TimeRange) -> ChunkSeriesSet<'a> {
        let series = self.series.select(matchers);
        let select = move |series| self.select_chunks(&series, range).transpose();
        Box::new(series.into_iter().filter_map(select))
    }

    fn select_chunks(
        &self,
        series: &Arc<HeadSeries>,
        range: TimeRange,
    ) -> Result<Option<ChunkSeries>, QueryError> {
        let commits = Some(self.snapshot.commits());
        let found = self.selector.select(series, range, ChunkSelection::All, commits)?;
        // Loaded after the chunks were listed: truncation publishes its time before it drops
        // chunks.
        let truncation = &self.selector.chunks().truncation;
        let truncated_before = truncation.truncated_before();
        let lost = if series.state.lock().is_collected || truncation.ooo_epoch() != self.ooo_epoch {
            range
        } else {
            TimeRange::new(
                range.mint.max(self.truncated_before),
                range.maxt.min(truncated_before.saturating_sub(1)),
            )
        };
        if lost.mint > lost.maxt {
            return Ok(found);
        }
        let mut chunks = (self.fallback)(&series.labels, lost)?;
        self.snapshot.hide_in_chunks(&series.labels, &mut chunks);
        chunks.extend(found.into_iter().flat_map(|series| series.chunks));
        Ok((!chunks.is_empty()).then(|| ChunkSeries { labels: series.labels.clone(), chunks }))
    }
}
