//! Why the log was not written.

use std::io;
use std::sync::Arc;

/// Why records are not, or may not be, in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// A write failed. It is tried again before anything new is accepted.
    #[error("the log can't be written: {0}")]
    Write(Arc<io::Error>),
    /// A sync failed. Nothing is written until a restart.
    #[error("a sync of the log failed, no writes until a restart: {0}")]
    Sync(Arc<io::Error>),
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

impl From<io::Error> for WalError {
    fn from(error: io::Error) -> Self {
        Self::Write(Arc::new(error))
    }
}
