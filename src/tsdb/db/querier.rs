//! Queries: one consistent view of head and blocks.
//!
//! A querier pins what it reads. It holds no lock, delays no compaction, and can still read data
//! that is removed during the query.
//!
//! # Ordering
//! Blocks are pinned before series are selected in the head. If the head was truncated in between,
//! both steps are repeated. Later truncations are harmless: for a series that lost chunks, the
//! current blocks are read instead.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::db::lookup::series_chunks;
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::head::exemplars::SeriesExemplars;
use crate::tsdb::head::read::reader::{BlockFallback, HeadReader};
use crate::tsdb::query::label_source::{
    LabelCollector, LabelQueryError, LabelQueryLimits, LabelSource,
};
use crate::tsdb::query::select::{SeriesSet, merge};
use crate::tsdb::query::source::{Chunk, QueryError};

/// Read view of the database, created by [`crate::tsdb::db::database::Db::querier`].
///
/// Each selection contains everything that was acknowledged before it began.
#[derive(Debug)]
pub struct Querier<'a> {
    engine: &'a Engine,
}

impl<'a> Querier<'a> {
    pub(super) fn new(engine: &'a Engine) -> Self {
        Self { engine }
    }

    /// Returns the series that satisfy every matcher, sorted by labels, with their samples in
    /// `range`.
    ///
    /// # Errors
    /// [`QueryError`] if stored data cannot be read.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<SeriesSet<'a>, QueryError> {
        let engine = self.engine;
        loop {
            let epoch = engine.head.truncation_epoch();
            let head = HeadReader::new(&engine.head, block_fallback(engine));
            let blocks = engine.blocks.overlapping(range);
            let from_head = head.into_series(matchers, range);
            // The blocks may lack the block that caused this truncation.
            if engine.head.truncation_epoch() != epoch {
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

    /// Returns the exemplars in `range` of every series that satisfies all matchers of one of
    /// `selectors`, sorted by labels.
    #[must_use]
    pub fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<SeriesExemplars> {
        self.engine.head.exemplars().select(selectors, range)
    }

    /// Returns the sorted label names of the series that satisfy every matcher; without matchers,
    /// of all series.
    ///
    /// As in Prometheus, the head and every block that overlaps `range` count completely, including
    /// samples outside `range` and deleted series that are not cleaned up.
    ///
    /// # Errors
    /// [`LabelQueryError`] if a block cannot be read or the response exceeds `limit`.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limit: LabelQueryLimits,
    ) -> Result<Vec<String>, LabelQueryError> {
        let mut collector = LabelCollector::new(limit);
        self.offer_label_names(matchers, range, &mut collector)?;
        Ok(collector.into_sorted())
    }

    /// Returns the sorted values of a label, of the same series as [`Self::label_names`].
    ///
    /// # Errors
    /// Same as for [`Self::label_names`].
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        limit: LabelQueryLimits,
    ) -> Result<Vec<String>, LabelQueryError> {
        let mut collector = LabelCollector::new(limit);
        self.offer_label_values(name, matchers, range, &mut collector)?;
        Ok(collector.into_sorted())
    }

    /// Adds the names of [`Self::label_names`] to a collector that other sources share.
    ///
    /// # Errors
    /// Same as for [`Self::label_names`].
    pub fn offer_label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        self.query_labels(range, |source| source.label_names(matchers, collector))
    }

    /// Adds the values of [`Self::label_values`] to a collector that other sources share.
    ///
    /// # Errors
    /// Same as for [`Self::label_names`].
    pub fn offer_label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        self.query_labels(range, |source| source.label_values(name, matchers, collector))
    }

    /// Queries the head, then the blocks. In this order nothing is missed: data that has left the
    /// head by then is in a block.
    fn query_labels(
        &self,
        range: TimeRange,
        mut query: impl FnMut(&dyn LabelSource) -> Result<(), LabelQueryError>,
    ) -> Result<(), LabelQueryError> {
        let engine = self.engine;
        if engine.head.times().overlaps(range) {
            query(&engine.head)?;
        }
        engine.blocks.overlapping(range).iter().try_for_each(|block| query(&**block))
    }
}

/// Returns a function that reads the chunks of a series from the blocks that are open when it is
/// called.
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
