//! Why a deletion, a clean-up, a snapshot or a change of settings was not done.

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
    /// Stored data is damaged or could not be written; the text names it.
    #[error("{0}")]
    Failed(String),
}
