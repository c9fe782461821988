//! Handle on a database in any stage, for status pages, metrics and request handlers.
//!
//! Options, settings and counters are available at once. The database itself is available once its
//! recovery has finished, so a request cannot read an empty database by mistake.

use crate::tsdb::db::database::Db;
use crate::tsdb::db::error::{MaintenanceError, NotReady};
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::db::write_unavailable::{ReadOnlyReason, WriteUnavailable};
use crate::tsdb::wal::error::WalError;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};

/// Handle on a database that may still be recovering.
#[derive(Debug)]
pub struct DbHandle {
    shared: Arc<DbShared>,
    db: OnceLock<Db>,
    /// Held while the settings change or the database is published, so that the database always
    /// gets the newest settings.
    changing: Mutex<()>,
}

impl DbHandle {
    /// Creates a handle on a database that is not ready.
    #[must_use]
    pub fn new(shared: Arc<DbShared>) -> Self {
        Self { shared, db: OnceLock::new(), changing: Mutex::new(()) }
    }

    /// State that exists from the start.
    #[must_use]
    pub fn shared(&self) -> &Arc<DbShared> {
        &self.shared
    }

    /// Returns the database.
    ///
    /// # Errors
    /// [`NotReady`] until [`Self::publish`] is called.
    pub fn ready(&self) -> Result<&Db, NotReady> {
        self.db.get().ok_or(NotReady)
    }

    /// Makes the recovered database available, with the settings of a reload during the recovery.
    pub fn publish(&self, db: Db) {
        let _changing = self.changing.lock();
        // A failure to create the WBL was logged. Appends within the window then fail.
        let _ = db.apply_settings(self.shared.settings());
        let _ = self.db.set(db);
    }

    /// Checks whether the logs and the disk accept writes; see [`Db::health`]. Healthy during the
    /// recovery.
    ///
    /// # Errors
    /// [`WriteUnavailable`] as for [`Db::health`].
    pub fn health(&self) -> Result<(), WriteUnavailable> {
        self.ready().map_or(Ok(()), Db::health)
    }

    /// Probes the free space if the last probe is at least a second old. Returns the reason why
    /// writes are rejected, if they are.
    pub fn check_disk(&self) -> Option<ReadOnlyReason> {
        match self.ready() {
            Ok(db) => db.check_disk(),
            Err(NotReady) => self.shared.check_disk(),
        }
    }

    /// Changes the settings, now or when the database is ready; see [`Db::apply_settings`].
    ///
    /// # Errors
    /// [`MaintenanceError`] if the WBL cannot be created. The old settings then remain.
    pub fn apply_settings(&self, settings: Settings) -> Result<(), MaintenanceError> {
        let _changing = self.changing.lock();
        match self.ready() {
            Ok(db) => db.apply_settings(settings),
            Err(NotReady) => {
                *self.shared.settings_mut() = settings;
                Ok(())
            }
        }
    }

    /// Cancels maintenance and admin operations; see [`Db::cancel_maintenance`].
    pub fn cancel_maintenance(&self) {
        self.shared.stop();
        if let Ok(db) = self.ready() {
            db.cancel_maintenance();
        }
    }

    /// Closes the database; see [`Db::close`]. A recovery that is still running is abandoned: its
    /// lock ends with the process.
    ///
    /// # Errors
    /// [`WalError`] if the rest of the WAL could not be written.
    pub fn close(&self) -> Result<(), WalError> {
        self.shared.close();
        self.cancel_maintenance();
        self.ready().map_or(Ok(()), Db::close)
    }
}

#[cfg(test)]
mod tests {
    use super::DbHandle;
    use crate::tsdb::db::error::NotReady;
    use crate::tsdb::db::locked_dir::LockedDir;
    use crate::tsdb::db::options::DbOptions;
    use crate::tsdb::db::settings::Settings;

    #[test]
    fn database_is_reachable_only_after_its_recovery() {
        let dir = tempfile::tempdir().unwrap();
        let locked = LockedDir::open(DbOptions::new(dir.path().to_owned())).unwrap();
        let handle = DbHandle::new(locked.shared().clone());
        assert!(matches!(handle.ready(), Err(NotReady)));
        assert!(
            std::fs::read_dir(dir.path())
                .unwrap()
                .all(|entry| { entry.unwrap().file_name() == "lock" })
        );
        let recovered = locked.into_recovery().run().unwrap();
        assert!(handle.ready().is_err(), "not published");
        handle.publish(recovered.db);
        assert_eq!(handle.ready().unwrap().blocks().len(), 0);
        handle.close().unwrap();
    }

    #[test]
    fn reload_during_recovery_applies_when_ready() {
        let dir = tempfile::tempdir().unwrap();
        let locked = LockedDir::open(DbOptions::new(dir.path().to_owned())).unwrap();
        let handle = DbHandle::new(locked.shared().clone());
        let recovered = locked.into_recovery().run().unwrap();
        let settings = Settings { out_of_order_window_ms: 60_000, ..Settings::default() };
        handle.apply_settings(settings).unwrap();
        assert_eq!(handle.shared().settings(), settings);
        assert!(recovered.db.wbl().is_none());
        handle.publish(recovered.db);
        let db = handle.ready().unwrap();
        assert_eq!(db.head().out_of_order_window(), 60_000);
        assert!(db.wbl().is_some());
        handle.close().unwrap();
    }
}
