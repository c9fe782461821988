//! What can go wrong with segment files, with file and offset.

use crate::tsdb::block::chunk_segments::format::ChunkSegmentFormatError;
use crate::tsdb::fs::durable::FileError;
use std::path::PathBuf;

/// Why chunks can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ChunkSegmentError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// Bytes of a file that are not what they should be.
    #[error("{path}: at byte {offset}: {fault}", path = path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// Where in it the header or the chunk begins.
        offset: u64,
        /// What is wrong.
        fault: ChunkSegmentFormatError,
    },
    /// A file that the numbers of the others, or a reference, call for.
    #[error("{path}: missing", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A chunk that no segment can hold.
    #[error("{path}: chunk of {bytes} bytes can't be stored", path = path.display())]
    ChunkTooLarge {
        /// The folder of the segments.
        path: PathBuf,
        /// The chunk's size.
        bytes: usize,
    },
    /// The caller did not want to wait for the end.
    #[error("stopped before the end")]
    Stopped,
}
