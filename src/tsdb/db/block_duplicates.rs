//! Duplicate check against blocks, for samples that are older than the head accepts.
//!
//! A retry of a stored request is never an error, even if its samples are in a block by then. The
//! head detects duplicates of its own samples. This module reads the others from the blocks, chunk
//! by chunk and without a lock. The number of lookups per request is limited: samples beyond it,
//! and samples of unreadable blocks, are rejected as too old.

use crate::model::labels::Labels;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::lookup::series_chunks;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::{ChunkSeries, QueryError};

/// Maximum number of samples that are looked up per request.
const MAX_LOOKUPS: usize = 20_000;

/// Duplicate check of one request.
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

    /// Number of duplicates found so far.
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// Drains `samples` and rejects every sample that no block contains.
    pub(super) fn reject_missing(
        &mut self,
        labels: &Labels,
        samples: &mut Vec<Sample>,
        reject: &mut impl FnMut(Sample),
    ) {
        for sample in samples.drain(..) {
            let may_look_up = self.remaining_lookups > 0;
            self.remaining_lookups = self.remaining_lookups.saturating_sub(1);
            if may_look_up && self.is_stored(labels, &sample).unwrap_or(false) {
                self.found += 1;
            } else {
                reject(sample);
            }
        }
    }

    fn is_stored(&self, labels: &Labels, sample: &Sample) -> Result<bool, QueryError> {
        let range = TimeRange::new(sample.t, sample.t);
        for block in self.blocks.overlapping(range) {
            let chunks = series_chunks(&block, labels, range)?;
            let series = MergedSeries::new(ChunkSeries { labels: labels.clone(), chunks });
            let stored = series.samples(range).next().transpose()?;
            if stored.is_some_and(|stored| is_duplicate(&stored.value, &sample.value)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns `true` if `sent` equals `stored`. A stale marker arrives as a float, but is stored with
/// the type of the histograms before it.
fn is_duplicate(stored: &SampleValue, sent: &SampleValue) -> bool {
    stored.is_equivalent(sent) || stored.is_stale() && sent.is_stale()
}
