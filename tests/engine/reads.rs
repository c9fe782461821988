//! Reads during maintenance: each read during head compaction and block compaction returns all
//! samples.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::{Stored, everything};
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::LabelsBuilder;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::settings::{RetentionOrigin, RetentionSettings};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const BEGIN: i64 = 1_762_300_800_000;

fn open(dir: &Path, max_block_range_ms: i64) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.max_block_range_ms = Some(max_block_range_ms);
    options.settings.retention = RetentionSettings {
        time_ms: 0,
        bytes: 0,
        percentage: 0.0,
        origin: RetentionOrigin::Configured,
    };
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

/// Writes a sample of each of 40 series every five minutes. Some series end, others start.
fn write(db: &Db, hours: std::ops::Range<i64>) {
    for t in (BEGIN + hours.start * HOUR..BEGIN + hours.end * HOUR).step_by(5 * MINUTE as usize) {
        let mut appender = db.appender().unwrap();
        let generation = (t - BEGIN) / (7 * HOUR);
        for series in 0..40 {
            let name = if series % 3 == 0 {
                format!("s{series}_{generation}")
            } else {
                format!("s{series}")
            };
            let labels = LabelsBuilder::from_iter([("__name__", name.as_str()), ("job", "x")])
                .build()
                .unwrap();
            let sample = FloatSample::new(t + series, (t % 997) as f64);
            appender
                .append_or_create(&labels, std::iter::once(sample.into()), |_, why| {
                    panic!("{why:?}")
                })
                .unwrap();
        }
        appender.commit().unwrap();
    }
}

/// Runs `work` while two threads read all samples repeatedly. Asserts that each read returns
/// `expected`.
fn assert_readable_during(db: &Db, expected: &Stored, work: impl FnOnce()) {
    let (done, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let found = everything(db);
                    let count = |stored: &Stored| stored.values().map(Vec::len).sum::<usize>();
                    assert!(
                        found == *expected,
                        "{} samples instead of {}",
                        count(&found),
                        count(expected)
                    );
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while reads.load(Ordering::Relaxed) < 2 {
            thread::yield_now();
        }
        let before = reads.load(Ordering::Relaxed);
        work();
        let during = reads.load(Ordering::Relaxed) - before;
        done.store(true, Ordering::Relaxed);
        println!("{during} reads during the work");
    });
}

#[test]
fn reads_during_block_compaction_are_complete() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), 2 * HOUR);
    write(&db, 0..60);
    db.maintenance().run_once(BEGIN).unwrap();
    assert!(db.blocks().len() > 25);
    let expected = everything(&db);
    db.close().unwrap();
    drop(db);
    let db = open(dir.path(), 54 * HOUR);
    assert_readable_during(&db, &expected, || db.maintenance().run_once(BEGIN).unwrap());
    assert!(db.blocks().len() < 10, "{}", db.blocks().len());
}

#[test]
fn reads_during_head_compaction_are_complete() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path(), 2 * HOUR);
        write(&db, 0..9);
        let expected = everything(&db);
        assert_readable_during(&db, &expected, || db.maintenance().run_once(BEGIN).unwrap());
        assert_eq!(db.blocks().len(), 3);
    }
}
