//! Error of an admin operation or a change of settings.

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
