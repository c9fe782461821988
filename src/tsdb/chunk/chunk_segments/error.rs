//! Errors of chunk segments.

use crate::tsdb::chunk::chunk_segments::format::ChunkSegmentFormatError;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::durable::FileError;
use std::path::PathBuf;

/// Corruption of a chunk segment.
pub type ChunkSegmentCorruption = Corruption<ChunkSegmentFormatError>;

/// Error of opening, verifying or writing chunk segments.
#[derive(Debug, thiserror::Error)]
pub enum ChunkSegmentError {
    /// A file system operation failed.
    #[error(transparent)]
    Io(#[from] FileError),
    /// A segment has invalid bytes, or is missing although a later one exists.
    #[error("cannot read {0}")]
    Corrupted(#[from] ChunkSegmentCorruption),
    /// The data or the offset of a chunk exceeds 32 bits.
    #[error("cannot write {path}: chunk of {bytes} bytes is too large", path = path.display())]
    ChunkTooLarge {
        /// Path of the segment.
        path: PathBuf,
        /// Size of the chunk, bytes.
        bytes: usize,
    },
    /// The caller cancelled the work.
    #[error("cancelled")]
    Stopped,
}
