//! Errors of `chunks_head/`, with path and offset.

use crate::tsdb::chunk::head_chunks::format::HeadChunkFormatError;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::full::is_full;
use std::io;
use std::path::PathBuf;

/// Corrupted header or record of a head-chunk file.
pub type HeadChunkCorruption = Corruption<HeadChunkFormatError>;

/// Error of opening or writing `chunks_head/`.
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
