//! What an operator orders: delete, clean up, take a snapshot, change the settings.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::db::Db;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::settings::Settings;

/// What goes into a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotParts {
    /// The blocks, and the head as one more.
    BlocksAndHead,
    /// The blocks alone.
    Blocks,
}

impl Db {
    /// Deletes the samples in `range` of every series that satisfies all matchers of one of `selectors`. They are gone for readers and
    /// after a restart when this returns; their space comes back with a compaction.
    ///
    /// # Errors
    /// [`MaintenanceError`]; a part may have been deleted then, and to repeat it is safe.
    pub fn delete(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<(), MaintenanceError> {
        let _ = (selectors, range);
        self.check_ready()?;
        Err(MaintenanceError::Unavailable("deletion is not built yet"))
    }

    /// Rewrites every block of which something is deleted without it.
    ///
    /// # Errors
    /// [`MaintenanceError`]; blocks that were rewritten before stay so.
    pub fn clean_tombstones(&self) -> Result<(), MaintenanceError> {
        self.check_ready()?;
        Err(MaintenanceError::Unavailable("cleaning tombstones is not built yet"))
    }

    /// Makes a copy of the database below `snapshots/` that a database or a Prometheus can be started on; the name of its folder.
    ///
    /// # Errors
    /// [`MaintenanceError`]; nothing is left of the copy then.
    pub fn snapshot(&self, parts: SnapshotParts) -> Result<String, MaintenanceError> {
        let _ = parts;
        self.check_ready()?;
        Err(MaintenanceError::Unavailable("snapshots are not built yet"))
    }

    /// Takes other settings; whatever is under way ends with the old ones.
    ///
    /// # Errors
    /// [`MaintenanceError`] where they can't hold; then the old ones do.
    pub fn apply(&self, settings: Settings) -> Result<(), MaintenanceError> {
        *self.settings.write() = settings;
        Ok(())
    }

    /// The settings of this moment.
    #[must_use]
    pub fn settings(&self) -> Settings {
        *self.settings.read()
    }

    /// Whether nothing is deleted for its age or size, as the directory had older data at the start and nobody has chosen a retention.
    #[must_use]
    pub fn retention_is_held(&self) -> bool {
        self.retention_hold.holds(self.settings().retention.origin)
    }

    fn check_ready(&self) -> Result<(), MaintenanceError> {
        if self.is_ready() { Ok(()) } else { Err(MaintenanceError::NotReady) }
    }
}
