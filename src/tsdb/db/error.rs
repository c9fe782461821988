//! Why a deletion, a clean-up, a snapshot or a change of settings was not done.

use std::io;
use std::path::PathBuf;

/// What keeps an operator's order from being carried out.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// Not now: the log is being replayed, or the process ends.
    #[error("the database is not ready")]
    NotReady,
    /// Given up, as the process ends. Nothing half-done is left.
    #[error("cancelled: shutting down")]
    Cancelled,
    /// Not now: nothing can be written.
    #[error("read-only: {0}")]
    ReadOnly(String),
    /// Not in this version, or not as the directory is.
    #[error("not available: {0}")]
    Unavailable(&'static str),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Stored data is damaged or could not be written; the text names it.
    #[error("{0}")]
    Failed(String),
}
