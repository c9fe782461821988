//! First stage of a database: a locked data directory. Nothing in it was read or changed yet.

use crate::tsdb::db::dir_lock::{DirLock, LockError};
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::recovery::Recovery;
use crate::tsdb::db::state::shared::DbShared;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Data directory that this process has locked.
#[derive(Debug)]
pub struct LockedDir {
    shared: Arc<DbShared>,
    lock: DirLock,
}

/// Error of opening a data directory.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the directory.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The directory cannot be created.
    #[error("cannot create directory {path}: {source}")]
    Io {
        /// Path of the data directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl LockedDir {
    /// Creates the directory if it is missing, locks it, and probes the free space.
    ///
    /// # Errors
    /// [`OpenError`] if the directory cannot be created or another process uses it.
    pub fn open(options: DbOptions) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: options.dir.clone(), source };
        options.disk.create_dir_all(&options.dir).map_err(failed)?;
        let lock = DirLock::acquire(&options.dir)?;
        let shared = Arc::new(DbShared::new(options));
        // The state of the disk is shown from the start; nothing is rejected because of it yet.
        shared.check_disk();
        Ok(Self { shared, lock })
    }

    /// State that the later stages share.
    #[must_use]
    pub fn shared(&self) -> &Arc<DbShared> {
        &self.shared
    }

    /// Returns the next stage.
    #[must_use]
    pub fn into_recovery(self) -> Recovery {
        Recovery::new(self.shared, self.lock)
    }
}
