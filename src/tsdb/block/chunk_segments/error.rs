//! Errors of chunk segments.

use crate::tsdb::block::chunk_segments::format::ChunkSegmentFormatError;
use crate::tsdb::fs::durable::FileError;
use std::path::PathBuf;

/// Error of reading or writing chunk segments.
#[derive(Debug, thiserror::Error)]
pub enum ChunkSegmentError {
    /// A file system operation failed.
    #[error(transparent)]
    Io(#[from] FileError),
    /// A segment has invalid bytes.
    #[error("cannot read {path} at offset {offset}: {fault}", path = path.display())]
    Corrupted {
        /// Path of the segment.
        path: PathBuf,
        /// Offset of the invalid header or chunk, bytes.
        offset: u64,
        /// Defect of the bytes.
        fault: ChunkSegmentFormatError,
    },
    /// A segment that later segments or a chunk reference require is missing.
    #[error("cannot read {path}: file is missing", path = path.display())]
    Missing {
        /// Path of the segment.
        path: PathBuf,
    },
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
