//! Defects of stored data that a query can find.

use crate::model::labels::Labels;
use crate::tsdb::chunk::chunk_segments::format::ChunkSegmentFormatError;
use crate::tsdb::chunk::head_chunks::format::HeadChunkFormatError;
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::index::block_index::error::IndexFormatError;

/// Defect of a file that queries read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataDefect {
    /// The index of a block is corrupted.
    #[error(transparent)]
    Index(#[from] IndexFormatError),
    /// A chunk segment of a block is corrupted or missing.
    #[error(transparent)]
    ChunkSegment(#[from] ChunkSegmentFormatError),
    /// A file of `chunks_head/` is corrupted or missing.
    #[error(transparent)]
    HeadChunk(#[from] HeadChunkFormatError),
    /// A series of an index is not greater than the previous one.
    #[error("series {series} is out of order")]
    SeriesOrder {
        /// Labels of the series.
        series: Labels,
    },
}

/// Defect of the samples of a chunk whose checksum is valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkDefect {
    /// The samples cannot be decoded.
    #[error(transparent)]
    Samples(#[from] ChunkError),
    /// The chunk has no samples.
    #[error("no samples")]
    Empty,
    /// A timestamp is not greater than the previous one.
    #[error("timestamp {t} is not after the previous one")]
    NotAscending {
        /// Timestamp of the sample, ms.
        t: i64,
    },
    /// A timestamp is outside of the time range of the chunk.
    #[error("timestamp {t} is not within {mint}..={maxt}")]
    OutsideRange {
        /// Timestamp of the sample, ms.
        t: i64,
        /// Stated timestamp of the first sample, ms.
        mint: i64,
        /// Stated timestamp of the last sample, ms.
        maxt: i64,
    },
}
