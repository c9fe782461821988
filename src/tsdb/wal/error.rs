//! Why the log was not written.

use crate::tsdb::fs::full::is_full;
use crate::tsdb::wal::checkpoint::CheckpointError;
use std::io;
use std::sync::Arc;

/// Why records are not, or may not be, in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// There is no space. The write is tried again before anything new is accepted.
    #[error("the log can't be written: {0}")]
    NoSpace(Arc<io::Error>),
    /// A sync failed, or a write for another reason than space. Nothing is written until a restart.
    #[error("the log failed, no writes until a restart: {0}")]
    Failed(Arc<io::Error>),
    /// The log can't be begun.
    #[error("the log can't be begun: {0}")]
    Open(#[from] OpenLogError),
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

/// Why a log can't be begun.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenLogError {
    /// The file system refused.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// Its checkpoints can't be told, or its segments have a gap.
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

/// Why records were not written, for whoever decides what comes next.
#[derive(Debug)]
pub enum WriteLogError {
    /// There is no space: it can be tried again.
    NoSpace(io::Error),
    /// What is on the disk is not known: nothing may be written any more.
    Broken(io::Error),
}

impl WriteLogError {
    /// What the failure of a write or a cut means.
    #[must_use]
    pub fn from_write(error: io::Error) -> Self {
        if is_full(&error) { Self::NoSpace(error) } else { Self::Broken(error) }
    }

    /// What the failure to make a segment, or to sync the directory with its name, means. Nothing was written yet, so a lack
    /// of open files or of memory passes like a lack of space.
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
}
