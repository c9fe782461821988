//! In-memory entry of a chunk in `chunks_head/`: its reference and the data that a read needs
//! first.
//!
//! ```text
//! MappedChunk, 24 bytes:
//! ┌────────────────┬───────────┬──────────────┬──────────────┬──────────────┐
//! │ chunk ref (64) │ mint (64) │ span ms (44) │ encoding (4) │ samples (16) │
//! └────────────────┴───────────┴──────────────┴──────────────┴──────────────┘
//! ```
//!
//! The span of a chunk is less than 2^44 ms (557 years), far above any chunk range or out-of-order
//! window. A head-chunk file with a larger span is corrupted.
//!
//! [`MappedChunks`] is the list of one series. It allocates at most 32 bytes per chunk, spare
//! capacity included. The lock of the series protects it.

use crate::model::refs::HeadChunkRef;
use crate::tsdb::chunk::ChunkEncoding;

/// Maximum time between the first and the last sample of a chunk, ms.
pub const MAX_SPAN_MS: u64 = (1 << 44) - 1;

/// Reference and metadata of a chunk in `chunks_head/`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MappedChunk {
    chunk_ref: HeadChunkRef,
    mint: i64,
    /// Span, encoding and number of samples, from the highest bits down.
    packed: u64,
}

impl MappedChunk {
    /// Creates an entry for a chunk with samples from `mint` to `maxt` ms, at most [`MAX_SPAN_MS`]
    /// apart.
    #[must_use]
    pub fn new(
        at: HeadChunkRef,
        mint: i64,
        maxt: i64,
        samples: u16,
        encoding: ChunkEncoding,
    ) -> Self {
        let span = maxt.saturating_sub(mint).clamp(0, MAX_SPAN_MS as i64) as u64;
        Self {
            chunk_ref: at,
            mint,
            packed: span << 20 | (encoding as u64) << 16 | u64::from(samples),
        }
    }

    /// Returns the location in `chunks_head/`.
    #[must_use]
    pub fn chunk_ref(&self) -> HeadChunkRef {
        self.chunk_ref
    }

    /// Returns the timestamp of the first sample, ms.
    #[must_use]
    pub fn mint(&self) -> i64 {
        self.mint
    }

    /// Returns the timestamp of the last sample, ms.
    #[must_use]
    pub fn maxt(&self) -> i64 {
        self.mint.saturating_add((self.packed >> 20) as i64)
    }

    /// Returns the number of samples.
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        self.packed as u16
    }

    /// Returns the codec of the stored bytes.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        // `new` stored a valid number.
        ChunkEncoding::from_byte((self.packed >> 16) as u8 & 0xf).unwrap_or(ChunkEncoding::Xor)
    }
}

impl std::fmt::Debug for MappedChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MappedChunk")
            .field("at", &self.chunk_ref)
            .field("mint", &self.mint())
            .field("maxt", &self.maxt())
            .field("samples", &self.num_samples())
            .field("encoding", &self.encoding())
            .finish()
    }
}

/// M-mapped chunks of one series, oldest first, without overlap.
#[derive(Clone, Debug, Default)]
pub struct MappedChunks {
    chunks: Vec<MappedChunk>,
}

impl MappedChunks {
    /// Adds a chunk that is newer than all others.
    pub fn push(&mut self, chunk: MappedChunk) {
        if self.chunks.len() == self.chunks.capacity() {
            self.chunks.reserve_exact((self.chunks.len() / 4).max(1));
        }
        self.chunks.push(chunk);
    }

    /// Inserts chunks at their place in time. `chunks` must be sorted and must not overlap each
    /// other.
    ///
    /// Returns `false`, and changes nothing, if one overlaps an existing chunk.
    pub fn try_merge(&mut self, chunks: &[MappedChunk]) -> bool {
        let mut all: Vec<MappedChunk> = self.chunks.iter().chain(chunks).copied().collect();
        all.sort_by_key(MappedChunk::mint);
        if all.windows(2).any(|pair| pair[1].mint() <= pair[0].maxt()) {
            return false;
        }
        self.chunks = all;
        true
    }

    /// Returns the newest chunk.
    #[must_use]
    pub fn last(&self) -> Option<&MappedChunk> {
        self.chunks.last()
    }

    /// Iterates over the chunks, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, MappedChunk> {
        self.chunks.iter()
    }

    /// Returns the chunk whose time range contains `t`.
    #[must_use]
    pub fn covering(&self, t: i64) -> Option<&MappedChunk> {
        let later = self.chunks.partition_point(|chunk| chunk.mint() <= t);
        self.chunks[..later].last().filter(|chunk| t <= chunk.maxt())
    }

    /// Removes the chunks that end before `mint`. Returns their number.
    pub fn truncate_before(&mut self, mint: i64) -> usize {
        let old = self.chunks.partition_point(|chunk| chunk.maxt() < mint);
        if old > 0 {
            self.chunks.drain(..old);
            self.chunks.shrink_to_fit();
        }
        old
    }

    /// Returns the allocated size of the list, bytes.
    #[cfg(test)]
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<MappedChunk>()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_SPAN_MS, MappedChunk, MappedChunks};
    use crate::model::refs::HeadChunkRef;
    use crate::tsdb::chunk::ChunkEncoding;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn chunk(mint: i64, maxt: i64) -> MappedChunk {
        MappedChunk::new(HeadChunkRef::new(1, 8), mint, maxt, 120, ChunkEncoding::Xor)
    }

    #[test]
    fn list_allocates_at_most_32_bytes_per_chunk() {
        assert_eq!(size_of::<MappedChunk>(), 24);
        let mut list = MappedChunks::default();
        assert_eq!(list.allocated_bytes(), 0);
        for n in 1..=10_000 {
            list.push(chunk(n * 10, n * 10 + 9));
            assert!(
                list.allocated_bytes() <= 32 * n as usize,
                "{} bytes for {n} chunks",
                list.allocated_bytes()
            );
        }
    }

    #[test]
    fn merge_sorts_chunks_or_rejects_overlap() {
        let mut list = MappedChunks::default();
        [chunk(0, 9), chunk(40, 49)].into_iter().for_each(|chunk| list.push(chunk));
        assert!(!list.try_merge(&[chunk(20, 29), chunk(30, 40)]));
        assert_eq!(list.iter().count(), 2);
        assert!(list.try_merge(&[chunk(20, 29), chunk(60, 69)]));
        assert_eq!(list.iter().map(MappedChunk::mint).collect::<Vec<_>>(), [0, 20, 40, 60]);
    }

    #[test]
    fn chunks_are_found_and_truncated_by_time() {
        let mut list = MappedChunks::default();
        for (mint, maxt) in [(-20, -11), (-10, 0), (5, 5), (7, 19)] {
            list.push(chunk(mint, maxt));
        }
        let found = |t| list.covering(t).map(MappedChunk::mint);
        assert_eq!(
            [-21, -20, -11, -10, 0, 1, 5, 6, 7, 19, 20].map(found),
            [
                None,
                Some(-20),
                Some(-20),
                Some(-10),
                Some(-10),
                None,
                Some(5),
                None,
                Some(7),
                Some(7),
                None
            ]
        );
        assert_eq!(list.truncate_before(-11), 0);
        assert_eq!(list.truncate_before(5), 2);
        assert_eq!(list.iter().map(MappedChunk::mint).collect::<Vec<_>>(), [5, 7]);
        assert_eq!(list.allocated_bytes(), 48);
    }

    proptest! {
        #[test]
        fn packed_fields_round_trip(
            file in any::<u32>(), offset in any::<u32>(), mint in any::<i64>(),
            span in 0..=MAX_SPAN_MS as i64, samples in any::<u16>(), encoding in 1..=6u8,
        ) {
            let at = HeadChunkRef::new(file, offset);
            let maxt = mint.saturating_add(span);
            let encoding = ChunkEncoding::from_byte(encoding).unwrap();
            let chunk = MappedChunk::new(at, mint, maxt, samples, encoding);
            prop_assert_eq!(
                (chunk.chunk_ref(), chunk.mint(), chunk.maxt()),
                (at, mint, maxt)
            );
            prop_assert_eq!((chunk.num_samples(), chunk.encoding()), (samples, encoding));
        }
    }
}
