//! Index of the out-of-order chunks of a series: finds the chunks that may have a sample at a
//! timestamp.
//!
//! Chunks may overlap. A chunk that fits goes into one of [`MAX_LAYERS`] layers without overlap;
//! the samples of other chunks go into a [`TimeIndex`]. A lookup therefore returns at most
//! [`MAX_COVERING`] chunks.
//!
//! The index exists only for series with more than [`UNINDEXED_CHUNKS`] chunks. The mutex of the
//! series guards it.

use crate::model::refs::HeadChunkRef;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::out_of_order::time_index::TimeIndex;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Number of chunks up to which a series has no index and all of them are searched.
pub(super) const UNINDEXED_CHUNKS: usize = 4;

/// Maximum number of layers; enough for two senders that are each in order.
const MAX_LAYERS: usize = 2;

/// Maximum number of chunks that a lookup returns.
pub(crate) const MAX_COVERING: usize = UNINDEXED_CHUNKS;
const _: () =
    assert!(MAX_LAYERS < MAX_COVERING, "one chunk per layer and one of the time index must fit");

/// Chunks that may have a sample at some timestamp, newest first.
pub(super) type Covering = SmallVec<[HeadChunkRef; MAX_COVERING]>;

/// Index of the chunks by time.
#[derive(Clone, Debug, Default)]
pub(super) struct ChunkIndex {
    layers: [BTreeMap<i64, LayerChunk>; MAX_LAYERS],
    times: TimeIndex,
}

/// Chunk of a layer; its key is the timestamp of its first sample.
#[derive(Clone, Copy, Debug)]
struct LayerChunk {
    /// Timestamp of the last sample, ms.
    maxt: i64,
    at: HeadChunkRef,
}

impl ChunkIndex {
    /// Adds a chunk. `times` returns the timestamps of its samples; it is called only if the chunk
    /// overlaps one in each layer.
    pub(super) fn add(&mut self, chunk: &MappedChunk, times: impl FnOnce() -> Vec<i64>) {
        let new = LayerChunk { maxt: chunk.maxt(), at: chunk.chunk_ref() };
        // In a layer without overlap, the last chunk that starts before `maxt` also ends last.
        let is_free = |layer: &&mut BTreeMap<i64, LayerChunk>| {
            layer
                .range(..=new.maxt)
                .next_back()
                .is_none_or(|(_, before)| before.maxt < chunk.mint())
        };
        match self.layers.iter_mut().find(is_free) {
            Some(layer) => _ = layer.insert(chunk.mint(), new),
            None => times().into_iter().for_each(|t| self.times.insert(t, new.at)),
        }
    }

    /// Returns the chunks that may have a sample at `t` ms, newest first.
    pub(super) fn covering(&self, t: i64) -> Covering {
        let in_layers = self.layers.iter().filter_map(|layer| layer.range(..=t).next_back());
        let in_layers = in_layers.filter(|(_, chunk)| t <= chunk.maxt).map(|(_, chunk)| chunk.at);
        let mut covering: Covering = in_layers.chain(self.times.get(t)).collect();
        covering.sort_unstable_by(|a, b| b.cmp(a));
        covering
    }

    /// Drops the chunks up to and including `last`.
    pub(super) fn drop_up_to(&mut self, last: HeadChunkRef) {
        self.layers.iter_mut().for_each(|layer| layer.retain(|_, chunk| chunk.at > last));
        self.times.drop_up_to(last);
    }
}
