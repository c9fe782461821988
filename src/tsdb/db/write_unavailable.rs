//! Reasons why writes are rejected.

use crate::tsdb::wal::log_state::LogState;
use std::io;
use std::sync::Arc;

/// Reason why no write is accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteUnavailable {
    /// The WAL is being replayed.
    #[error("narthex is starting: replaying the WAL")]
    Replaying,
    /// The process is shutting down.
    #[error("narthex is shutting down")]
    Closing,
    /// The WAL or the disk is full; narthex recovers without a restart.
    #[error("read-only: {0}")]
    ReadOnly(ReadOnlyReason),
    /// The WAL or the WBL failed and is read-only until a restart.
    #[error("read-only until a restart: WAL failed: {cause}")]
    LogFailed {
        /// Error of the write or sync.
        cause: Arc<io::Error>,
    },
}

/// Reason for read-only mode. Writes resume when it is gone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadOnlyReason {
    /// A write of the WAL or the WBL found a full disk.
    #[error("cannot write to the WAL: {cause}")]
    LogWithoutSpace {
        /// Error of the write.
        cause: Arc<io::Error>,
    },
    /// Less than the disk reserve is free, or was and too little is free now.
    #[error(
        "low disk space: {free} bytes are free, the reserve is {reserve} bytes, \
         writes resume at {resume} bytes"
    )]
    LowSpace {
        /// Free space, bytes.
        free: u64,
        /// Disk reserve, bytes.
        reserve: u64,
        /// Free space from which writes are accepted again, bytes.
        resume: u64,
    },
    /// A write outside of the logs found a full disk: a block, a checkpoint or head chunks.
    #[error(
        "disk is full: cannot {operation}: {cause}; {free} bytes are free, \
         the reserve is {reserve} bytes"
    )]
    DiskFull {
        /// Verb phrase of the write, such as "write a block".
        operation: &'static str,
        /// Error of the write.
        cause: Arc<io::Error>,
        /// Free space, bytes.
        free: u64,
        /// Disk reserve, bytes.
        reserve: u64,
    },
}

impl WriteUnavailable {
    /// Checks that a log in `state` accepts records.
    pub(crate) fn check_log(state: LogState) -> Result<(), Self> {
        match state {
            LogState::Writable => Ok(()),
            LogState::NoSpace { cause, .. } => {
                Err(Self::ReadOnly(ReadOnlyReason::LogWithoutSpace { cause }))
            }
            LogState::Failed { cause } => Err(Self::LogFailed { cause }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WriteUnavailable;
    use crate::tsdb::db::error::MaintenanceError;
    use crate::tsdb::wal::log_state::LogState;
    use std::io::Error;
    use std::sync::Arc;
    use std::time::Instant;

    fn reason(state: LogState) -> WriteUnavailable {
        WriteUnavailable::check_log(state).unwrap_err()
    }

    #[test]
    fn each_log_state_has_one_reason() {
        let cause = || Arc::new(Error::other("disk"));
        WriteUnavailable::check_log(LogState::Writable).unwrap();
        let full = reason(LogState::NoSpace { cause: cause(), next_try: Instant::now() });
        assert_eq!(full.to_string(), "read-only: cannot write to the WAL: disk");
        assert_eq!(
            MaintenanceError::from(full).to_string(),
            "read-only: cannot write to the WAL: disk"
        );
        let failed = reason(LogState::Failed { cause: cause() });
        let text = "read-only until a restart: WAL failed: disk";
        assert_eq!(failed.to_string(), text);
        assert_eq!(MaintenanceError::from(failed).to_string(), text);
        let closing = MaintenanceError::from(WriteUnavailable::Closing);
        assert!(matches!(closing, MaintenanceError::NotReady));
    }
}
