//! Errors of opening and writing a log.

use crate::tsdb::fs::full::is_full;
use crate::tsdb::wal::checkpoint::CheckpointError;
use std::io;
use std::sync::Arc;

/// Error of committing records: they are not, or may not be, in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// The disk is full. The write is retried before new requests are accepted.
    #[error("cannot write to the WAL: {0}")]
    NoSpace(Arc<io::Error>),
    /// A sync failed, or a write for a reason other than space. Nothing is written until a restart.
    #[error("WAL failed, rejecting writes until restart: {0}")]
    Failed(Arc<io::Error>),
    /// The log cannot be opened.
    #[error("cannot open the WAL: {0}")]
    Open(#[from] OpenLogError),
    /// The log is closed.
    #[error("WAL is closed")]
    Closed,
}

/// Error of opening a log for writing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenLogError {
    /// A file or directory cannot be created or synced.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// Checkpoints or segments cannot be listed, or the segments have a gap.
    #[error("{0}")]
    Listing(Arc<CheckpointError>),
}

impl From<io::Error> for OpenLogError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl From<CheckpointError> for OpenLogError {
    fn from(error: CheckpointError) -> Self {
        Self::Listing(Arc::new(error))
    }
}

/// Error of a write, classified by whether a retry is safe.
#[derive(Debug)]
pub enum WriteLogError {
    /// The disk is full. A retry is safe.
    NoSpace(io::Error),
    /// The state on disk is unknown. Nothing may be written until a restart.
    Failed(io::Error),
}

impl WriteLogError {
    /// Classifies the error of a write or a truncation.
    #[must_use]
    pub fn from_write(error: io::Error) -> Self {
        if is_full(&error) { Self::NoSpace(error) } else { Self::Failed(error) }
    }

    /// Classifies the error of creating a segment or of syncing its directory. Nothing was written
    /// yet, so a lack of file descriptors or memory is as temporary as a lack of space.
    #[must_use]
    pub fn from_create(error: io::Error) -> Self {
        const ENOMEM: i32 = 12;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        match error.raw_os_error() {
            Some(ENOMEM | ENFILE | EMFILE) => Self::NoSpace(error),
            _ => Self::from_write(error),
        }
    }

    /// Returns the error of the operating system.
    #[must_use]
    pub fn into_cause(self) -> io::Error {
        match self {
            Self::NoSpace(cause) | Self::Failed(cause) => cause,
        }
    }
}

impl From<WriteLogError> for WalError {
    fn from(error: WriteLogError) -> Self {
        match error {
            WriteLogError::NoSpace(cause) => Self::NoSpace(Arc::new(cause)),
            WriteLogError::Failed(cause) => Self::Failed(Arc::new(cause)),
        }
    }
}
