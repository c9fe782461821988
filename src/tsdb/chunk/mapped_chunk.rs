//! What stays in memory of a full chunk: where it is, and what a read must know before it looks there.
//!
//! ```text
//! MappedChunk, 24 bytes:  ┌─────────┬──────────┬────────────────┬──────────────────┬──────────────────┐
//!                         │ at (64) │ mint (64)│ span ms (44)   │ encoding (4)     │ samples (16)     │
//!                         └─────────┴──────────┴────────────────┴──────────────────┴──────────────────┘
//! ```
//!
//! A chunk ends less than 2^44 ms (557 years) after it begins: no sane chunk range and no out-of-order window comes near.
//! Reading a head-chunk file refuses one that spans more as damage.
//!
//! [`MappedChunks`] is the list of one series: it costs at most 32 bytes for each chunk, room to grow into included, from the
//! first chunk on. Guarded by whatever guards the series.

use crate::model::refs::HeadChunkRef;
use crate::tsdb::chunk::ChunkEncoding;

/// The longest time from a chunk's first to its last sample, ms.
pub const MAX_SPAN_MS: u64 = (1 << 44) - 1;

/// A full chunk in `chunks_head/`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MappedChunk {
    chunk_ref: HeadChunkRef,
    mint: i64,
    /// Span, encoding and number of samples, from the highest bits down.
    packed: u64,
}

impl MappedChunk {
    /// The chunk at `at` with samples from `mint` to `maxt` ms, which lie at most [`MAX_SPAN_MS`] apart.
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

    /// Where it is.
    #[must_use]
    pub fn chunk_ref(&self) -> HeadChunkRef {
        self.chunk_ref
    }

    /// Time of its first sample, ms.
    #[must_use]
    pub fn mint(&self) -> i64 {
        self.mint
    }

    /// Time of its last sample, ms.
    #[must_use]
    pub fn maxt(&self) -> i64 {
        self.mint.saturating_add((self.packed >> 20) as i64)
    }

    /// How many samples it has.
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        self.packed as u16
    }

    /// How its bytes are encoded.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        // `new` has put a valid number there.
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

/// The mapped chunks of one series, oldest first, without overlap.
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

    /// Adds chunks, themselves oldest first and without overlap, wherever their times belong; `false`, and nothing
    /// done, where one overlaps a chunk that is there.
    pub fn try_merge(&mut self, chunks: &[MappedChunk]) -> bool {
        let mut all: Vec<MappedChunk> = self.chunks.iter().chain(chunks).copied().collect();
        all.sort_by_key(MappedChunk::mint);
        if all.windows(2).any(|pair| pair[1].mint() <= pair[0].maxt()) {
            return false;
        }
        self.chunks = all;
        true
    }

    /// The newest one.
    #[must_use]
    pub fn last(&self) -> Option<&MappedChunk> {
        self.chunks.last()
    }

    /// All, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, MappedChunk> {
        self.chunks.iter()
    }

    /// The chunk whose time covers `t` ms.
    #[must_use]
    pub fn covering(&self, t: i64) -> Option<&MappedChunk> {
        let later = self.chunks.partition_point(|chunk| chunk.mint() <= t);
        self.chunks[..later].last().filter(|chunk| t <= chunk.maxt())
    }

    /// Forgets the chunks that end before `mint` ms, and gives how many they were.
    pub fn truncate_before(&mut self, mint: i64) -> usize {
        let old = self.chunks.partition_point(|chunk| chunk.maxt() < mint);
        if old > 0 {
            self.chunks.drain(..old);
            self.chunks.shrink_to_fit();
        }
        old
    }

    /// How many bytes the list holds allocated.
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
    fn a_chunk_costs_at_most_32_bytes() {
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
    fn chunks_merge_where_their_times_belong_or_not_at_all() {
        let mut list = MappedChunks::default();
        [chunk(0, 9), chunk(40, 49)].into_iter().for_each(|one| list.push(one));
        assert!(!list.try_merge(&[chunk(20, 29), chunk(30, 40)]));
        assert_eq!(list.iter().count(), 2);
        assert!(list.try_merge(&[chunk(20, 29), chunk(60, 69)]));
        assert_eq!(list.iter().map(MappedChunk::mint).collect::<Vec<_>>(), [0, 20, 40, 60]);
    }

    #[test]
    fn chunks_are_found_by_time_and_dropped_when_they_are_old() {
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
        fn everything_put_in_comes_out(
            file in any::<u32>(), offset in any::<u32>(), mint in any::<i64>(), span in 0..=MAX_SPAN_MS as i64,
            samples in any::<u16>(), encoding in 1..=6u8,
        ) {
            let at = HeadChunkRef::new(file, offset);
            let maxt = mint.saturating_add(span);
            let encoding = ChunkEncoding::from_byte(encoding).unwrap();
            let chunk = MappedChunk::new(at, mint, maxt, samples, encoding);
            prop_assert_eq!(
                (chunk.chunk_ref(), chunk.mint(), chunk.maxt(), chunk.num_samples(), chunk.encoding()),
                (at, mint, maxt, samples, encoding)
            );
        }
    }
}
