//! Block errors, classified by the reaction of the caller.

use crate::model::labels::Labels;
use crate::tsdb::block::meta::{MetaDefect, MetaError};
use crate::tsdb::chunk::chunk_segments::error::ChunkSegmentError;
use crate::tsdb::chunk::chunk_segments::format::ChunkSegmentFormatError;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::index::block_index::error::{IndexError, IndexFormatError, IndexInputError};
use crate::tsdb::query::corruption::{ChunkDefect, DataDefect};
use crate::tsdb::tombstones::file::TombstonesError;
use crate::tsdb::tombstones::format::TombstonesFormatError;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Error of opening, verifying, writing or changing a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The system failed. The block may be valid, and a retry may succeed.
    #[error(transparent)]
    Io(FileError),
    /// The block is corrupted or incomplete and belongs in the quarantine.
    #[error("corrupted block: {0}")]
    Corrupted(Corruption<BlockDefect>),
    /// The input cannot be stored in a block. A retry with the same input fails too.
    #[error("cannot write block: {0}")]
    InvalidInput(#[from] BlockInputError),
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

/// Defect of a file of a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockDefect {
    /// The index or a chunk segment is corrupted.
    #[error(transparent)]
    Data(#[from] DataDefect),
    /// The samples of a chunk are invalid.
    #[error("chunk: {0}")]
    Chunk(#[from] ChunkDefect),
    /// The tombstones are corrupted.
    #[error(transparent)]
    Tombstones(#[from] TombstonesFormatError),
    /// `meta.json` is corrupted, or does not describe the block.
    #[error(transparent)]
    Meta(#[from] MetaDefect),
    /// The file is missing.
    #[error("cannot {step}: {source}")]
    Missing {
        /// Name of the operation, such as `open`.
        step: &'static str,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Reason why a block cannot store its input.
#[derive(Debug, thiserror::Error)]
pub enum BlockInputError {
    /// A symbol, a series or a chunk reference cannot be stored in the index.
    #[error("cannot write {path}: {cause}", path = path.display())]
    Index {
        /// Path of the index.
        path: PathBuf,
        /// Reason of the rejection.
        cause: IndexInputError,
    },
    /// The data or the offset of a chunk exceeds 32 bits.
    #[error("cannot write {path}: chunk of {bytes} bytes is too large", path = path.display())]
    ChunkTooLarge {
        /// Path of the segment.
        path: PathBuf,
        /// Size of the chunk, bytes.
        bytes: usize,
    },
    /// A chunk has deleted samples, which the block would restore.
    #[error("chunk of {series} has deleted samples")]
    DeletedSamples {
        /// Labels of the series.
        series: Labels,
    },
}

impl From<IndexFormatError> for BlockDefect {
    fn from(error: IndexFormatError) -> Self {
        Self::Data(error.into())
    }
}

impl From<ChunkSegmentFormatError> for BlockDefect {
    fn from(error: ChunkSegmentFormatError) -> Self {
        Self::Data(error.into())
    }
}

impl<C: Into<BlockDefect>> From<Corruption<C>> for BlockError {
    fn from(Corruption { path, offset, cause }: Corruption<C>) -> Self {
        Self::Corrupted(Corruption { path, offset, cause: cause.into() })
    }
}

/// A missing file is corruption: it existed when the block got its name.
impl From<FileError> for BlockError {
    fn from(error: FileError) -> Self {
        match error.source.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
                let FileError { step, path, source } = error;
                Corruption::of_file(path, BlockDefect::Missing { step, source }).into()
            }
            _ => Self::Io(error),
        }
    }
}

impl From<MetaError> for BlockError {
    fn from(error: MetaError) -> Self {
        match error {
            MetaError::Io(error) => error.into(),
            MetaError::Corrupted(corruption) => corruption.into(),
        }
    }
}

impl From<ChunkSegmentError> for BlockError {
    fn from(error: ChunkSegmentError) -> Self {
        match error {
            ChunkSegmentError::Io(error) => error.into(),
            ChunkSegmentError::Corrupted(corruption) => corruption.into(),
            ChunkSegmentError::ChunkTooLarge { path, bytes } => {
                BlockInputError::ChunkTooLarge { path, bytes }.into()
            }
            ChunkSegmentError::Stopped => Self::Cancelled,
        }
    }
}

impl From<TombstonesError> for BlockError {
    fn from(error: TombstonesError) -> Self {
        match error {
            TombstonesError::Io(error) => error.into(),
            TombstonesError::Corrupted(corruption) => corruption.into(),
        }
    }
}

impl From<IndexError> for BlockError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Io { step, path, source } => FileError { step, path, source }.into(),
            IndexError::Corrupted(corruption) => corruption.into(),
            IndexError::InvalidInput { path, cause } => {
                BlockInputError::Index { path, cause }.into()
            }
            IndexError::Stopped => Self::Cancelled,
        }
    }
}
