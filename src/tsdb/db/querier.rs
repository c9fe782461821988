//! Reading: one consistent view of head and blocks.
//!
//! A querier pins what it reads: it holds no lock, delays no compaction, and what is removed meanwhile stays readable for it. Blocks are pinned
//! first, then the series of the head are picked; if a piece of the head became a block in between, both are done anew. From then on the head
//! may lose more: what a series has lost when its turn comes is looked up in the blocks of that moment.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::lookup::chunks_of;
use crate::tsdb::head::exemplars::SeriesExemplars;
use crate::tsdb::head::read::{HeadReader, Missed};
use crate::tsdb::query::select::{SeriesSet, merge};
use crate::tsdb::query::source::{Chunk, QueryError};
use std::collections::BTreeSet;

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
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet<'a>, QueryError> {
        let Some(engine) = self.engine else { return merge(Vec::new()) };
        loop {
            let drops = engine.head.drops();
            let head = HeadReader::new(&engine.head, missed(engine));
            let blocks = engine.blocks.overlapping(range);
            let from_head = head.into_series(matchers, range);
            if engine.head.drops() != drops {
                continue;
            }
            let mut sets =
                blocks.into_iter().map(|block| block.select_pinned(matchers, range)).collect::<Result<Vec<_>, _>>()?;
            sets.push(from_head);
            return merge(sets);
        }
    }

    /// The exemplars in `range` of every series that satisfies all matchers of one of `selectors`, series sorted by labels.
    #[must_use]
    pub fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<SeriesExemplars> {
        self.engine.map(|engine| engine.head.exemplars().select(selectors, range)).unwrap_or_default()
    }

    /// The names of the labels of everything that is stored, sorted.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        let Some(engine) = self.engine else { return Vec::new() };
        let mut names: BTreeSet<String> = engine.head.postings().label_names().into_iter().collect();
        engine.blocks.list().iter().for_each(|block| names.extend(block.label_names()));
        names.into_iter().collect()
    }

    /// The values of a label in everything that is stored, sorted.
    ///
    /// # Errors
    /// [`QueryError`] where a block can't be read.
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, QueryError> {
        let Some(engine) = self.engine else { return Ok(Vec::new()) };
        let mut values: BTreeSet<String> = engine.head.postings().label_values(name).into_iter().collect();
        for block in engine.blocks.list().iter() {
            values.extend(block.label_values(name).map_err(|error| QueryError::Damaged(error.to_string()))?);
        }
        Ok(values.into_iter().collect())
    }
}

/// What a series has in the blocks of the moment in which it is asked for.
fn missed(engine: &Engine) -> Missed<'_> {
    Box::new(|labels, range| {
        let mut chunks: Vec<Chunk> = Vec::new();
        for block in engine.blocks.overlapping(range) {
            chunks.extend(chunks_of(&block, labels, range)?);
        }
        chunks.sort_by_key(|chunk| chunk.mint);
        Ok(chunks)
    })
}
