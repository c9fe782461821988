//! The chunks of late points of one series that are in `chunks_head/`, in the order in which they were written.
//!
//! Other than those in order they may overlap each other and everything else. Guarded by whatever guards the series.

use crate::model::refs::HeadChunkRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;

/// Chunks of late points, those written first first.
#[derive(Clone, Debug, Default)]
pub struct OutOfOrderChunks {
    chunks: Vec<MappedChunk>,
}

impl OutOfOrderChunks {
    /// Adds a chunk that was written after all others.
    pub fn push(&mut self, chunk: MappedChunk) {
        self.chunks.push(chunk);
    }

    /// Adds a chunk that was found on disk, at its place; nothing is done where it is there.
    pub fn add(&mut self, chunk: MappedChunk) {
        if let Err(at) = self.chunks.binary_search_by_key(&chunk.at(), MappedChunk::at) {
            self.chunks.insert(at, chunk);
        }
    }

    /// All, those written first first.
    pub fn iter(&self) -> std::slice::Iter<'_, MappedChunk> {
        self.chunks.iter()
    }

    /// Those that may have points in `range`.
    pub fn overlapping(&self, range: TimeRange) -> impl Iterator<Item = &MappedChunk> {
        self.chunks.iter().filter(move |chunk| range.overlaps(TimeRange::new(chunk.mint(), chunk.maxt())))
    }

    /// The one at `at`.
    #[must_use]
    pub fn get(&self, at: HeadChunkRef) -> Option<&MappedChunk> {
        let found = self.chunks.binary_search_by_key(&at, MappedChunk::at).ok()?;
        self.chunks.get(found)
    }

    /// The one that was written last.
    #[must_use]
    pub fn last(&self) -> Option<&MappedChunk> {
        self.chunks.last()
    }

    /// Forgets the chunks up to `last`, that one included, and gives how many they were.
    pub fn drop_up_to(&mut self, last: HeadChunkRef) -> usize {
        let old = self.chunks.partition_point(|chunk| chunk.at() <= last);
        self.chunks.drain(..old);
        self.chunks.shrink_to_fit();
        old
    }

    /// The number of the first file that has one of them.
    #[must_use]
    pub fn first_file(&self) -> Option<u32> {
        self.chunks.first().map(|chunk| chunk.at().file())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether there is none.
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
    use crate::tsdb::chunk::Encoding;
    use crate::tsdb::chunk::mapped_chunk::MappedChunk;

    #[test]
    fn chunks_keep_the_order_of_the_files_whatever_their_times() {
        let chunk = |file, mint| MappedChunk::new(HeadChunkRef::new(file, 8), mint, mint + 10, 3, Encoding::Xor);
        let mut chunks = OutOfOrderChunks::default();
        [chunk(1, 50), chunk(3, 45)].into_iter().for_each(|one| chunks.push(one));
        chunks.add(chunk(2, 0));
        chunks.add(chunk(2, 0));
        let mints = |chunks: &OutOfOrderChunks| chunks.iter().map(MappedChunk::mint).collect::<Vec<_>>();
        assert_eq!(mints(&chunks), [50, 0, 45]);
        assert_eq!(chunks.overlapping(TimeRange::new(52, 53)).count(), 2);
        assert_eq!(chunks.get(HeadChunkRef::new(2, 8)).map(MappedChunk::mint), Some(0));
        assert_eq!(chunks.drop_up_to(HeadChunkRef::new(2, 8)), 2);
        assert_eq!((mints(&chunks), chunks.first_file()), (vec![45], Some(3)));
    }
}
