//! The database on a disk that fails: what a sender is told holds, what it repeats is not lost, reads go on.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::matcher::{MatchKind, Matcher};
use narthex::model::sample::Sample;
use narthex::model::time::TimeRange;
use narthex::tsdb::db::appender::Unavailable;
use narthex::tsdb::db::disk_guard::Reserve;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::{Db, DbHealth};
use narthex::tsdb::fs::crash_disk::{Call, CrashDisk};
use narthex::tsdb::wal::commit::SyncMode;
use narthex::tsdb::wal::error::WalError;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

fn open(dir: &Path, disk: &CrashDisk, sync: SyncMode) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.disk = Arc::new(disk.clone());
    options.wal_sync = sync;
    let db = Db::open(options).unwrap();
    db.replay().unwrap();
    db
}

fn labels(name: &str) -> Labels {
    LabelsBuilder::from_iter([("__name__", name)]).build().unwrap()
}

fn append(db: &Db, name: &str, t: i64) -> Result<u64, WalError> {
    let mut appender = db.appender().expect("writes are taken");
    appender
        .append(&labels(name), std::iter::once(Sample::new(t, t as f64).into()), |_, why| panic!("{why:?}"))
        .unwrap();
    appender.commit().map(|committed| committed.samples)
}

fn read(db: &Db, name: &str) -> Vec<i64> {
    let named = Matcher::new(MatchKind::Equal, "__name__", name).unwrap();
    let querier = db.querier();
    let set = querier.select(&[named], TimeRange::ALL).unwrap();
    set.flat_map(|series| series.unwrap().samples(TimeRange::ALL).map(|s| s.unwrap().t).collect::<Vec<_>>()).collect()
}

#[test]
fn retry_after_full_disk_is_stored_and_survives_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let db = open(dir.path(), &disk, SyncMode::Always);
    append(&db, "before", 1000).unwrap();
    disk.set_free_bytes(Some(3));
    assert!(matches!(append(&db, "failed", 1000), Err(WalError::NoSpace(_))));
    assert!(matches!(db.appender(), Err(Unavailable::ReadOnly(cause)) if cause.contains("No space left")));
    assert!(matches!(db.health(), DbHealth::ReadOnly(_)));
    assert_eq!(read(&db, "before"), [1000], "reads go on");
    disk.set_free_bytes(None);
    thread::sleep(Duration::from_millis(1050));
    // The head has the sample already; it must be in the log before that counts as stored.
    assert_eq!(append(&db, "failed", 1000).unwrap(), 1);
    assert_eq!(db.health(), DbHealth::Good);
    append(&db, "failed", 2000).unwrap();
    drop(db);
    disk.crash().unwrap();
    let db = open(dir.path(), &CrashDisk::new(), SyncMode::Always);
    assert_eq!(read(&db, "before"), [1000]);
    assert_eq!(read(&db, "failed"), [1000, 2000]);
}

#[test]
fn append_below_reserve_is_rejected_until_more_space_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let mut options = DbOptions::new(dir.path().to_owned());
    options.disk = Arc::new(disk.clone());
    options.disk_reserve = Reserve::Bytes(1 << 20);
    let db = Db::open(options).unwrap();
    db.replay().unwrap();
    append(&db, "before", 1000).unwrap();
    let looked = || thread::sleep(Duration::from_millis(1050));
    disk.set_free_bytes(Some((1 << 20) - 1));
    looked();
    let writes = disk.calls(Call::Append);
    let refused = db.appender().map(drop).unwrap_err();
    assert!(matches!(&refused, Unavailable::ReadOnly(cause) if cause.contains("1048575 bytes are free")), "{refused}");
    assert!(matches!(db.health(), DbHealth::ReadOnly(_)));
    assert_eq!(disk.calls(Call::Append), writes, "the log is left alone");
    assert_eq!(read(&db, "before"), [1000], "reads go on");
    disk.set_free_bytes(Some((1 << 20) + (1 << 17)));
    looked();
    assert!(db.appender().is_err(), "not yet clearly above the reserve");
    disk.set_free_bytes(Some((1 << 20) + (1 << 18)));
    looked();
    append(&db, "before", 2000).unwrap();
    assert_eq!(db.health(), DbHealth::Good);
}

#[test]
fn a_full_disk_met_elsewhere_stops_writes_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let db = open(dir.path(), &disk, SyncMode::Always);
    append(&db, "one", 1000).unwrap();
    db.disk_guard().met("a checkpoint", &std::io::ErrorKind::StorageFull.into(), Instant::now());
    let refused = db.appender().map(drop).unwrap_err();
    assert!(matches!(&refused, Unavailable::ReadOnly(cause) if cause.contains("a checkpoint")), "{refused}");
    let begun = Instant::now();
    while db.appender().is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(100));
    }
    assert!(begun.elapsed() > Duration::from_secs(4), "it is not tried again at once");
    append(&db, "one", 2000).unwrap();
}

#[test]
fn failed_sync_stops_writes_until_restart_but_not_reads() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let db = open(dir.path(), &disk, SyncMode::Always);
    append(&db, "before", 1000).unwrap();
    disk.fail_with_eio(Call::Sync, 1);
    assert!(matches!(append(&db, "failed", 1000), Err(WalError::Broken(_))));
    thread::sleep(Duration::from_millis(1050));
    assert!(matches!(db.appender(), Err(Unavailable::Broken(_))));
    assert!(matches!(db.health(), DbHealth::Broken(_)));
    assert_eq!(read(&db, "before"), [1000]);
    assert!(db.close().is_err());
    drop(db);
    let db = open(dir.path(), &disk, SyncMode::Always);
    assert_eq!(read(&db, "before"), [1000]);
    append(&db, "failed", 1000).unwrap();
    assert_eq!(read(&db, "failed"), [1000]);
}

#[test]
fn with_always_the_power_may_go_after_an_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let db = open(dir.path(), &disk, SyncMode::Always);
    for t in 1..=500 {
        append(&db, "power", t).unwrap();
    }
    disk.crash().unwrap();
    drop(db);
    assert_eq!(read(&open(dir.path(), &CrashDisk::new(), SyncMode::Always), "power"), (1..=500).collect::<Vec<_>>());
}
