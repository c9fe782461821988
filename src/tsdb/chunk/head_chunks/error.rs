//! What can go wrong in `chunks_head/`, with file and offset.

use crate::tsdb::chunk::head_chunks::format::HeadChunkFormatError;
use crate::tsdb::fs::full::is_full;
use std::io;
use std::path::PathBuf;

/// Bytes of a file that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: at byte {offset}: {fault}", path = path.display())]
pub struct HeadChunkCorruption {
    /// The file.
    pub path: PathBuf,
    /// Where in it the header or the record begins.
    pub offset: u64,
    /// What is wrong.
    pub fault: HeadChunkFormatError,
}

/// Why `chunks_head/` could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HeadChunksError {
    /// A step on a file or directory failed.
    #[error("{path}: {step}: {source}", path = path.display())]
    Io {
        /// What was tried.
        step: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A write failed; none of its chunks is referred to, the next one goes to the same place.
    #[error("{path}: write at byte {offset}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// Why it failed.
        source: io::Error,
    },
    /// A file could not be brought to the disk; what reached it is unknown.
    #[error("{path}: sync: {source}", path = path.display())]
    Sync {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What a reference points at is not a whole chunk.
    #[error(transparent)]
    Corrupted(#[from] HeadChunkCorruption),
    /// A reference to a file that is not there (any more).
    #[error("{dir}: no file {number:06}", dir = dir.display())]
    MissingFile {
        /// `chunks_head/`.
        dir: PathBuf,
        /// The number in the reference.
        number: u32,
    },
    /// A chunk that no file can hold, or that is of no series.
    #[error("chunk of {bytes} bytes of series {series} can't be stored")]
    ChunkTooLarge {
        /// Its series.
        series: u64,
        /// Its size.
        bytes: usize,
    },
}

impl HeadChunksError {
    /// Whether it says that the disk is full, or this user's share of it.
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
