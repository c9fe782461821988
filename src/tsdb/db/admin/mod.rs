//! Admin operations: deletion of series, cleanup of tombstones, snapshots.
//!
//! | module | contents |
//! |--------|----------|
//! | `deletion` | deletion of samples |
//! | `tombstone_cleanup` | blocks without their deleted samples |
//! | [`snapshot`] | snapshot of the database |

mod deletion;
pub mod snapshot;
mod tombstone_cleanup;

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::db::admin::deletion::Deletion;
use crate::tsdb::db::admin::snapshot::{Snapshot, SnapshotContents};
use crate::tsdb::db::admin::tombstone_cleanup::TombstoneCleanup;
use crate::tsdb::db::admission::Admission;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::state::engine::Engine;

/// Admin operations of a database. They and maintenance runs exclude each other.
#[derive(Debug, Clone, Copy)]
pub struct Admin<'a> {
    engine: &'a Engine,
}

impl<'a> Admin<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Self {
        Self { engine }
    }

    /// Deletes the samples in `range` of every series that satisfies all matchers of one of
    /// `selectors`.
    ///
    /// When it returns, the samples are deleted for readers and after a restart. A compaction frees
    /// their space.
    ///
    /// # Errors
    /// [`MaintenanceError`]. A part may have been deleted then; a retry is safe.
    pub fn delete(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<(), MaintenanceError> {
        Admission::new(self.engine).admit_files()?;
        let _guard = self.engine.lock_for_admin()?;
        let Engine { shared, head, wal, blocks, .. } = self.engine;
        let deletion = Deletion { shared, head, wal, blocks, range };
        selectors.iter().try_for_each(|matchers| deletion.run(matchers))
    }

    /// Rewrites every block that has tombstones, without the deleted samples.
    ///
    /// # Errors
    /// [`MaintenanceError`] of the first block that failed. Other blocks were still rewritten,
    /// except during a shutdown.
    pub fn clean_tombstones(&self) -> Result<(), MaintenanceError> {
        TombstoneCleanup { engine: self.engine }.run()
    }

    /// Creates a snapshot below `snapshots/` and returns the name of its directory, which begins
    /// with `now_ms`.
    ///
    /// # Errors
    /// [`MaintenanceError`]. Nothing of the snapshot is left then, unless its removal fails as
    /// well.
    pub fn snapshot(
        &self,
        contents: SnapshotContents,
        now_ms: i64,
    ) -> Result<String, MaintenanceError> {
        let _guard = self.engine.lock_for_admin()?;
        let Engine { shared, head, blocks, compact_stats, .. } = self.engine;
        Snapshot { shared, head, blocks, compact_stats, now_ms }.create(contents)
    }
}
