//! Retention: deletes blocks that are too old, or the oldest ones if the database is too large.

use crate::tsdb::compact::retention::{DiskUsage, ExpiryReason, RetentionPolicy, expired_blocks};
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::fs::dir_size::dir_size;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Deletion of expired blocks.
pub(super) struct Retention<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) blocks: &'a BlockSet,
    pub(super) now_ms: i64,
}

impl Retention<'_> {
    pub(super) fn run(&self) -> Result<(), MaintenanceError> {
        let (shared, blocks) = (self.shared, self.blocks);
        if shared.retention_waits_for_clock(self.now_ms) || shared.retention_is_held() {
            return Ok(());
        }
        let retention = shared.settings().retention;
        let policy = RetentionPolicy {
            time: Some(retention.time_ms),
            bytes: Some(retention.bytes),
            percentage: Some(retention.percentage),
        };
        let has_size_limit = retention.bytes > 0 || retention.percentage > 0.0;
        let space = if has_size_limit { self.disk_usage() } else { DiskUsage::default() };
        for block in expired_blocks(&blocks.retention_candidates(), &policy, space) {
            if shared.is_stopping() {
                break;
            }
            let (reason, counter) = match block.cause {
                ExpiryReason::Time => ("age", &shared.stats().time_retentions),
                ExpiryReason::Size => ("size", &shared.stats().size_retentions),
            };
            blocks
                .remove(&[block.ulid])
                .map_err(|error| shared.report_failure("remove an expired block", error))?;
            counter.fetch_add(1, Ordering::Relaxed);
            tracing::info!(block = %block.ulid, reason, "deleted expired block");
        }
        Ok(())
    }

    fn disk_usage(&self) -> DiskUsage {
        let options = self.shared.options();
        let file_system = match options.disk.space(&options.dir) {
            Ok(space) => Some(space.total),
            Err(error) => {
                tracing::warn!(%error, "cannot read file system size");
                None
            }
        };
        DiskUsage { non_block_bytes: non_block_bytes(&options.dir), file_system }
    }
}

/// Size of WAL, WBL, head chunks, chunk snapshots and temporary files, bytes.
fn non_block_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let counts = |name: &str| {
        ["wal", "wbl", "chunks_head"].contains(&name)
            || name.starts_with("chunk_snapshot.")
            || name.contains(".tmp")
    };
    let counted = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(counts));
    counted.map(|entry| dir_size(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::non_block_bytes;

    #[test]
    fn non_block_size_includes_logs_and_temporary_files() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("wal/checkpoint.00000001", 1),
            ("wbl", 2),
            ("chunks_head", 4),
            ("chunk_snapshot.000001.0000000000", 8),
            ("01M82CTXRBSZKSA9A0ZWVPK1T0.tmp-for-creation/chunks", 16),
            ("01M82CTXRBSZKSA9A0ZWVPK1T0/chunks", 32),
            ("quarantine", 64),
            ("snapshots", 128),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("file"), vec![0; bytes]).unwrap();
        }
        assert_eq!(non_block_bytes(dir.path()), 1 + 2 + 4 + 8 + 16);
    }
}
