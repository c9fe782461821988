//! Series out of several sources as one stream, ordered by their labels.
//!
//! A series that several sources have comes once, with the chunks of all of them. Lazy: of each source one series is
//! held, and its next one is made when that was handed on.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::{BlockSource, ChunkSeries, ChunkSeriesSet, QueryError};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// The series of all sources that satisfy every matcher, with their chunks that overlap `range`.
///
/// Where two sources have a sample at the same time, the later one in `sources` wins. A series may turn out to have no
/// sample in the range: chunks are not decoded here.
///
/// # Errors
/// [`QueryError`] where a source can't be read; also in the stream, which ends there.
pub fn select<'a>(
    sources: &[&'a dyn BlockSource],
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<SeriesSet<'a>, QueryError> {
    merge(sources.iter().map(|source| source.select(matchers, range)).collect::<Result<_, _>>()?)
}

/// The series of several answers as one.
///
/// Where two have a sample at the same time, the later one in `sets` wins.
///
/// # Errors
/// [`QueryError`] where the first series of one can't be read.
pub fn merge(sets: Vec<ChunkSeriesSet<'_>>) -> Result<SeriesSet<'_>, QueryError> {
    let mut heads = BinaryHeap::with_capacity(sets.len());
    for (source, mut rest) in sets.into_iter().enumerate() {
        if let Some(series) = rest.next().transpose()? {
            heads.push(Reverse(SourceCursor { series, source, rest }));
        }
    }
    Ok(SeriesSet { cursors: heads })
}

/// Series of several sources, ordered by labels; made by [`select`].
pub struct SeriesSet<'a> {
    cursors: BinaryHeap<Reverse<SourceCursor<'a>>>,
}

/// The next series of a source, and those behind it.
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
            .is_some_and(|Reverse(head)| head.series.labels == *series.labels())
        {
            if let Some(same) = self.pop_lowest()? {
                series.add_chunks(same.chunks);
            }
        }
        Ok(Some(series))
    }

    /// Takes the series with the lowest labels, of equal ones that of the first source.
    fn pop_lowest(&mut self) -> Result<Option<ChunkSeries>, QueryError> {
        let Some(Reverse(mut head)) = self.cursors.pop() else {
            return Ok(None);
        };
        let Some(next) = head.rest.next().transpose()? else {
            return Ok(Some(head.series));
        };
        if next.labels <= head.series.labels {
            return Err(QueryError::Corrupted(format!(
                "series {} stands behind {}",
                next.labels, head.series.labels
            )));
        }
        let series = std::mem::replace(&mut head.series, next);
        self.cursors.push(Reverse(head));
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
