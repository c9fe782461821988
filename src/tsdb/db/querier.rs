//! Reading: one consistent view of head and blocks.
//!
//! A querier pins what it reads: it holds no lock, delays no compaction, and what is removed meanwhile stays readable for it. Blocks are pinned
//! first, then the series of the head are picked; if a piece of the head became a block in between, both are done anew. From then on the head
//! may lose more: what a series has lost when its turn comes is looked up in the blocks of that moment.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::lookup::series_chunks;
use crate::tsdb::head::exemplars::SeriesExemplars;
use crate::tsdb::head::read::{BlockFallback, HeadReader};
use crate::tsdb::query::label_source::{
    LabelCollector, LabelQueryError, LabelQueryLimits, LabelSource,
};
use crate::tsdb::query::select::{SeriesSet, merge};
use crate::tsdb::query::source::{Chunk, QueryError};

/// A view of the database; made by [`crate::tsdb::db::Db::querier`].
///
/// Each selection has everything that was acknowledged before it began.
#[derive(Debug)]
pub struct Querier<'a> {
    engine: Option<&'a Engine>,
}

impl<'a> Querier<'a> {
    pub(super) fn new(engine: Option<&'a Engine>) -> Self {
        Self { engine }
    }

    /// The series that satisfy every matcher, sorted by labels, with their samples in `range`. Empty until the database is ready.
    ///
    /// # Errors
    /// [`QueryError`] where stored data can't be read.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<SeriesSet<'a>, QueryError> {
        let Some(engine) = self.engine else { return merge(Vec::new()) };
        loop {
            let drops = engine.head.truncation_epoch();
            let head = HeadReader::new(&engine.head, block_fallback(engine));
            let blocks = engine.blocks.overlapping(range);
            let from_head = head.into_series(matchers, range);
            if engine.head.truncation_epoch() != drops {
                continue;
            }
            let mut sets = blocks
                .into_iter()
                .map(|block| block.select_pinned(matchers, range))
                .collect::<Result<Vec<_>, _>>()?;
            sets.push(from_head);
            return merge(sets);
        }
    }

    /// The exemplars in `range` of every series that satisfies all matchers of one of `selectors`, series sorted by labels.
    #[must_use]
    pub fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<SeriesExemplars> {
        self.engine
            .map(|engine| engine.head.exemplars().select(selectors, range))
            .unwrap_or_default()
    }

    /// The names of the labels of the series that satisfy every matcher, sorted; of everything where there is no matcher. As in Prometheus, what the
    /// head has and the blocks that overlap `range` counts, also where it lies beside the range, or is deleted and not cleaned up yet.
    ///
    /// # Errors
    /// [`LabelQueryError`] where a block can't be read, or the answer becomes too large.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limit: LabelQueryLimits,
    ) -> Result<Vec<String>, LabelQueryError> {
        let mut texts = LabelCollector::new(limit);
        self.offer_label_names(matchers, range, &mut texts)?;
        Ok(texts.into_sorted())
    }

    /// The values of a label, chosen as [`Self::label_names`] does.
    ///
    /// # Errors
    /// As [`Self::label_names`].
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        limit: LabelQueryLimits,
    ) -> Result<Vec<String>, LabelQueryError> {
        let mut texts = LabelCollector::new(limit);
        self.offer_label_values(name, matchers, range, &mut texts)?;
        Ok(texts.into_sorted())
    }

    /// [`Self::label_names`], offered to an answer that others fill too.
    ///
    /// # Errors
    /// As [`Self::label_names`].
    pub fn offer_label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        texts: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        self.query_labels(range, |source| source.label_names(matchers, texts))
    }

    /// [`Self::label_values`], offered to an answer that others fill too.
    ///
    /// # Errors
    /// As [`Self::label_names`].
    pub fn offer_label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        texts: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        self.query_labels(range, |source| source.label_values(name, matchers, texts))
    }

    /// Asks the head, then the blocks: what has left the head by then is in a block.
    fn query_labels(
        &self,
        range: TimeRange,
        mut ask: impl FnMut(&dyn LabelSource) -> Result<(), LabelQueryError>,
    ) -> Result<(), LabelQueryError> {
        let Some(engine) = self.engine else { return Ok(()) };
        if engine.head.overlaps(range) {
            ask(&engine.head)?;
        }
        engine.blocks.overlapping(range).iter().try_for_each(|block| ask(&**block))
    }
}

/// What a series has in the blocks of the moment in which it is asked for.
fn block_fallback(engine: &Engine) -> BlockFallback<'_> {
    Box::new(|labels, range| {
        let mut chunks: Vec<Chunk> = Vec::new();
        for block in engine.blocks.overlapping(range) {
            chunks.extend(series_chunks(&block, labels, range)?);
        }
        chunks.sort_by_key(|chunk| chunk.mint);
        Ok(chunks)
    })
}
