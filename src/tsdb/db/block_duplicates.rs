//! Samples that are too old for the head, but stored already: a sender repeats a request whose samples have become a block.
//!
//! Repeating a stored request is never an error. The head knows its own samples; these are looked for in the blocks, chunk by chunk, outside of every
//! lock. How many are looked for in one request is limited: beyond, and where a block can't be read, they count as too old.

use crate::model::labels::Labels;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::lookup::series_chunks;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::{ChunkSeries, QueryError};

/// No more samples than this are looked for in one request.
const MAX_LOOKUPS: usize = 20_000;

/// Looks for the old samples of one request.
#[derive(Debug)]
pub(super) struct BlockDuplicates<'a> {
    blocks: &'a BlockSet,
    remaining_lookups: usize,
    found: u64,
}

impl<'a> BlockDuplicates<'a> {
    pub(super) fn new(blocks: &'a BlockSet) -> Self {
        Self { blocks, remaining_lookups: MAX_LOOKUPS, found: 0 }
    }

    /// How many were found.
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// Rejects those of these points that are not stored in a block; none of them is left.
    pub(super) fn reject_missing(
        &mut self,
        labels: &Labels,
        old: &mut Vec<Sample>,
        reject: &mut impl FnMut(Sample),
    ) {
        for point in old.drain(..) {
            let is_looked_for = self.remaining_lookups > 0;
            self.remaining_lookups = self.remaining_lookups.saturating_sub(1);
            if is_looked_for && self.is_stored(labels, &point).unwrap_or(false) {
                self.found += 1;
            } else {
                reject(point);
            }
        }
    }

    fn is_stored(&self, labels: &Labels, point: &Sample) -> Result<bool, QueryError> {
        let moment = TimeRange::new(point.t, point.t);
        for block in self.blocks.overlapping(moment) {
            let chunks = series_chunks(&block, labels, moment)?;
            let series = MergedSeries::new(ChunkSeries { labels: labels.clone(), chunks });
            let stored = series.samples(moment).next().transpose()?;
            if stored.is_some_and(|stored| is_duplicate(&stored.value, &point.value)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a value was sent again. A stale marker comes as a float and is stored as the histograms before it are.
fn is_duplicate(stored: &SampleValue, sent: &SampleValue) -> bool {
    stored.is_equivalent(sent) || stored.is_stale() && sent.is_stale()
}
