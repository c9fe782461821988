//! Index of the late chunks of a series by time: which of them may have a sample of a given time.
//!
//! Late chunks overlap. Those that fit go into one of [`MAX_LAYERS`] layers, in each of which no
//! chunk overlaps another; of the others, each sample is in a [`TimeIndex`]. So a time is looked up
//! in at most [`MAX_COVERING`] chunks, however many overlap.
//!
//! Built only for a series with more than [`UNINDEXED_CHUNKS`] chunks. Guarded by the mutex of the
//! series.

use crate::model::refs::HeadChunkRef;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::out_of_order::time_index::TimeIndex;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Number of chunks up to which a series has no index: all of them are looked through.
pub(super) const UNINDEXED_CHUNKS: usize = 4;

/// Maximum number of layers: two senders that are each in order need no more.
const MAX_LAYERS: usize = 2;

/// Maximum number of chunks in which one time is looked up.
pub(super) const MAX_COVERING: usize = UNINDEXED_CHUNKS;
const _: () = assert!(MAX_LAYERS < MAX_COVERING, "one chunk for each layer, and one of the times");

/// Chunks that may have a sample of some time, newest first.
pub(super) type Covering = SmallVec<[HeadChunkRef; MAX_COVERING]>;

/// Chunks by time.
#[derive(Clone, Debug, Default)]
pub(super) struct ChunkIndex {
    layers: [BTreeMap<i64, LayerChunk>; MAX_LAYERS],
    times: TimeIndex,
}

/// A chunk of a layer, whose key is the time of its first sample.
#[derive(Clone, Copy, Debug)]
struct LayerChunk {
    /// Time of the last sample, ms.
    maxt: i64,
    at: HeadChunkRef,
}

impl ChunkIndex {
    /// Adds a chunk; `times` returns those of its samples, and is called only if the chunk overlaps
    /// one of each layer.
    pub(super) fn add(&mut self, chunk: &MappedChunk, times: impl FnOnce() -> Vec<i64>) {
        let new = LayerChunk { maxt: chunk.maxt(), at: chunk.chunk_ref() };
        // Of the chunks that begin before the new one ends, the last one ends last.
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

    /// Chunks that may have a sample at `t` ms, newest first.
    pub(super) fn covering(&self, t: i64) -> Covering {
        let of_layers = self.layers.iter().filter_map(|layer| layer.range(..=t).next_back());
        let of_layers = of_layers.filter(|(_, chunk)| t <= chunk.maxt).map(|(_, chunk)| chunk.at);
        let mut covering: Covering = of_layers.chain(self.times.get(t)).collect();
        covering.sort_unstable_by(|a, b| b.cmp(a));
        covering
    }

    /// Forgets the chunks up to `last`, which is included.
    pub(super) fn drop_up_to(&mut self, last: HeadChunkRef) {
        self.layers.iter_mut().for_each(|layer| layer.retain(|_, chunk| chunk.at > last));
        self.times.drop_up_to(last);
    }
}
