//! Queries: one consistent view of head and blocks.
//!
//! A querier pins what it reads. It holds no lock, delays no compaction, and can still read data
//! that is removed during the query.
//!
//! # Visibility
//! All selections of a querier see the same requests ([`crate::tsdb::head::in_flight`]), each
//! completely or not at all, however long it takes to read them.
//!
//! # Ordering
//! A querier pins all blocks, then takes a snapshot of the requests in the head. If the head was
//! truncated in between, both steps are repeated. Later truncations are harmless: blocks that were
//! written since are read in addition, without the samples of requests that the snapshot does not
//! see. For a series that loses chunks after its selection, they are read then.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::block::open::Block;
use crate::tsdb::db::blocks::{BlockList, overlapping};
use crate::tsdb::db::lookup::series_chunks;
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::head::exemplars::SeriesExemplars;
use crate::tsdb::head::read::reader::{BlockFallback, HeadReader};
use crate::tsdb::head::read::snapshot::HeadSnapshot;
use crate::tsdb::query::label_source::{
    LabelCollector, LabelQueryError, LabelQueryLimits, LabelSource,
};
use crate::tsdb::query::select::{SeriesSet, merge};
use crate::tsdb::query::source::{Chunk, QueryError};
use std::sync::Arc;

/// Read view of the database, created by [`crate::tsdb::db::database::Db::querier`].
///
/// Its selections contain everything that was acknowledged before it was created. It should not be
/// kept longer than a query: series remember newer samples for it.
#[derive(Debug)]
pub struct Querier<'a> {
    engine: &'a Engine,
    /// Blocks that were open when the snapshot was taken.
    pinned: BlockList,
    snapshot: HeadSnapshot<'a>,
    /// Truncation epoch of the head, the same when the blocks were pinned and at the snapshot.
    epoch: u64,
}

impl<'a> Querier<'a> {
    pub(super) fn new(engine: &'a Engine) -> Self {
        loop {
            let epoch = engine.head.truncation_epoch();
            let (pinned, snapshot) = (engine.blocks.list(), engine.head.snapshot());
            // The blocks may lack the block that caused this truncation.
            if engine.head.truncation_epoch() == epoch {
                return Self { engine, pinned, snapshot, epoch };
            }
        }
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
            let newer = NewerBlocks { engine, pinned: Arc::clone(&self.pinned) };
            let written_since =
                if epoch == self.epoch { Vec::new() } else { newer.overlapping(range) };
            let head = HeadReader::new(&engine.head, self.snapshot.clone(), newer.into_fallback());
            let from_head = head.into_series(matchers, range);
            if engine.head.truncation_epoch() != epoch {
                continue;
            }
            let mut sets = overlapping(&self.pinned, range)
                .map(|block| Arc::clone(block).select_pinned(matchers, range))
                .collect::<Result<Vec<_>, _>>()?;
            for block in written_since {
                let series = block.select_pinned(matchers, range)?;
                sets.push(self.snapshot.clone().hide_in_block(series));
            }
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
        overlapping(&engine.blocks.list(), range).try_for_each(|block| query(&**block))
    }
}

/// Open blocks that a querier has not pinned.
struct NewerBlocks<'a> {
    engine: &'a Engine,
    pinned: BlockList,
}

impl<'a> NewerBlocks<'a> {
    fn overlapping(&self, range: TimeRange) -> Vec<Arc<Block>> {
        let is_pinned = |block: &Arc<Block>| {
            self.pinned.iter().any(|pinned| pinned.meta().ulid == block.meta().ulid)
        };
        let list = self.engine.blocks.list();
        overlapping(&list, range).filter(|block| !is_pinned(block)).cloned().collect()
    }

    /// Returns a function that reads the chunks of a series from the blocks that are open when it
    /// is called.
    fn into_fallback(self) -> BlockFallback<'a> {
        Box::new(move |labels, range| {
            let mut chunks: Vec<Chunk> = Vec::new();
            for block in self.overlapping(range) {
                chunks.extend(series_chunks(&block, labels, range)?);
            }
            chunks.sort_by_key(|chunk| chunk.mint);
            Ok(chunks)
        })
    }
}
