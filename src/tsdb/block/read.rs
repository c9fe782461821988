//! Reading a block: a [`BlockSource`] over its series, and its labels.
//!
//! The matching series are picked first, each is looked up when its turn comes. What is deleted is what was deleted when the read began.
//! No lock is held: a deletion meanwhile exchanges the tombstones, this read keeps its own.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::refs::BlockSeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::series_ref_list::SeriesRefList;
use crate::tsdb::index::block_index::entry::ChunkMeta;
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

/// The series of a block that is borrowed, or held by what reads it.
fn select_series<'a>(
    block: impl Deref<Target = Block> + Send + 'a,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<ChunkSeriesSet<'a>, QueryError> {
    let picked = SeriesRefList::new(
        &block.index.select(matchers).map_err(|error| as_query_error(error.into()))?,
    );
    let tombstones = block.tombstones();
    let mut last: Option<Labels> = None;
    Ok(Box::new(picked.filter_map(move |at| {
        let series = block
            .select_chunks(at, range, &tombstones)
            .and_then(|series| block.check_sorted(&mut last, series));
        series.map_err(as_query_error).transpose()
    })))
}

impl Block {
    /// As [`BlockSource::select`]; the answer keeps the block, whatever becomes of it meanwhile.
    ///
    /// # Errors
    /// [`QueryError`] where the index can't be read.
    pub fn select_pinned(
        self: Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'static>, QueryError> {
        select_series(self, matchers, range)
    }

    /// The names and values of all labels, rising, each once; possibly the empty text among them.
    pub fn symbols(&self) -> impl Iterator<Item = Result<&str, BlockError>> {
        self.index.symbols().map(|symbol| Ok(symbol?))
    }

    /// All names of labels, sorted. Those of series that are wholly deleted are among them until the block is written anew.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        self.index.label_names()
    }

    /// All values of a label, sorted; as [`Self::label_names`] for what is deleted.
    ///
    /// # Errors
    /// [`BlockError::Corrupted`].
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, BlockError> {
        Ok(self.index.label_values(name)?)
    }

    /// The chunks of a series that overlap `range` and are not wholly deleted; `None` where there are none.
    fn select_chunks(
        &self,
        at: BlockSeriesRef,
        range: TimeRange,
        tombstones: &Tombstones,
    ) -> Result<Option<ChunkSeries>, BlockError> {
        let entry = self.index.series(at)?;
        let deleted = tombstones.get(u64::from(at.0));
        let mut chunks = Vec::new();
        for one in &entry.chunks {
            let times = TimeRange::new(one.mint, one.maxt);
            if !range.overlaps(times) || deleted.is_some_and(|deleted| deleted.covers(times)) {
                continue;
            }
            let touching = deleted.filter(|deleted| deleted.overlaps(times)).map(Arc::clone);
            chunks.push(Chunk { deleted_intervals: touching, ..self.chunk(one)? });
        }
        Ok((!chunks.is_empty()).then_some(ChunkSeries { labels: entry.labels, chunks }))
    }

    /// A chunk as it is stored.
    pub(super) fn chunk(&self, one: &ChunkMeta) -> Result<Chunk, BlockError> {
        let stored = self.chunks.chunk(one.chunk_ref)?;
        let encoding = stored.encoding();
        Ok(Chunk {
            mint: one.mint,
            maxt: one.maxt,
            encoding,
            data: ChunkData::new(stored),
            deleted_intervals: None,
        })
    }

    /// Passes a series on; one that does not come after the last would break every merge.
    fn check_sorted(
        &self,
        last: &mut Option<Labels>,
        series: Option<ChunkSeries>,
    ) -> Result<Option<ChunkSeries>, BlockError> {
        let Some(series) = series else { return Ok(None) };
        if last.as_ref().is_some_and(|last| *last >= series.labels) {
            let text = format!("{}: series {} out of order", self.dir.display(), series.labels);
            return Err(BlockError::Corrupted(text));
        }
        *last = Some(series.labels.clone());
        Ok(Some(series))
    }
}

fn as_query_error(error: BlockError) -> QueryError {
    QueryError::Corrupted(error.to_string())
}
