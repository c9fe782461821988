//! Selection of series from several sources, as one stream ordered by labels.
//!
//! A series of several sources is returned once, with the chunks of all of them. The stream is
//! lazy: it holds one series per source.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::{BlockSource, ChunkSeries, ChunkSeriesSet, QueryError};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Returns the series of all sources that satisfy every matcher, with their chunks that overlap
/// `range`.
///
/// If two sources have a sample at the same timestamp, the later one in `sources` wins. Chunks are
/// not decoded here, so a series may have no sample in the range.
///
///
/// # Errors
/// [`QueryError`] if a source cannot be read. The stream can also return it, as its last item.
pub fn select<'a>(
    sources: &[&'a dyn BlockSource],
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<SeriesSet<'a>, QueryError> {
    merge(sources.iter().map(|source| source.select(matchers, range)).collect::<Result<_, _>>()?)
}

/// Merges the series of several sources.
///
/// If two have a sample at the same timestamp, the later one in `sets` wins.
///
/// # Errors
/// [`QueryError`] if the first series of a set cannot be read.
pub fn merge(sets: Vec<ChunkSeriesSet<'_>>) -> Result<SeriesSet<'_>, QueryError> {
    let mut cursors = BinaryHeap::with_capacity(sets.len());
    for (source, mut rest) in sets.into_iter().enumerate() {
        if let Some(series) = rest.next().transpose()? {
            cursors.push(Reverse(SourceCursor { series, source, rest }));
        }
    }
    Ok(SeriesSet { cursors })
}

/// Stream of merged series, ordered by labels; returned by [`select`] and [`merge`].
pub struct SeriesSet<'a> {
    cursors: BinaryHeap<Reverse<SourceCursor<'a>>>,
}

/// Next series of a source, and the iterator over the others.
struct SourceCursor<'a> {
    series: ChunkSeries,
    source: usize,
    rest: ChunkSeriesSet<'a>,
}

impl Iterator for SeriesSet<'_> {
    type Item = Result<MergedSeries, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next().transpose();
        if matches!(next, Some(Err(_))) {
            self.cursors.clear();
        }
        next
    }
}

impl SeriesSet<'_> {
    fn try_next(&mut self) -> Result<Option<MergedSeries>, QueryError> {
        let Some(first) = self.pop_lowest()? else {
            return Ok(None);
        };
        let mut series = MergedSeries::new(first);
        while self
            .cursors
            .peek()
            .is_some_and(|Reverse(cursor)| cursor.series.labels == *series.labels())
        {
            if let Some(same) = self.pop_lowest()? {
                series.add_chunks(same.chunks);
            }
        }
        Ok(Some(series))
    }

    /// Removes the series with the lowest labels; of equal ones, that of the first source.
    fn pop_lowest(&mut self) -> Result<Option<ChunkSeries>, QueryError> {
        let Some(Reverse(mut cursor)) = self.cursors.pop() else {
            return Ok(None);
        };
        let Some(next) = cursor.rest.next().transpose()? else {
            return Ok(Some(cursor.series));
        };
        if next.labels <= cursor.series.labels {
            return Err(QueryError::SeriesOrder {
                series: next.labels,
                previous: cursor.series.labels,
            });
        }
        let series = std::mem::replace(&mut cursor.series, next);
        self.cursors.push(Reverse(cursor));
        Ok(Some(series))
    }
}

impl Ord for SourceCursor<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.series.labels.cmp(&other.series.labels).then(self.source.cmp(&other.source))
    }
}

impl PartialOrd for SourceCursor<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SourceCursor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SourceCursor<'_> {}

#[cfg(test)]
mod tests;
