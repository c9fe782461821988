//! What can go wrong with a block, by what its caller does next.

use crate::tsdb::block::chunk_segments::error::ChunkSegmentError;
use crate::tsdb::block::meta::MetaError;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::index::block_index::error::IndexError;
use crate::tsdb::tombstones::file::TombstonesError;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Why a block can't be opened, read, written or changed.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The system refused: nothing is known against the block, and trying again later may help.
    #[error(transparent)]
    Io(FileError),
    /// The block is damaged or incomplete: it is to be set aside. The text names file and offset.
    #[error("damaged block: {0}")]
    Corrupted(String),
    /// What was given can't stand in a block; another attempt with the same ends the same.
    #[error("can't be written into a block: {0}")]
    InvalidInput(String),
    /// Whoever asked did not want to wait for the end.
    #[error("stopped before the end")]
    Cancelled,
    /// There is a block of that name.
    #[error("{path}: exists already", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
}

impl BlockError {
    /// Whether the block is to be set aside.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupted(_))
    }
}

/// A file that is missing was there when the block got its name: that is damage.
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
            IndexError::Corrupted(damage) => Self::Corrupted(damage.to_string()),
            IndexError::InvalidInput { .. } => Self::InvalidInput(error.to_string()),
            IndexError::Stopped => Self::Cancelled,
        }
    }
}
