//! Which chunks of a series belong together because they overlap. Pure.
//!
//! Chunks come in the order of their `mint`, so that a group ends where one begins behind all before it. Groups do not overlap each other.

use crate::model::labels::Labels;
use crate::model::time::TimeRange;
use crate::tsdb::query::merged_series::merger::RankedChunk;
use crate::tsdb::query::merged_series::{MergedSeries, SampleIter};
use crate::tsdb::query::source::Chunk;

/// The groups of a series in the order of time; made by [`MergedSeries::groups`].
#[derive(Clone, Debug)]
pub struct OverlapGroups<'a> {
    labels: &'a Labels,
    unread: &'a [RankedChunk],
    range: TimeRange,
}

/// Chunks that overlap, directly or by way of others; or one that stands alone.
#[derive(Clone, Debug)]
pub struct OverlapGroup<'a> {
    labels: &'a Labels,
    chunks: &'a [RankedChunk],
    times: TimeRange,
    only: Option<&'a Chunk>,
}

impl MergedSeries {
    /// Its chunks that overlap `range`, together with those that they overlap.
    #[must_use]
    pub fn groups(&self, range: TimeRange) -> OverlapGroups<'_> {
        OverlapGroups { labels: &self.labels, unread: &self.chunks, range }
    }
}

impl<'a> Iterator for OverlapGroups<'a> {
    type Item = OverlapGroup<'a>;

    fn next(&mut self) -> Option<OverlapGroup<'a>> {
        let wanted = |ranked: &RankedChunk| ranked.chunk.overlaps(self.range);
        let begin = self.unread.iter().position(wanted)?;
        let chunks = self.unread.get(begin..)?;
        let first = &chunks.first()?.chunk;
        let mut times = TimeRange::new(first.mint, first.maxt);
        let (mut is_only, mut end) = (true, 1);
        while let Some(next) = chunks.get(end).filter(|next| next.chunk.mint <= times.maxt) {
            end += 1;
            if wanted(next) {
                times.maxt = times.maxt.max(next.chunk.maxt);
                is_only = is_only && is_identical(first, &next.chunk);
            }
        }
        let (chunks, unread) = chunks.split_at(end);
        self.unread = unread;
        Some(OverlapGroup { labels: self.labels, chunks, times, only: is_only.then_some(first) })
    }
}

impl OverlapGroups<'_> {
    /// From now on there are none.
    pub(in crate::tsdb::query) fn finish(&mut self) {
        self.unread = &[];
    }
}

impl<'a> OverlapGroup<'a> {
    /// From the beginning of the first chunk to the end of the last, ms.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        self.times
    }

    /// The chunk that stands alone; several that are alike count as one.
    #[must_use]
    pub fn single_chunk(&self) -> Option<&'a Chunk> {
        self.only
    }

    /// The points of these chunks in `range`, as [`MergedSeries::samples`].
    #[must_use]
    pub fn samples(&self, range: TimeRange) -> SampleIter<'a> {
        SampleIter::new(self.labels, self.chunks, range)
    }
}

fn is_identical(a: &Chunk, b: &Chunk) -> bool {
    (a.mint, a.maxt, a.encoding) == (b.mint, b.maxt, b.encoding)
        && a.deleted_intervals == b.deleted_intervals
        && a.data.bytes() == b.data.bytes()
}
