//! Power failures while snapshots are written.

use super::{CASE, Case, NOW, hours, put, put_blocks, text};
use crate::support::engine::everything;
use crate::support::life::{FOREVER, HOUR, copy_folder};
use narthex::testing::crash_disk::CrashDisk;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::admin::snapshot::SnapshotContents;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::{DbOptions, ShutdownMode};
use std::sync::Arc;

/// Opens every complete snapshot as a database of its own and compares its samples.
fn check_snapshots(db: &Db) {
    let Ok(entries) = std::fs::read_dir(db.shared().options().dir.join("snapshots")) else {
        return;
    };
    for entry in entries {
        let copy = tempfile::tempdir().unwrap();
        let dir = copy.path().join("data");
        copy_folder(&entry.unwrap().path(), &dir);
        let mut options = DbOptions::new(dir);
        options.settings.retention = FOREVER;
        options.disk = Arc::new(CrashDisk::new());
        let snapshot = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
        assert_eq!(everything(&snapshot), everything(db));
    }
}

#[test]
fn power_cut_during_a_snapshot_for_a_backup() {
    let changes = Case {
        change_options: |options| options.settings.out_of_order_window_ms = 24 * HOUR,
        prepare: |db| {
            put_blocks(db, 2);
            put(db, &["late"], hours(1, 3).map(|t| t + 1));
        },
        operation: |db| {
            db.admin().snapshot(SnapshotContents::BlocksAndHead, NOW).map(drop).map_err(text)
        },
        check: check_snapshots,
        ..CASE
    }
    .run();
    assert!(changes > 60, "{changes}");
}

#[test]
fn power_cut_during_a_chunk_snapshot_at_shutdown() {
    let changes = Case {
        change_options: |options| options.shutdown_mode = ShutdownMode::ChunkSnapshot,
        prepare: |db| put_blocks(db, 1),
        operation: |db| db.close().map_err(text),
        ..CASE
    }
    .run();
    assert!(changes > 6, "{changes}");
}
