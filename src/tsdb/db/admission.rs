//! Admission of writes: whether something may be written now, and the reason if not.
//!
//! Appends, admin operations and health ask here, so they cannot disagree. The inputs are the
//! shutdown flag, the free disk space, and the health of WAL and WBL. The server has the same
//! reasons for its phases ([`WriteUnavailable::Replaying`], [`WriteUnavailable::Closing`]).

use crate::tsdb::db::error::{MaintenanceError, NotReady};
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::wal::write_log::LogHealth;

/// Reason why nothing may be written now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteUnavailable {
    /// The WAL is being replayed.
    #[error("narthex is starting: replaying the WAL")]
    Replaying,
    /// The process is shutting down.
    #[error("narthex is shutting down")]
    Closing,
    /// The WAL or the disk is full; narthex recovers without a restart.
    #[error("read-only: {0}")]
    ReadOnly(String),
    /// The WAL failed and is read-only until a restart.
    #[error("read-only until a restart: {0}")]
    Failed(String),
}

impl From<NotReady> for WriteUnavailable {
    fn from(NotReady: NotReady) -> Self {
        Self::Replaying
    }
}

impl From<WriteUnavailable> for MaintenanceError {
    fn from(reason: WriteUnavailable) -> Self {
        match reason {
            WriteUnavailable::Replaying | WriteUnavailable::Closing => Self::NotReady,
            WriteUnavailable::ReadOnly(cause) | WriteUnavailable::Failed(cause) => {
                Self::ReadOnly(cause)
            }
        }
    }
}

/// Admission of writes to a ready database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission<'a>(&'a Engine);

impl<'a> Admission<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Self {
        Self(engine)
    }

    /// Checks whether a request may append. A log without space tries again first.
    pub(crate) fn admit_append(self) -> Result<(), WriteUnavailable> {
        if self.0.shared.is_closing() {
            return Err(WriteUnavailable::Closing);
        }
        // Below the reserve a log must not try again: it would use the rest of the space.
        if let Some(cause) = self.0.check_disk() {
            writable(self.0.log_health())?;
            return Err(WriteUnavailable::ReadOnly(cause));
        }
        writable(self.0.check_writable())
    }

    /// Checks whether an admin operation may write files.
    pub(crate) fn admit_files(self) -> Result<(), WriteUnavailable> {
        self.0.check_disk().map_or(Ok(()), |cause| Err(WriteUnavailable::ReadOnly(cause)))
    }

    /// Returns the current state without an effect on the logs. A shutdown is not a reason here.
    pub(crate) fn state(self) -> Result<(), WriteUnavailable> {
        writable(self.0.log_health())?;
        self.admit_files()
    }
}

fn writable(health: LogHealth) -> Result<(), WriteUnavailable> {
    match health {
        LogHealth::Healthy => Ok(()),
        LogHealth::NoSpace(cause) => Err(WriteUnavailable::ReadOnly(cause)),
        LogHealth::Failed(cause) => Err(WriteUnavailable::Failed(cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::{WriteUnavailable, writable};
    use crate::tsdb::db::error::MaintenanceError;
    use crate::tsdb::wal::write_log::LogHealth;

    #[test]
    fn each_log_health_has_one_reason() {
        let cause = || "disk".to_owned();
        assert_eq!(writable(LogHealth::Healthy), Ok(()));
        let full = writable(LogHealth::NoSpace(cause())).unwrap_err();
        assert_eq!(full, WriteUnavailable::ReadOnly(cause()));
        let failed = writable(LogHealth::Failed(cause())).unwrap_err();
        assert_eq!(failed, WriteUnavailable::Failed(cause()));
        assert_eq!(failed.to_string(), "read-only until a restart: disk");
    }

    #[test]
    fn admin_operations_get_the_cause_without_prefix() {
        for reason in [WriteUnavailable::ReadOnly("a".into()), WriteUnavailable::Failed("a".into())]
        {
            assert_eq!(MaintenanceError::from(reason).to_string(), "read-only: a");
        }
        let closing = MaintenanceError::from(WriteUnavailable::Closing);
        assert!(matches!(closing, MaintenanceError::NotReady));
    }
}
