//! Error of a run that did not shut down cleanly.

use crate::app::reload::ApplyConfigError;
use crate::app::web_config::setup::WebConfigError;
use crate::tsdb::db::WalError;
use crate::tsdb::db::locked_dir::OpenError;
use crate::tsdb::db::recovery::error::RecoveryError;
use tokio::task::JoinError;

/// Error of a run that did not shut down cleanly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// A listen address cannot be bound.
    #[error("cannot listen on --{flag}={address}: {source}")]
    Bind {
        /// Name of the flag, without dashes.
        flag: &'static str,
        /// Value of the flag.
        address: String,
        /// Error of the system call.
        source: std::io::Error,
    },
    /// The runtime or a signal handler cannot be set up, or a thread cannot be spawned.
    #[error("cannot start server: {0}")]
    System(#[from] std::io::Error),
    /// The configuration file is invalid or cannot be applied.
    #[error(transparent)]
    Config(#[from] ApplyConfigError),
    /// The web configuration file, or a file that it names, is invalid.
    #[error(transparent)]
    WebConfig(#[from] WebConfigError),
    /// The data directory cannot be opened.
    #[error("cannot open --storage.tsdb.path: {0}")]
    Open(#[from] OpenError),
    /// The data directory cannot be replayed.
    #[error("cannot replay --storage.tsdb.path: {0}")]
    Replay(#[from] RecoveryError),
    /// A task of the server panicked.
    #[error("a task of the server panicked: {0}")]
    TaskPanicked(#[from] JoinError),
    /// The WAL cannot be written or synced.
    #[error("cannot close database: {0}")]
    Close(#[from] WalError),
    /// A second stop was requested during the shutdown.
    #[error("shutdown interrupted by a second signal")]
    SecondSignal,
}
