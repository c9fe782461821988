//! Errors of admin operations, changes of settings, and requests before the database is ready.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::chunk::head_chunks::error::{HeadChunkCorruption, HeadChunksError};
use crate::tsdb::compact::execute::CompactError;
use crate::tsdb::compact::merge::error::MergeError;
use crate::tsdb::compact::write::WriteBlockError;
use crate::tsdb::db::blocks::load::LoadBlocksError;
use crate::tsdb::db::wbl::WblError;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::query::source::QueryError;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::truncation::TruncateError;
use std::io;
use std::path::Path;

/// The database is not ready: the WAL is being replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database is not ready")]
pub struct NotReady;

/// Reason why an admin operation or a change of settings was not completed.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The WAL is being replayed, or the process is shutting down.
    #[error("the database is not ready")]
    NotReady,
    /// The process is shutting down. Nothing incomplete is left.
    #[error("cancelled: shutting down")]
    Cancelled,
    /// Nothing can be written now.
    #[error(transparent)]
    WriteUnavailable(WriteUnavailable),
    /// Stored data is corrupted or could not be written.
    #[error("cannot {operation}: {cause}")]
    Failed {
        /// Verb phrase of the failed step, such as "merge blocks".
        operation: &'static str,
        /// Error of the step.
        cause: Box<MaintenanceFailure>,
    },
}

/// Error of one step of maintenance or of an admin operation.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceFailure {
    /// The system has no random bytes.
    #[error(transparent)]
    Random(#[from] io::Error),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A block cannot be read or changed.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The blocks of the directory cannot be loaded.
    #[error(transparent)]
    LoadBlocks(#[from] LoadBlocksError),
    /// A block cannot be written.
    #[error(transparent)]
    WriteBlock(#[from] WriteBlockError),
    /// Blocks cannot be compacted.
    #[error(transparent)]
    Compact(#[from] CompactError),
    /// The sources of a block cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// Stored data cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Head chunks cannot be written or removed.
    #[error(transparent)]
    HeadChunks(#[from] HeadChunksError),
    /// A head chunk is corrupted.
    #[error(transparent)]
    HeadChunk(#[from] HeadChunkCorruption),
    /// The WAL or the WBL cannot be written.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The WAL cannot be truncated.
    #[error(transparent)]
    TruncateLog(#[from] TruncateError),
    /// The WBL cannot be created.
    #[error(transparent)]
    Wbl(#[from] WblError),
}

impl MaintenanceFailure {
    /// Returns path and offset of the file whose corruption is the cause, if it is.
    #[must_use]
    pub fn corrupted_file(&self) -> Option<(&Path, Option<u64>)> {
        let (path, offset) = match self {
            Self::Block(error) => return corrupted_block_file(error),
            Self::WriteBlock(error) | Self::Compact(CompactError::Write(error)) => match error {
                WriteBlockError::Write(error) => return corrupted_block_file(error),
                WriteBlockError::Source(QueryError::Corrupted(corruption))
                | WriteBlockError::Merge(MergeError::Source(QueryError::Corrupted(corruption))) => {
                    (&corruption.path, corruption.offset)
                }
                _ => return None,
            },
            Self::Merge(MergeError::Source(QueryError::Corrupted(corruption)))
            | Self::Query(QueryError::Corrupted(corruption)) => {
                (&corruption.path, corruption.offset)
            }
            Self::HeadChunk(corruption) => (&corruption.path, corruption.offset),
            _ => return None,
        };
        Some((path, offset))
    }
}

fn corrupted_block_file(error: &BlockError) -> Option<(&Path, Option<u64>)> {
    match error {
        BlockError::Corrupted(corruption) => Some((&corruption.path, corruption.offset)),
        _ => None,
    }
}

impl From<NotReady> for MaintenanceError {
    fn from(NotReady: NotReady) -> Self {
        Self::NotReady
    }
}

impl From<WriteUnavailable> for MaintenanceError {
    fn from(reason: WriteUnavailable) -> Self {
        match reason {
            WriteUnavailable::Replaying | WriteUnavailable::Closing => Self::NotReady,
            WriteUnavailable::ReadOnly(_) | WriteUnavailable::LogFailed { .. } => {
                Self::WriteUnavailable(reason)
            }
        }
    }
}

impl From<NotReady> for WriteUnavailable {
    fn from(NotReady: NotReady) -> Self {
        Self::Replaying
    }
}
