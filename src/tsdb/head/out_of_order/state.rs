//! Out-of-order samples of a series: an open chunk, and chunks in `chunks_head/`.
//!
//! Only series with out-of-order samples have this state. The mutex of the series guards it.

use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::out_of_order::chunk::OutOfOrderChunk;
use crate::tsdb::head::out_of_order::mapped::OutOfOrderChunks;

/// Out-of-order samples of a series.
#[derive(Debug)]
pub struct OutOfOrderState {
    /// Newest arrivals, not yet in a full chunk.
    pub open: OutOfOrderChunk,
    /// Full chunks, written to `chunks_head/`.
    pub mapped: OutOfOrderChunks,
    /// Upper bound of all timestamps, ms. Checked for every in-order sample.
    max_time: i64,
}

impl Default for OutOfOrderState {
    fn default() -> Self {
        Self {
            open: OutOfOrderChunk::default(),
            mapped: OutOfOrderChunks::default(),
            max_time: i64::MIN,
        }
    }
}

impl OutOfOrderState {
    /// Inserts a sample into the open chunk. Returns `false`, and changes nothing in the chunk, if
    /// it has a sample at that timestamp.
    pub fn insert(&mut self, sample: Sample) -> bool {
        self.max_time = self.max_time.max(sample.t);
        self.open.insert(sample)
    }

    /// Adds a chunk that is in `chunks_head/`. `times` returns the timestamps of a chunk's samples.
    pub fn attach(&mut self, chunk: MappedChunk, times: impl Fn(&MappedChunk) -> Vec<i64>) {
        self.max_time = self.max_time.max(chunk.maxt());
        self.mapped.add(chunk, times);
    }

    /// Returns an upper bound of all timestamps, ms: that of the newest sample unless samples were
    /// dropped.
    #[must_use]
    pub fn max_time(&self) -> i64 {
        self.max_time
    }

    /// Returns `true` if there may be a sample at `t` ms or later.
    #[must_use]
    pub fn may_contain_from(&self, t: i64) -> bool {
        t <= self.max_time
    }

    /// Returns the range from the oldest to the newest sample.
    #[must_use]
    pub fn times(&self) -> Option<TimeRange> {
        let min = self.mapped.iter().map(MappedChunk::mint).chain(self.open.min_time()).min()?;
        let max = self.mapped.iter().map(MappedChunk::maxt).chain(self.open.max_time()).max()?;
        Some(TimeRange::new(min, max))
    }

    /// Returns `true` if there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.mapped.is_empty()
    }
}
