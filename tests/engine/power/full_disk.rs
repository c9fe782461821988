//! A full disk while a block is written: no block appears, the database continues, and a later
//! attempt succeeds.

use super::{CASE, Case, check_directory, hours, maintain, put, put_blocks};
use crate::support::engine::everything;
use narthex::testing::crash_disk::{CrashDisk, DiskCall};
use narthex::tsdb::db::Db;
use std::time::{Duration, Instant};

/// A block of an hour, and a second one that is due.
const DUE: Case = Case {
    prepare: |db| {
        put_blocks(db, 1);
        put(db, &["a", "b"], hours(2, 3));
    },
    ..CASE
};

/// More calls of each kind than the writing of a block makes.
const MAX_CALLS: u64 = 7;

/// Fills the disk before the maintenance, which has to write a block of the head. Returns `true` if
/// the block could not be written.
fn meets_full_disk(fill: impl Fn(&CrashDisk), what: &str) -> bool {
    let place = tempfile::tempdir().unwrap();
    let (disk, db, before) = DUE.begin(place.path());
    fill(&disk);
    let written = maintain(&db);
    let is_met = db.blocks().len() == 1;
    assert!(written.is_err() || !is_met, "{what}");
    check_directory(&db, what);
    assert_eq!(everything(&db), before, "{what}");
    disk.set_free_bytes(None);
    if is_met {
        maintain(&db).unwrap();
    }
    assert_eq!(db.blocks().len(), 2, "{what}");
    assert_eq!(everything(&db), before, "{what}");
    drop(db);
    disk.crash().unwrap();
    let db = DUE.open(place.path(), &CrashDisk::new()).unwrap();
    check_directory(&db, what);
    assert_eq!(everything(&db), before, "{what}, after a restart");
    is_met
}

#[test]
fn full_disk_at_every_call_while_a_block_is_written() {
    let calls = [
        (DiskCall::Create, 4),
        (DiskCall::CreateDir, 2),
        (DiskCall::Append, 4),
        (DiskCall::WriteAt, 2),
        (DiskCall::Sync, 3),
        (DiskCall::Rename, 3),
        (DiskCall::SyncDir, 5),
    ];
    for (call, minimum) in calls {
        let is_met = |nth: &u64| {
            let fill = |disk: &CrashDisk| disk.fail_with_no_space(call, *nth);
            meets_full_disk(fill, &format!("{call:?} {nth}"))
        };
        // A full chunk file is synced in the background, and may take the failure of a sync.
        let failures = (1..=MAX_CALLS).filter(is_met).count();
        assert!(failures >= minimum, "{call:?}: {failures}");
    }
}

#[test]
fn full_disk_at_every_size_while_a_block_is_written() {
    let is_met = |bytes: &u64| {
        let fill = |disk: &CrashDisk| disk.set_free_bytes(Some(*bytes));
        meets_full_disk(fill, &format!("{bytes} bytes free"))
    };
    let sizes = (0..).map(|step| step * 50).take_while(is_met).count();
    assert!(sizes > 5, "{sizes}");
}

fn is_writable(db: &Db) -> bool {
    db.appender().is_ok()
}

#[test]
fn writes_resume_after_a_full_disk_during_compaction() {
    let place = tempfile::tempdir().unwrap();
    let (disk, db, _) = DUE.begin(place.path());
    disk.set_free_bytes(Some(500));
    assert!(maintain(&db).is_err());
    assert!(!is_writable(&db));
    disk.set_free_bytes(None);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_writable(&db) {
        assert!(Instant::now() < deadline, "writes do not resume");
        std::thread::sleep(Duration::from_millis(20));
    }
    put(&db, &["a", "b"], hours(3, 4));
    maintain(&db).unwrap();
    assert_eq!(db.blocks().len(), 3);
}
