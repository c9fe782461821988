//! Blocks that are too old, or too many for the space, go.

use crate::tsdb::compact::retention::{Cause, RetentionPolicy, Space, expired};
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::maintenance::Round;
use crate::tsdb::fs::size::folder_size;
use std::path::Path;
use std::sync::atomic::Ordering;

impl Round<'_> {
    pub(super) fn apply_retention(&self) -> Result<(), MaintenanceError> {
        let (db, blocks) = (self.db, &self.engine.blocks);
        if db.retention_waits_for_clock(self.now_ms) || db.retention_is_held() {
            return Ok(());
        }
        let retention = db.settings().retention;
        let policy = RetentionPolicy {
            time: Some(retention.time_ms),
            bytes: Some(retention.bytes),
            percentage: Some(retention.percentage),
        };
        let has_size_limit = retention.bytes > 0 || retention.percentage > 0.0;
        let space = if has_size_limit { self.space() } else { Space::default() };
        for block in expired(&blocks.stored(), &policy, space) {
            if self.is_closing() {
                break;
            }
            let (cause, counter) = match block.cause {
                Cause::Time => ("its age", &db.stats.time_retentions),
                Cause::Size => ("the size of the directory", &db.stats.size_retentions),
            };
            blocks.remove(&[block.ulid]).map_err(|error| self.failed("remove an expired block", &error))?;
            counter.fetch_add(1, Ordering::Relaxed);
            tracing::info!(block = %block.ulid, "removed a block for {cause}");
        }
        Ok(())
    }

    fn space(&self) -> Space {
        let (dir, disk) = (&self.db.options.dir, &self.db.options.disk);
        let file_system = match disk.space(dir) {
            Ok(space) => Some(space.total),
            Err(error) => {
                tracing::warn!(%error, "can't tell how large the file system is");
                None
            }
        };
        Space { beside_blocks: beside_blocks(dir), file_system }
    }
}

/// Bytes of log, late log, head chunks, snapshots of the head, and work under way.
fn beside_blocks(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let counts = |name: &str| {
        ["wal", "wbl", "chunks_head"].contains(&name) || name.starts_with("chunk_snapshot.") || name.contains(".tmp")
    };
    let counted = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(counts));
    counted.map(|entry| folder_size(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::beside_blocks;

    #[test]
    fn log_head_chunks_snapshots_and_scratch_count_and_blocks_do_not() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, bytes) in [
            ("wal/checkpoint.00000001", 1),
            ("wbl", 2),
            ("chunks_head", 4),
            ("chunk_snapshot.000001.0000000000", 8),
            ("01M82CTXRBSZKSA9A0ZWVPK1T0.tmp-for-creation/chunks", 16),
            ("01M82CTXRBSZKSA9A0ZWVPK1T0/chunks", 32),
            ("quarantine", 64),
            ("snapshots", 128),
        ] {
            let folder = dir.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("file"), vec![0; bytes]).unwrap();
        }
        assert_eq!(beside_blocks(dir.path()), 1 + 2 + 4 + 8 + 16);
    }
}
