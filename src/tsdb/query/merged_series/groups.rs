//! Overlap groups: chunks of a series that overlap in time.
//!
//! Chunks are sorted by `mint`. A group ends before the first chunk that begins after all its
//! predecessors end, so groups do not overlap each other.

use crate::model::labels::Labels;
use crate::model::time::TimeRange;
use crate::tsdb::query::merged_series::merger::RankedChunk;
use crate::tsdb::query::merged_series::{MergedSeries, SampleIter};
use crate::tsdb::query::source::Chunk;

/// Groups of the chunks of a series that overlap each other, in time order.
#[derive(Clone, Debug)]
pub struct OverlapGroups<'a> {
    labels: &'a Labels,
    unread: &'a [RankedChunk],
    range: TimeRange,
}

/// Chunks that overlap directly or transitively, or a single chunk.
#[derive(Clone, Debug)]
pub struct OverlapGroup<'a> {
    labels: &'a Labels,
    chunks: &'a [RankedChunk],
    times: TimeRange,
    single: Option<&'a Chunk>,
}

impl<'a> OverlapGroups<'a> {
    /// Groups the chunks of `series` that overlap `range` with the ones that they overlap.
    #[must_use]
    pub fn new(series: &'a MergedSeries, range: TimeRange) -> Self {
        Self { labels: &series.labels, unread: &series.chunks, range }
    }
}

impl<'a> Iterator for OverlapGroups<'a> {
    type Item = OverlapGroup<'a>;

    fn next(&mut self) -> Option<OverlapGroup<'a>> {
        let is_selected = |ranked: &RankedChunk| ranked.chunk.overlaps(self.range);
        let start = self.unread.iter().position(is_selected)?;
        let chunks = self.unread.get(start..)?;
        let first = &chunks.first()?.chunk;
        let mut times = TimeRange::new(first.mint, first.maxt);
        let (mut is_single, mut end) = (true, 1);
        while let Some(next) = chunks.get(end).filter(|next| next.chunk.mint <= times.maxt) {
            end += 1;
            if is_selected(next) {
                times.maxt = times.maxt.max(next.chunk.maxt);
                is_single = is_single && is_identical(first, &next.chunk);
            }
        }
        let (chunks, unread) = chunks.split_at(end);
        self.unread = unread;
        Some(OverlapGroup {
            labels: self.labels,
            chunks,
            times,
            single: is_single.then_some(first),
        })
    }
}

impl OverlapGroups<'_> {
    /// Discards the remaining groups.
    pub(in crate::tsdb::query) fn finish(&mut self) {
        self.unread = &[];
    }
}

impl<'a> OverlapGroup<'a> {
    /// Returns the range from the first to the last timestamp of the group, both inclusive.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        self.times
    }

    /// Returns the only chunk of the group. Identical chunks count as one.
    #[must_use]
    pub fn single_chunk(&self) -> Option<&'a Chunk> {
        self.single
    }

    /// Returns the samples of these chunks in `range`, as [`MergedSeries::samples`] does.
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
