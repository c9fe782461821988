//! What a series has of late points: an open chunk, and chunks that are in `chunks_head/`.
//!
//! Only series that have some carry it. Guarded by the mutex of the series.

use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::out_of_order::chunk::OutOfOrderChunk;
use crate::tsdb::head::out_of_order::mapped::OutOfOrderChunks;

/// The late points of a series.
#[derive(Debug)]
pub struct OutOfOrderState {
    /// Those that came last.
    pub open: OutOfOrderChunk,
    /// The chunks that were full.
    pub mapped: OutOfOrderChunks,
    /// No point is newer than this, ms: asked at every sample in order.
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
    /// Puts a point into the open chunk; `false`, and nothing done, where one of its time is there.
    pub fn insert(&mut self, point: Sample) -> bool {
        self.max_time = self.max_time.max(point.t);
        self.open.insert(point)
    }

    /// Adds a chunk that is in `chunks_head/`; `times` returns those of a chunk's samples.
    pub fn attach(&mut self, chunk: MappedChunk, times: impl Fn(&MappedChunk) -> Vec<i64>) {
        self.max_time = self.max_time.max(chunk.maxt());
        self.mapped.add(chunk, times);
    }

    /// Whether there may be a point at `t` ms or later.
    #[must_use]
    pub fn may_contain_from(&self, t: i64) -> bool {
        t <= self.max_time
    }

    /// From its oldest to its newest point.
    #[must_use]
    pub fn times(&self) -> Option<TimeRange> {
        let min = self.mapped.iter().map(MappedChunk::mint).chain(self.open.min_time()).min()?;
        let max = self.mapped.iter().map(MappedChunk::maxt).chain(self.open.max_time()).max()?;
        Some(TimeRange::new(min, max))
    }

    /// Whether there is no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.mapped.is_empty()
    }
}
