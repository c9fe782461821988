//! Database on a failing disk: responses are true, retries are stored, reads continue.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::time::TimeRange;
use narthex::testing::crash_disk::{CrashDisk, DiskCall};
use narthex::tsdb::db::Db;
use narthex::tsdb::db::disk_guard::DiskReserve;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::write_unavailable::WriteUnavailable;
use narthex::tsdb::wal::error::WalError;
use narthex::tsdb::wal::reader::LogSegmentReader;
use narthex::tsdb::wal::record::record_type::RecordType;
use narthex::tsdb::wal::record::samples::SamplesDecoder;
use narthex::tsdb::wal::segment::list_segments;
use narthex::tsdb::wal::write_log::SyncMode;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

fn open(dir: &Path, disk: &CrashDisk, sync: SyncMode) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.disk = Arc::new(disk.clone());
    options.wal_sync = sync;
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

fn labels(name: &str) -> Labels {
    LabelsBuilder::from_iter([("__name__", name)]).build().unwrap()
}

fn append(db: &Db, name: &str, t: i64) -> Result<u64, WalError> {
    let mut appender = db.appender().expect("a writable database");
    appender
        .append_or_create(
            &labels(name),
            std::iter::once(FloatSample::new(t, t as f64).into()),
            |_, why| panic!("{why:?}"),
        )
        .unwrap();
    appender.commit().map(|committed| committed.samples)
}

fn read(db: &Db, name: &str) -> Vec<i64> {
    let named = Matcher::new(MatchType::Equal, "__name__", name).unwrap();
    let querier = db.querier();
    let set = querier.select(&[named], TimeRange::ALL).unwrap();
    set.flat_map(|series| {
        series.unwrap().float_samples(TimeRange::ALL).map(|s| s.unwrap().t).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn retry_after_full_disk_is_stored_and_survives_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let db = open(dir.path(), &disk, SyncMode::Always);
    append(&db, "before", 1000).unwrap();
    disk.set_free_bytes(Some(3));
    assert!(matches!(append(&db, "failed", 1000), Err(WalError::NoSpace(_))));
    assert!(
        matches!(db.appender(), Err(WriteUnavailable::ReadOnly(cause)) if cause.to_string().contains("No space left"))
    );
    assert!(matches!(db.health(), Err(WriteUnavailable::ReadOnly(_))));
    assert_eq!(read(&db, "before"), [1000], "reads continue");
    disk.set_free_bytes(None);
    thread::sleep(Duration::from_millis(1050));
    // The head has the sample already. It counts as stored only when it is in the WAL.
    assert_eq!(append(&db, "failed", 1000).unwrap(), 1);
    db.health().unwrap();
    append(&db, "failed", 2000).unwrap();
    drop(db);
    disk.crash().unwrap();
    let db = open(dir.path(), &CrashDisk::new(), SyncMode::Always);
    assert_eq!(read(&db, "before"), [1000]);
    assert_eq!(read(&db, "failed"), [1000, 2000]);
}

/// End of a process that responded 503 because of a full disk.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Killed while the disk is full.
    Killed,
    /// The power fails while the disk is full.
    PowerFailure,
    /// Killed after space was freed and the retry was acknowledged.
    Retried,
}

/// Appends a request: the next sample of a known series, a new series, and an out-of-order sample
/// of the known one.
fn append_request(db: &Db) -> Result<u64, WalError> {
    let mut appender = db.appender().expect("a writable database");
    for (name, t) in [("known", 7_000_000), ("new", 7_000_000), ("known", 3_600_000)] {
        let sample = std::iter::once(FloatSample::new(t, t as f64).into());
        appender.append_or_create(&labels(name), sample, |_, why| panic!("{why:?}")).unwrap();
    }
    appender.commit().map(|committed| committed.samples)
}

/// Number of samples in WAL and WBL by series reference and timestamp.
fn logged(dir: &Path) -> BTreeMap<(u64, i64), usize> {
    let mut counts = BTreeMap::new();
    for log in ["wal", "wbl"] {
        for segment in list_segments(&dir.join(log)).unwrap() {
            let mut reader = LogSegmentReader::open(segment).unwrap();
            while let Some(record) = reader.next_record().unwrap() {
                if RecordType::from_record(record) == RecordType::Samples {
                    for sample in SamplesDecoder::new(record).unwrap() {
                        let sample = sample.unwrap();
                        *counts.entry((sample.series.0, sample.sample.t)).or_insert(0) += 1;
                    }
                }
            }
        }
    }
    counts
}

/// Sends a request on a full disk and restarts. Returns `true` if the request was rejected, and the
/// number of its samples after the restart.
fn send_and_restart(free: u64, sync: SyncMode, end: End) -> (bool, usize) {
    let context = format!("{free} bytes free, {sync:?}, {end:?}");
    let dir = tempfile::tempdir().unwrap();
    let open = |disk: &CrashDisk| {
        let mut options = DbOptions::new(dir.path().to_owned());
        options.disk = Arc::new(disk.clone());
        options.wal_sync = sync;
        options.disk_reserve = DiskReserve::Bytes(0);
        options.settings.out_of_order_window_ms = 7_200_000;
        LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
    };
    let disk = CrashDisk::new();
    let db = open(&disk);
    append(&db, "known", 5_400_000).unwrap();
    disk.set_free_bytes(Some(free));
    let is_rejected = match append_request(&db) {
        Ok(samples) => {
            assert_eq!(samples, 3, "{context}");
            false
        }
        Err(error) => {
            assert!(matches!(error, WalError::NoSpace(_)), "{context}: {error}");
            assert!(
                matches!(db.appender(), Err(WriteUnavailable::ReadOnly(_))),
                "{context}: a retry is not admitted"
            );
            true
        }
    };
    let mut is_acknowledged = !is_rejected;
    match end {
        End::Killed => {}
        End::PowerFailure => disk.crash().unwrap(),
        End::Retried => {
            disk.set_free_bytes(None);
            thread::sleep(Duration::from_millis(1050));
            assert_eq!(append_request(&db).unwrap(), 3, "{context}");
            is_acknowledged = true;
        }
    }
    drop(db);
    let disk = CrashDisk::new();
    let db = open(&disk);
    let found = [read(&db, "known"), read(&db, "new")];
    assert!(
        logged(dir.path()).values().all(|count| *count == 1),
        "{context}: {:?}",
        logged(dir.path())
    );
    assert!(found[0].contains(&5_400_000), "{context}");
    let all = [vec![3_600_000, 5_400_000, 7_000_000], vec![7_000_000]];
    for (found, all) in found.iter().zip(&all) {
        assert!(
            found.is_sorted_by(|a, b| a < b) && found.iter().all(|t| all.contains(t)),
            "{context}: {found:?}"
        );
    }
    assert!(!is_acknowledged || found == all, "{context}: {found:?}");
    assert_eq!(append_request(&db).unwrap(), 3, "{context}");
    drop(db);
    let db = open(&disk);
    assert_eq!([read(&db, "known"), read(&db, "new")], all, "{context}");
    assert!(
        logged(dir.path()).values().all(|count| *count == 1),
        "{context}: {:?}",
        logged(dir.path())
    );
    (is_rejected, found.iter().map(Vec::len).sum::<usize>() - 1)
}

#[test]
fn sample_rejected_on_full_disk_is_stored_at_most_once() {
    let mut cases = Vec::new();
    for sync in [SyncMode::Os, SyncMode::Always] {
        for end in [End::Killed, End::PowerFailure, End::Retried] {
            // Only `Always` survives a power failure.
            if !matches!((sync, end), (SyncMode::Os, End::PowerFailure)) {
                cases.extend((0..240).step_by(6).map(|free| (free, sync, end)));
            }
        }
    }
    let outcomes: Vec<_> = thread::scope(|scope| {
        let run =
            |&(free, sync, end)| scope.spawn(move || (end, send_and_restart(free, sync, end)));
        let running: Vec<_> = cases.iter().map(run).collect();
        running.into_iter().map(|case| case.join().unwrap()).collect()
    });
    let killed = |expected: (bool, usize)| {
        outcomes
            .iter()
            .filter(|(end, outcome)| matches!(end, End::Killed) && *outcome == expected)
            .count()
    };
    assert!(killed((true, 0)) > 0, "no space for the WAL: {outcomes:?}");
    assert!(
        killed((true, 2)) > 0,
        "rejected without space for the WBL, but in the WAL: {outcomes:?}"
    );
    assert!(killed((false, 3)) > 0, "space for both: {outcomes:?}");
}

#[test]
fn append_below_reserve_is_rejected_until_more_space_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let mut options = DbOptions::new(dir.path().to_owned());
    options.disk = Arc::new(disk.clone());
    options.disk_reserve = DiskReserve::Bytes(1 << 20);
    let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
    append(&db, "before", 1000).unwrap();
    let wait_for_probe = || thread::sleep(Duration::from_millis(1050));
    disk.set_free_bytes(Some((1 << 20) - 1));
    wait_for_probe();
    let writes = disk.calls(DiskCall::Append);
    let error = db.appender().map(drop).unwrap_err();
    assert!(
        matches!(&error, WriteUnavailable::ReadOnly(cause) if cause.to_string().contains("1048575 bytes are free")),
        "{error}"
    );
    assert!(matches!(db.health(), Err(WriteUnavailable::ReadOnly(_))));
    assert_eq!(disk.calls(DiskCall::Append), writes, "the WAL is not written");
    assert_eq!(read(&db, "before"), [1000], "reads continue");
    disk.set_free_bytes(Some((1 << 20) + (1 << 17)));
    wait_for_probe();
    assert!(db.appender().is_err(), "less than 1.25 times the reserve");
    disk.set_free_bytes(Some((1 << 20) + (1 << 18)));
    wait_for_probe();
    append(&db, "before", 2000).unwrap();
    db.health().unwrap();
}

#[test]
fn full_disk_in_maintenance_stops_writes_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let db = open(dir.path(), &disk, SyncMode::Always);
    append(&db, "one", 1000).unwrap();
    db.shared().disk_guard().report_write_error(
        "write a checkpoint",
        &std::io::ErrorKind::StorageFull.into(),
        Instant::now(),
    );
    let error = db.appender().map(drop).unwrap_err();
    assert!(
        matches!(&error, WriteUnavailable::ReadOnly(cause) if cause.to_string().contains("a checkpoint")),
        "{error}"
    );
    let started = Instant::now();
    while db.appender().is_err() {
        assert!(started.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(100));
    }
    assert!(started.elapsed() > Duration::from_secs(4), "writes stay rejected for a minimum time");
    append(&db, "one", 2000).unwrap();
}

#[test]
fn failed_sync_stops_writes_until_restart_but_not_reads() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let db = open(dir.path(), &disk, SyncMode::Always);
    append(&db, "before", 1000).unwrap();
    disk.fail_with_eio(DiskCall::Sync, 1);
    assert!(matches!(append(&db, "failed", 1000), Err(WalError::Failed(_))));
    thread::sleep(Duration::from_millis(1050));
    assert!(matches!(db.appender(), Err(WriteUnavailable::LogFailed { .. })));
    assert!(matches!(db.health(), Err(WriteUnavailable::LogFailed { .. })));
    assert_eq!(read(&db, "before"), [1000]);
    assert!(db.close().is_err());
    drop(db);
    let db = open(dir.path(), &disk, SyncMode::Always);
    assert_eq!(read(&db, "before"), [1000]);
    append(&db, "failed", 1000).unwrap();
    assert_eq!(read(&db, "failed"), [1000]);
}

#[test]
fn with_sync_always_acknowledged_survives_power_failure() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let db = open(dir.path(), &disk, SyncMode::Always);
    for t in 1..=500 {
        append(&db, "power", t).unwrap();
    }
    disk.crash().unwrap();
    drop(db);
    assert_eq!(
        read(&open(dir.path(), &CrashDisk::new(), SyncMode::Always), "power"),
        (1..=500).collect::<Vec<_>>()
    );
}
