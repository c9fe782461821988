//! Group commit on a failing disk that loses unsynced data. Acknowledged batches are in the WAL
//! once and in order, failures are reported, a failed write recovers, and a failed sync stops
//! writes.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use narthex::model::float_sample::FloatSample;
use narthex::model::refs::SeriesRef;
use narthex::testing::crash_disk::{CrashDisk, DiskCall};
use narthex::tsdb::wal::batch::LogBatch;
use narthex::tsdb::wal::compression::RecordCompression;
use narthex::tsdb::wal::error::WalError;
use narthex::tsdb::wal::log_state::LogState;
use narthex::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use narthex::tsdb::wal::record::samples::SamplesDecoder;
use narthex::tsdb::wal::segment::list_segments;
use narthex::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

/// Minimum segment size: a segment is cut every few records of [`BIG`] samples.
const SEGMENT: u64 = 64 * 1024;
const BIG: i64 = 800;

fn open(dir: &Path, disk: &CrashDisk, sync: SyncMode) -> Result<Wal, WalError> {
    Wal::open(WalOptions {
        dir: dir.join("wal"),
        segment_size: SEGMENT,
        compression: RecordCompression::None,
        sync,
        disk: Arc::new(disk.clone()),
    })
}

/// Returns a batch of `count` samples of series `number`, with timestamps from `number`.
fn batch(number: i64, count: i64) -> LogBatch {
    let mut batch = LogBatch::default();
    for i in 0..count {
        batch.push_float_sample(
            SeriesRef(number as u64 + 1),
            FloatSample::new(number + i, i as f64),
        );
    }
    batch
}

fn commit(wal: &Wal, number: i64, count: i64) -> Result<(), WalError> {
    let position = wal.enqueue(&mut batch(number, count));
    wal.wait(position)
}

/// Returns the numbers of the batches in the WAL, in order. A torn tail ends a segment.
fn logged(dir: &Path) -> Vec<i64> {
    let mut numbers = Vec::new();
    for segment in list_segments(&dir.join("wal")).unwrap() {
        let mut reader = LogSegmentReader::open(segment).unwrap();
        loop {
            match reader.next_record() {
                Ok(Some(record)) => {
                    let samples: Vec<_> =
                        SamplesDecoder::new(record).unwrap().map(Result::unwrap).collect();
                    assert!(
                        samples.iter().zip(0..).all(|(s, i)| s.sample.v == i as f64),
                        "a record is altered"
                    );
                    numbers.push(samples[0].sample.t);
                }
                Ok(None) => break,
                Err(ReadLogError::Corrupted(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    numbers
}

fn wait_for_retry() {
    thread::sleep(Duration::from_millis(1050));
}

#[test]
fn sync_always_keeps_acknowledged_batches_at_power_failure() {
    for changes in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144] {
        let dir = tempfile::tempdir().unwrap();
        let disk = CrashDisk::new();
        let acknowledged = Mutex::new(BTreeSet::new());
        disk.set_power(changes);
        if let Ok(wal) = open(dir.path(), &disk, SyncMode::Always) {
            thread::scope(|scope| {
                for writer in 0..4 {
                    let (wal, acknowledged) = (&wal, &acknowledged);
                    scope.spawn(move || {
                        for i in 0..20 {
                            let number = writer * 100 + i;
                            if commit(wal, number, BIG).is_ok() {
                                acknowledged.lock().unwrap().insert(number);
                            }
                        }
                    });
                }
            });
        }
        disk.crash().unwrap();
        let acknowledged = acknowledged.into_inner().unwrap();
        if !acknowledged.is_empty() {
            let logged: BTreeSet<_> = logged(dir.path()).into_iter().collect();
            assert!(
                acknowledged.is_subset(&logged),
                "power failure after {changes} changes: {acknowledged:?}, {logged:?}"
            );
        }
        assert!(changes < 100 || !acknowledged.is_empty(), "nothing is acknowledged");
    }
}

#[test]
fn concurrent_commits_share_a_sync() {
    const WAITERS: i64 = 16;
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let wal = open(dir.path(), &disk, SyncMode::Always).unwrap();
    disk.set_sync_delay(Duration::from_millis(50));
    let before = disk.calls(DiskCall::Sync);
    let barrier = Barrier::new(WAITERS as usize);
    thread::scope(|scope| {
        for number in 0..WAITERS {
            let (wal, barrier) = (&wal, &barrier);
            scope.spawn(move || {
                barrier.wait();
                commit(wal, number, 1).unwrap();
            });
        }
    });
    let syncs = disk.calls(DiskCall::Sync) - before;
    assert!((1..WAITERS as u64).contains(&syncs), "{syncs} syncs for {WAITERS} waiters");
    disk.crash().unwrap();
    let logged: BTreeSet<_> = logged(dir.path()).into_iter().collect();
    assert_eq!(logged, (0..WAITERS).collect());
}

#[test]
fn full_disk_is_reported_and_commits_resume_with_space() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let wal = open(dir.path(), &disk, SyncMode::Os).unwrap();
    commit(&wal, 0, BIG).unwrap();
    disk.set_free_bytes(Some(1000));
    assert!(matches!(commit(&wal, 1, BIG), Err(WalError::NoSpace(_))));
    // A request in flight while the disk became full.
    assert!(matches!(commit(&wal, 2, BIG), Err(WalError::NoSpace(_))));
    assert!(matches!(wal.check_writable(), LogState::NoSpace { .. }));
    assert_eq!(logged(dir.path()), [0], "truncated to the last complete write");
    wait_for_retry();
    assert!(
        matches!(wal.check_writable(), LogState::NoSpace { cause, .. } if cause.to_string().contains("No space left"))
    );
    disk.set_free_bytes(None);
    assert!(
        matches!(wal.check_writable(), LogState::NoSpace { .. }),
        "retried at most once per second"
    );
    wait_for_retry();
    assert!(wal.check_writable().is_writable());
    commit(&wal, 3, BIG).unwrap();
    assert_eq!(logged(dir.path()), [0, 1, 2, 3], "in order and once");
}

#[test]
fn torn_record_is_truncated_before_next_write() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let wal = open(dir.path(), &disk, SyncMode::Os).unwrap();
    commit(&wal, 0, BIG).unwrap();
    disk.fail_with_no_space(DiskCall::Append, 1);
    disk.fail_with_no_space(DiskCall::Truncate, 1);
    assert!(commit(&wal, 1, BIG).is_err());
    wait_for_retry();
    disk.fail_with_no_space(DiskCall::Truncate, 1);
    let appends = disk.calls(DiskCall::Append);
    assert!(matches!(wal.check_writable(), LogState::NoSpace { .. }));
    assert_eq!(disk.calls(DiskCall::Append), appends, "the truncation precedes the next write");
    wait_for_retry();
    assert!(wal.check_writable().is_writable());
    commit(&wal, 2, BIG).unwrap();
    assert_eq!(logged(dir.path()), [0, 1, 2]);
}

#[test]
fn failed_segment_creation_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let wal = open(dir.path(), &disk, SyncMode::Os).unwrap();
    disk.fail_with_no_space(DiskCall::Create, 1);
    let failed: Vec<_> = (0..40).filter(|number| commit(&wal, *number, BIG).is_err()).collect();
    assert!(!failed.is_empty(), "no segment cut");
    wait_for_retry();
    assert!(wal.check_writable().is_writable());
    commit(&wal, 40, BIG).unwrap();
    assert_eq!(logged(dir.path()), (0..=40).collect::<Vec<_>>());
    assert!(list_segments(&dir.path().join("wal")).unwrap().len() > 3);
}

#[test]
fn other_errors_than_full_disk_stop_writes_until_restart() {
    for call in [DiskCall::Append, DiskCall::Create, DiskCall::SyncDir] {
        let dir = tempfile::tempdir().unwrap();
        let disk = CrashDisk::new();
        let wal = open(dir.path(), &disk, SyncMode::Os).unwrap();
        commit(&wal, 0, BIG).unwrap();
        disk.fail_with_eio(call, 1);
        let first_failed =
            (1..40).find(|number| commit(&wal, *number, BIG).is_err()).expect("no failure");
        wait_for_retry();
        assert!(matches!(wal.check_writable(), LogState::Failed { .. }), "{call:?}");
        assert!(
            matches!(wal.wait(wal.position()), Err(WalError::Failed(_))),
            "{call:?}: a commit is acknowledged after the failure"
        );
        let before = logged(dir.path());
        assert_eq!(before[..first_failed as usize], (0..first_failed).collect::<Vec<_>>());
        drop(wal);
        let wal = open(dir.path(), &disk, SyncMode::Os).unwrap();
        commit(&wal, 100, 1).unwrap();
        assert_eq!(logged(dir.path()), [before, vec![100]].concat(), "{call:?}: after a restart");
    }
}

#[test]
fn new_wal_starts_after_checkpoint_without_segments() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("wal/checkpoint.00000007")).unwrap();
    let wal = open(dir.path(), &CrashDisk::new(), SyncMode::Os).unwrap();
    commit(&wal, 0, 1).unwrap();
    let numbers: Vec<_> =
        list_segments(&dir.path().join("wal")).unwrap().iter().map(|s| s.number).collect();
    assert_eq!(numbers, [8]);
}

#[test]
fn failed_sync_stops_commits_and_keeps_earlier_records_readable() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let wal = open(dir.path(), &disk, SyncMode::Always).unwrap();
    commit(&wal, 0, BIG).unwrap();
    disk.fail_with_eio(DiskCall::Sync, 1);
    assert!(matches!(commit(&wal, 1, BIG), Err(WalError::Failed(_))));
    let appends = disk.calls(DiskCall::Append);
    assert!(matches!(commit(&wal, 2, BIG), Err(WalError::Failed(_))));
    wait_for_retry();
    assert!(matches!(wal.check_writable(), LogState::Failed { .. }));
    assert!(matches!(wal.close(), Err(WalError::Failed(_))));
    assert_eq!(disk.calls(DiskCall::Append), appends, "no write after the failed sync");
    assert_eq!(logged(dir.path()).first(), Some(&0));
}

#[test]
fn failed_background_sync_stops_writes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let wal = open(dir.path(), &disk, SyncMode::Interval(Duration::from_millis(10))).unwrap();
    disk.fail_with_eio(DiskCall::Sync, 1);
    commit(&wal, 0, 1).unwrap();
    for _ in 0..1000 {
        if matches!(wal.state(), LogState::Failed { .. }) {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!(
        matches!(wal.state(), LogState::Failed { cause } if cause.to_string().contains("os error 5"))
    );
    assert!(matches!(commit(&wal, 1, 1), Err(WalError::Failed(_))));
    assert_eq!(logged(dir.path()), [0]);
}

#[test]
fn clean_shutdown_pads_last_page_and_syncs_wal() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let wal = open(dir.path(), &disk, SyncMode::Os).unwrap();
    (0..10).for_each(|number| commit(&wal, number, BIG).unwrap());
    wal.enqueue(&mut batch(10, 1));
    wal.close().unwrap();
    drop(wal);
    disk.crash().unwrap();
    assert_eq!(logged(dir.path()), (0..=10).collect::<Vec<_>>());
    for segment in list_segments(&dir.path().join("wal")).unwrap() {
        let len = segment.path.metadata().unwrap().len();
        assert!(len > 0 && len.is_multiple_of(32 * 1024), "{}: {len}", segment.path.display());
    }
}

#[test]
fn interval_sync_makes_batches_durable() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let wal = open(dir.path(), &disk, SyncMode::Interval(Duration::from_millis(10))).unwrap();
    (0..5).for_each(|number| commit(&wal, number, BIG).unwrap());
    let synced = disk.calls(DiskCall::Sync);
    for _ in 0..1000 {
        if disk.calls(DiskCall::Sync) >= synced + 2 {
            break;
        }
        commit(&wal, 100, 1).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    disk.crash().unwrap();
    assert_eq!(logged(dir.path())[..5], [0, 1, 2, 3, 4]);
}
