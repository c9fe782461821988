//! Errors of admin operations, changes of settings, and requests before the database is ready.

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
    /// Nothing can be written now; the text names the cause.
    #[error("read-only: {0}")]
    ReadOnly(String),
    /// Stored data is corrupted or could not be written; the text names it.
    #[error("{0}")]
    Failed(String),
}

impl From<NotReady> for MaintenanceError {
    fn from(NotReady: NotReady) -> Self {
        Self::NotReady
    }
}
