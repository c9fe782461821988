//! Errors of `chunks_head/`, with path and offset.

use crate::tsdb::chunk::head_chunks::format::HeadChunkFormatError;
use crate::tsdb::fs::full::is_full;
use std::io;
use std::path::PathBuf;

/// Corrupted header or record of a head-chunk file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: at offset {offset}: {fault}", path = path.display())]
pub struct HeadChunkCorruption {
    /// Path of the file.
    pub path: PathBuf,
    /// Offset of the header or record in the file, bytes.
    pub offset: u64,
    /// Defect of the header or record.
    pub fault: HeadChunkFormatError,
}

/// Error of reading or writing `chunks_head/`.
#[derive(Debug, thiserror::Error)]
pub enum HeadChunksError {
    /// An operation on a file or directory failed.
    #[error("cannot {step} {path}: {source}", path = path.display())]
    Io {
        /// Operation that failed, as a verb phrase.
        step: &'static str,
        /// Path of the file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A write failed. None of its chunks is referenced; the next write uses the same offset.
    #[error("cannot write {path} at offset {offset}: {source}", path = path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Offset of the write in the file, bytes.
        offset: u64,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A sync failed. It is unknown which data is durable.
    #[error("cannot sync {path}: {source}", path = path.display())]
    Sync {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A reference does not point to a valid chunk.
    #[error(transparent)]
    Corrupted(#[from] HeadChunkCorruption),
    /// A reference points to a file that does not exist (any more).
    #[error("{dir}: no file {number:06}", dir = dir.display())]
    MissingFile {
        /// Path of the directory `chunks_head/`.
        dir: PathBuf,
        /// File number in the reference.
        number: u32,
    },
    /// A chunk exceeds the maximum file size, or its series reference is 0.
    #[error("cannot store chunk of {bytes} bytes of series {series}")]
    ChunkTooLarge {
        /// Series reference of the chunk.
        series: u64,
        /// Size of the chunk, bytes.
        bytes: usize,
    },
}

impl HeadChunksError {
    /// Returns `true` if the cause is a full disk or an exhausted disk quota.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        let (Self::Io { source, .. } | Self::Write { source, .. } | Self::Sync { source, .. }) =
            self
        else {
            return false;
        };
        is_full(source)
    }
}
