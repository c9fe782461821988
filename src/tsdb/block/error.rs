//! Block errors, classified by the reaction of the caller.

use crate::tsdb::block::chunk_segments::error::ChunkSegmentError;
use crate::tsdb::block::meta::MetaError;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::index::block_index::error::IndexError;
use crate::tsdb::tombstones::file::TombstonesError;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Error of opening, reading, writing or changing a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The system failed. The block may be valid, and a retry may succeed.
    #[error(transparent)]
    Io(FileError),
    /// The block is corrupted or incomplete and belongs in the quarantine. The message names file
    /// and offset.
    #[error("corrupted block: {0}")]
    Corrupted(String),
    /// The input cannot be stored in a block. A retry with the same input fails too.
    #[error("cannot write block: {0}")]
    InvalidInput(String),
    /// The caller cancelled the work.
    #[error("cancelled")]
    Cancelled,
    /// A block of that name exists.
    #[error("cannot create {path}: already exists", path = path.display())]
    Exists {
        /// Path of the block.
        path: PathBuf,
    },
}

impl BlockError {
    /// Returns `true` if the block belongs in the quarantine.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupted(_))
    }
}

/// A missing file is corruption: it existed when the block got its name.
impl From<FileError> for BlockError {
    fn from(error: FileError) -> Self {
        match error.source.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
                Self::Corrupted(error.to_string())
            }
            _ => Self::Io(error),
        }
    }
}

impl From<MetaError> for BlockError {
    fn from(error: MetaError) -> Self {
        match error {
            MetaError::Io(error) => error.into(),
            MetaError::Malformed { .. } | MetaError::Version { .. } => {
                Self::Corrupted(error.to_string())
            }
        }
    }
}

impl From<ChunkSegmentError> for BlockError {
    fn from(error: ChunkSegmentError) -> Self {
        match error {
            ChunkSegmentError::Io(error) => error.into(),
            ChunkSegmentError::Corrupted { .. } | ChunkSegmentError::Missing { .. } => {
                Self::Corrupted(error.to_string())
            }
            ChunkSegmentError::ChunkTooLarge { .. } => Self::InvalidInput(error.to_string()),
            ChunkSegmentError::Stopped => Self::Cancelled,
        }
    }
}

impl From<TombstonesError> for BlockError {
    fn from(error: TombstonesError) -> Self {
        match error {
            TombstonesError::Io(error) => error.into(),
            TombstonesError::Corrupted { .. } => Self::Corrupted(error.to_string()),
        }
    }
}

impl From<IndexError> for BlockError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Io { step, path, source } => FileError { step, path, source }.into(),
            IndexError::Corrupted(corruption) => Self::Corrupted(corruption.to_string()),
            IndexError::InvalidInput { .. } => Self::InvalidInput(error.to_string()),
            IndexError::Stopped => Self::Cancelled,
        }
    }
}
