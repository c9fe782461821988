//! Chunk store of the head: files of m-mapped chunks, rules for new chunks, truncation state.

use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::head::chunks::mapper::ChunkMapper;
use crate::tsdb::head::chunks::settings::ChunkSettings;
use crate::tsdb::head::chunks::truncation_state::TruncationState;

/// Everything about the chunks of the head except the chunks that series hold in memory.
#[derive(Debug)]
pub struct ChunkStore {
    /// Mapper of sealed chunks, and the files of `chunks_head/`.
    pub mapper: ChunkMapper,
    /// Rules for new chunks.
    pub settings: ChunkSettings,
    /// Chunks that may be gone because blocks contain them.
    pub truncation: TruncationState,
}

impl ChunkStore {
    /// Creates the store of an empty head that writes full chunks to `files`.
    #[must_use]
    pub fn new(files: HeadChunkStore, policy: CutPolicy, encodings: EncodingPolicy) -> Self {
        Self {
            mapper: ChunkMapper::new(files),
            settings: ChunkSettings::new(policy, encodings),
            truncation: TruncationState::default(),
        }
    }
}
