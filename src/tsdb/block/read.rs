//! Block reads: a [`BlockSource`] over the series of a block, and its labels.
//!
//! The matching series are selected first, and each one is read when the iterator reaches it. A
//! read sees the tombstones of its start. No lock is held: a later deletion replaces the
//! tombstones, and the read keeps the old ones.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::refs::BlockSeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::series_ref_list::SeriesRefList;
use crate::tsdb::block::writer::INDEX;
use crate::tsdb::chunk::chunk_segments::error::ChunkSegmentCorruption;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::index::block_index::entry::ChunkMeta;
use crate::tsdb::query::corruption::DataDefect;
use crate::tsdb::query::source::{
    BlockSource, Chunk, ChunkData, ChunkSeries, ChunkSeriesSet, QueryError,
};
use crate::tsdb::tombstones::Tombstones;
use std::ops::Deref;
use std::sync::Arc;

impl BlockSource for Block {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError> {
        select_series(self, matchers, range)
    }
}

/// Returns the matching series of a block that the result borrows or holds.
fn select_series<'a>(
    block: impl Deref<Target = Block> + Send + 'a,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<ChunkSeriesSet<'a>, QueryError> {
    let series_refs = SeriesRefList::new(&block.index.select(matchers)?);
    let tombstones = block.tombstones();
    let mut last: Option<Labels> = None;
    Ok(Box::new(series_refs.filter_map(move |at| {
        let series = block
            .select_chunks(at, range, &tombstones)
            .and_then(|series| block.check_sorted(&mut last, series));
        series.transpose()
    })))
}

impl Block {
    /// Selects series like [`BlockSource::select`]; the result keeps the block open.
    ///
    /// # Errors
    /// [`QueryError`] if the index cannot be read.
    pub fn select_pinned(
        self: Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'static>, QueryError> {
        select_series(self, matchers, range)
    }

    /// Returns the names and values of all labels, ascending and unique. May include the empty
    /// string.
    pub fn symbols(&self) -> impl Iterator<Item = Result<&str, QueryError>> {
        self.index.symbols().map(|symbol| Ok(symbol?))
    }

    /// Returns all label names, sorted. Includes those of completely deleted series until the block
    /// is rewritten.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn label_names(&self) -> Vec<String> {
        self.index.label_names()
    }

    /// Returns all values of a label, sorted. Includes deleted series like [`Self::label_names`].
    ///
    /// # Errors
    /// [`QueryError`] if the index is invalid.
    #[cfg(any(test, feature = "testing"))]
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, QueryError> {
        Ok(self.index.label_values(name)?)
    }

    /// Returns the chunks of a series that overlap `range` and are not completely deleted; `None`
    /// if there are none.
    fn select_chunks(
        &self,
        at: BlockSeriesRef,
        range: TimeRange,
        tombstones: &Tombstones,
    ) -> Result<Option<ChunkSeries>, QueryError> {
        let entry = self.index.series(at)?;
        let deleted = tombstones.get(u64::from(at.0));
        let mut chunks = Vec::new();
        for chunk_meta in &entry.chunks {
            let chunk_range = TimeRange::new(chunk_meta.mint, chunk_meta.maxt);
            if !range.overlaps(chunk_range)
                || deleted.is_some_and(|deleted| deleted.covers(chunk_range))
            {
                continue;
            }
            let overlapping =
                deleted.filter(|deleted| deleted.overlaps(chunk_range)).map(Arc::clone);
            chunks.push(Chunk { deleted_intervals: overlapping, ..self.chunk(chunk_meta)? });
        }
        Ok((!chunks.is_empty()).then_some(ChunkSeries { labels: entry.labels, chunks }))
    }

    /// Returns a chunk as stored, without tombstones.
    pub(super) fn chunk(&self, chunk_meta: &ChunkMeta) -> Result<Chunk, ChunkSegmentCorruption> {
        let stored = self.chunks.chunk(chunk_meta.chunk_ref)?;
        let encoding = stored.encoding();
        Ok(Chunk {
            mint: chunk_meta.mint,
            maxt: chunk_meta.maxt,
            encoding,
            data: ChunkData::new(stored),
            deleted_intervals: None,
        })
    }

    /// Returns the series, or an error if it is not greater than the last one: merging needs sorted
    /// input.
    fn check_sorted(
        &self,
        last: &mut Option<Labels>,
        series: Option<ChunkSeries>,
    ) -> Result<Option<ChunkSeries>, QueryError> {
        let Some(series) = series else { return Ok(None) };
        if last.as_ref().is_some_and(|last| *last >= series.labels) {
            let defect = DataDefect::SeriesOrder { series: series.labels };
            return Err(Corruption::of_file(self.dir.join(INDEX), defect).into());
        }
        *last = Some(series.labels.clone());
        Ok(Some(series))
    }
}
