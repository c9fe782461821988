//! M-mapped chunks of the out-of-order samples of one series, in the order of their references.
//!
//! Unlike in-order chunks they may overlap. The mutex of the series guards them.

use crate::model::refs::HeadChunkRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::out_of_order::chunk_index::{ChunkIndex, Covering, UNINDEXED_CHUNKS};

/// Chunks of out-of-order samples, ascending by reference.
#[derive(Clone, Debug, Default)]
pub struct OutOfOrderChunks {
    chunks: Vec<MappedChunk>,
    /// Index by time; `None` for few chunks.
    index: Option<Box<ChunkIndex>>,
}

impl OutOfOrderChunks {
    /// Adds a chunk in the order of references. Does nothing if the reference exists. `times`
    /// returns the timestamps of a chunk's samples.
    pub fn add(&mut self, chunk: MappedChunk, times: impl Fn(&MappedChunk) -> Vec<i64>) {
        let Err(at) = self.chunks.binary_search_by_key(&chunk.chunk_ref(), MappedChunk::chunk_ref)
        else {
            return;
        };
        self.chunks.insert(at, chunk);
        match &mut self.index {
            Some(index) => index.add(&chunk, || times(&chunk)),
            None if self.chunks.len() > UNINDEXED_CHUNKS => {
                let index = self.index.insert(Box::default());
                self.chunks.iter().for_each(|chunk| index.add(chunk, || times(chunk)));
            }
            None => {}
        }
    }

    /// Returns the chunks that may have a sample at `t` ms, newest first. Their number is bounded
    /// regardless of the number of chunks.
    #[must_use]
    pub fn covering(&self, t: i64) -> Covering {
        match &self.index {
            Some(index) => index.covering(t),
            None => {
                self.overlapping(TimeRange::new(t, t)).rev().map(MappedChunk::chunk_ref).collect()
            }
        }
    }

    /// Iterates over all chunks, ascending by reference.
    pub fn iter(&self) -> std::slice::Iter<'_, MappedChunk> {
        self.chunks.iter()
    }

    /// Iterates over the chunks that may have samples in `range`.
    pub fn overlapping(&self, range: TimeRange) -> impl DoubleEndedIterator<Item = &MappedChunk> {
        self.chunks
            .iter()
            .filter(move |chunk| range.overlaps(TimeRange::new(chunk.mint(), chunk.maxt())))
    }

    /// Returns the chunk at `chunk_ref`.
    #[must_use]
    pub fn get(&self, chunk_ref: HeadChunkRef) -> Option<&MappedChunk> {
        let position = self.chunks.binary_search_by_key(&chunk_ref, MappedChunk::chunk_ref).ok()?;
        self.chunks.get(position)
    }

    /// Returns the chunk with the greatest reference.
    #[must_use]
    pub fn last(&self) -> Option<&MappedChunk> {
        self.chunks.last()
    }

    /// Drops the chunks up to and including `last`. Returns their number.
    pub fn drop_up_to(&mut self, last: HeadChunkRef) -> usize {
        let dropped = self.chunks.partition_point(|chunk| chunk.chunk_ref() <= last);
        self.chunks.drain(..dropped);
        self.chunks.shrink_to_fit();
        if self.chunks.is_empty() {
            self.index = None;
        } else if let Some(index) = &mut self.index {
            index.drop_up_to(last);
        }
        dropped
    }

    /// Returns the number of the first file that has a chunk.
    #[must_use]
    pub fn first_file(&self) -> Option<u32> {
        self.chunks.first().map(|chunk| chunk.chunk_ref().file())
    }

    /// Returns `true` if there are no chunks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::OutOfOrderChunks;
    use crate::model::refs::HeadChunkRef;
    use crate::model::time::TimeRange;
    use crate::tsdb::chunk::ChunkEncoding;
    use crate::tsdb::chunk::mapped_chunk::MappedChunk;
    use crate::tsdb::head::out_of_order::chunk_index::MAX_COVERING;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    #[test]
    fn chunks_are_ordered_by_reference() {
        let chunk = |file, mint| {
            MappedChunk::new(HeadChunkRef::new(file, 8), mint, mint + 10, 3, ChunkEncoding::Xor)
        };
        let mut chunks = OutOfOrderChunks::default();
        [chunk(1, 50), chunk(3, 45), chunk(2, 0), chunk(2, 0)]
            .into_iter()
            .for_each(|chunk| chunks.add(chunk, |_| vec![]));
        let mints =
            |chunks: &OutOfOrderChunks| chunks.iter().map(MappedChunk::mint).collect::<Vec<_>>();
        assert_eq!(mints(&chunks), [50, 0, 45]);
        assert_eq!(chunks.overlapping(TimeRange::new(52, 53)).count(), 2);
        assert_eq!(chunks.get(HeadChunkRef::new(2, 8)).map(MappedChunk::mint), Some(0));
        assert_eq!(chunks.drop_up_to(HeadChunkRef::new(2, 8)), 2);
        assert_eq!((mints(&chunks), chunks.first_file()), (vec![45], Some(3)));
    }

    proptest! {
        #[test]
        fn covering_is_bounded_and_finds_newest(
            found in vec((vec(0i64..500, 1..8), 0i64..3), 1..60),
            drop in option::of(0u32..60),
            probe in 0i64..500,
        ) {
            let mut stored: Vec<(HeadChunkRef, BTreeSet<i64>)> = Vec::new();
            let mut chunks = OutOfOrderChunks::default();
            for (n, (times, spread)) in found.into_iter().enumerate() {
                let times: BTreeSet<i64> = times.into_iter().map(|t| t * spread).collect();
                let (first, last) = (*times.first().unwrap(), *times.last().unwrap());
                let at = HeadChunkRef::new(1, n as u32);
                stored.push((at, times));
                chunks.add(MappedChunk::new(at, first, last, 1, ChunkEncoding::Xor), |chunk| {
                    let own = stored.iter().find(|(at, _)| *at == chunk.chunk_ref());
                    own.unwrap().1.iter().copied().collect()
                });
            }
            if let Some(last) = drop.map(|last| HeadChunkRef::new(1, last)) {
                let count = stored.iter().filter(|(at, _)| *at <= last).count();
                prop_assert_eq!(chunks.drop_up_to(last), count);
                stored.retain(|(at, _)| *at > last);
            }
            let times = stored.iter().flat_map(|(_, times)| times).copied();
            for t in times.chain([probe]).collect::<BTreeSet<_>>() {
                let covering = chunks.covering(t);
                prop_assert!(
                    covering.len() <= MAX_COVERING && covering.is_sorted_by(|a, b| a > b),
                    "{:?}",
                    covering
                );
                let newest = stored.iter().rev().find(|(_, times)| times.contains(&t));
                let newest = newest.map(|(at, _)| *at);
                let has = |at: &HeadChunkRef| {
                    stored.iter().any(|(own, times)| own == at && times.contains(&t))
                };
                prop_assert_eq!(covering.iter().copied().find(has), newest);
            }
        }
    }
}
