//! State of a log: whether it can be written, and why not.

use crate::tsdb::wal::error::WalError;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// State of a log.
#[derive(Debug, Clone)]
pub enum LogState {
    /// No write or sync has failed since the last success.
    Writable,
    /// The last write found a full disk.
    NoSpace {
        /// Error of the write.
        cause: Arc<io::Error>,
        /// Time before which the write is not retried.
        next_try: Instant,
    },
    /// A sync failed, or a write for a reason other than space. No writes until a restart.
    Failed {
        /// Error of the sync or write.
        cause: Arc<io::Error>,
    },
}

impl LogState {
    /// Returns `true` if the log accepts records.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        matches!(self, Self::Writable)
    }

    /// Returns the worse one of two states. A failure is worse than a lack of space.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Failed { .. }, _) | (_, Self::Writable) => self,
            (_, Self::Failed { .. }) | (Self::Writable, _) => other,
            (Self::NoSpace { .. }, Self::NoSpace { .. }) => self,
        }
    }

    /// Checks that the log can be written.
    ///
    /// # Errors
    /// [`WalError`] with the cause of the state.
    pub(super) fn check(&self) -> Result<(), WalError> {
        match self {
            Self::Writable => Ok(()),
            Self::NoSpace { cause, .. } => Err(WalError::NoSpace(Arc::clone(cause))),
            Self::Failed { cause } => Err(WalError::Failed(Arc::clone(cause))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LogState;
    use std::io::Error;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn failure_is_worse_than_lack_of_space() {
        let cause = || Arc::new(Error::from_raw_os_error(28));
        let states = || {
            let no_space = LogState::NoSpace { cause: cause(), next_try: Instant::now() };
            [LogState::Writable, no_space, LogState::Failed { cause: cause() }]
        };
        let rank = |state: &LogState| match state {
            LogState::Writable => 0,
            LogState::NoSpace { .. } => 1,
            LogState::Failed { .. } => 2,
        };
        for first in states() {
            for second in states() {
                let expected = rank(&first).max(rank(&second));
                assert_eq!(rank(&first.clone().worse(second)), expected);
            }
        }
    }
}
