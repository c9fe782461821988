//! Merge of several sources into one stream of series, with chunks that neither overlap nor have
//! deleted samples.
//!
//! | module | contents |
//! |--------|----------|
//! | [`mod@runs`] | chunks to copy and ranges to re-encode, pure |
//! | [`mod@reencode`] | re-encoding of the other samples |
//! | [`error`] | errors of merges |
//! | [`symbols`] | merge of the strings of the sources |
//!
//! A chunk that overlaps no other is copied byte for byte, whatever its encoding. Equal chunks of
//! several sources are copied once. Samples are re-encoded if chunks overlap, or if a tombstone or
//! the end of the range cuts a chunk. At the same timestamp the later source wins, as in queries.
//! Series without remaining samples are dropped. Lazy: one series per source is held. No locks, no
//! writes.

pub mod error;
pub mod reencode;
pub mod runs;
pub mod symbols;

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::compact::merge::error::MergeError;
use crate::tsdb::compact::merge::reencode::reencode;
use crate::tsdb::compact::merge::runs::{MergeRun, runs};
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::select::{SeriesSet, select};
use crate::tsdb::query::source::{BlockSource, ChunkSeries};

/// Input of a merge.
#[derive(Clone)]
pub struct MergeInput<'a> {
    /// Sources. At the same timestamp the later one wins.
    pub sources: Vec<&'a dyn BlockSource>,
    /// Time range to merge, inclusive.
    pub range: TimeRange,
    /// Encoding for re-encoded floats of overlapping chunks.
    pub floats: FloatEncoding,
}

/// Merged series of several sources. Ends after an error.
pub struct SeriesMerger<'a> {
    input: MergeInput<'a>,
    series: Option<SeriesSet<'a>>,
}

impl<'a> SeriesMerger<'a> {
    /// Creates the merge and selects the series of all sources.
    ///
    /// # Errors
    /// [`MergeError`] if a source cannot be read.
    pub fn new(input: MergeInput<'a>) -> Result<Self, MergeError> {
        let series = select(&input.sources, &[Matcher::any("__name__")], input.range)?;
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
