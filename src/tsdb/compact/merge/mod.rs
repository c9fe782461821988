//! Several sources as one: their series in order, each with chunks that do not overlap and have nothing deleted in them.
//!
//! | file          | what                                                        |
//! |---------------|-------------------------------------------------------------|
//! | [`mod@runs`]  | which chunks can be taken over as they are, pure            |
//! | [`mod@reencode`] | the others' points as new chunks                            |
//! | [`symbols`]   | the strings of several sources as one sorted list           |
//!
//! A chunk that stands alone is handed on byte for byte, whatever its encoding; one that several sources have alike, once.
//! Where chunks overlap, or a deletion or the end of the range touches one, the points are encoded anew. Of points at
//! the same time the one of the later source stands, as for queries. A series of which nothing is left is left out.
//!
//! Lazy: of each source one series is held. No lock, and nothing is written here.

pub mod reencode;
pub mod runs;
pub mod symbols;

use crate::model::matcher::error::MatcherError;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::compact::merge::reencode::reencode;
use crate::tsdb::compact::merge::runs::{MergeRun, runs};
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::select::{SeriesSet, select};
use crate::tsdb::query::source::{BlockSource, ChunkSeries, QueryError};

/// What is merged, and how.
#[derive(Clone)]
pub struct MergeInput<'a> {
    /// The sources; of points at the same time the later source's stands.
    pub sources: Vec<&'a dyn BlockSource>,
    /// The times that are wanted, both ends included.
    pub range: TimeRange,
    /// How floats of chunks that overlap are encoded anew.
    pub floats: FloatEncoding,
}

/// Why sources can't be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A source can't be read.
    #[error(transparent)]
    Source(#[from] QueryError),
    /// The condition that all series satisfy could not be made.
    #[error("can't select all series: {0}")]
    Matcher(#[from] MatcherError),
}

/// Series of several sources, merged; made by [`SeriesMerger::new`]. After an error it ends.
pub struct SeriesMerger<'a> {
    input: MergeInput<'a>,
    series: Option<SeriesSet<'a>>,
}

impl<'a> SeriesMerger<'a> {
    /// Begins with the first series.
    ///
    /// # Errors
    /// [`MergeError`] where a source can't be read.
    pub fn new(input: MergeInput<'a>) -> Result<Self, MergeError> {
        let every = Matcher::new(MatchType::Regex, "__name__", ".*")?;
        let series = select(&input.sources, &[every], input.range)?;
        Ok(Self { input, series: Some(series) })
    }

    fn try_next(&mut self) -> Result<Option<ChunkSeries>, MergeError> {
        let Some(set) = &mut self.series else { return Ok(None) };
        for series in set {
            let merged = merge_series(&series?, &self.input)?;
            if !merged.chunks.is_empty() {
                return Ok(Some(merged));
            }
        }
        Ok(None)
    }
}

impl Iterator for SeriesMerger<'_> {
    type Item = Result<ChunkSeries, MergeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.series = None;
        }
        next
    }
}

fn merge_series(series: &MergedSeries, input: &MergeInput<'_>) -> Result<ChunkSeries, MergeError> {
    let mut chunks = Vec::new();
    for run in runs(series, input.range, input.floats) {
        match run {
            MergeRun::CopyChunk(chunk) => chunks.push(chunk),
            MergeRun::Reencode(run) => reencode(series, run, &mut chunks)?,
        }
    }
    Ok(ChunkSeries { labels: series.labels().clone(), chunks })
}

#[cfg(test)]
mod tests;
