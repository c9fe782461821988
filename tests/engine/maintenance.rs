//! Maintenance combined with restarts: deleted samples stay deleted without their block, samples
//! missing from a chunk snapshot come from the WAL, and a closed database changes no files.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::everything;
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::LabelsBuilder;
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::Sample;
use narthex::model::time::TimeRange;
use narthex::tsdb::block::ulid::system_random;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::admin::snapshot::SnapshotContents;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::{DbOptions, ShutdownMode};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;

fn open(dir: &Path, shutdown_mode: ShutdownMode) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.shutdown_mode = shutdown_mode;
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

/// Appends a sample per minute of one series.
fn append(db: &Db, hours: i64) {
    let labels = LabelsBuilder::from_iter([("__name__", "up")]).build().unwrap();
    let samples =
        (0..hours * 60).map(|minute| FloatSample::new(BEGIN + minute * MINUTE, minute as f64));
    let mut appender = db.appender().unwrap();
    appender
        .append_or_create(&labels, samples.map(Sample::from), |_, why| panic!("{why:?}"))
        .unwrap();
    appender.commit().unwrap();
}

fn selector() -> Vec<Vec<Matcher>> {
    vec![vec![Matcher::new(MatchType::Equal, "__name__", "up").unwrap()]]
}

#[test]
fn fully_deleted_newest_block_keeps_samples_deleted() {
    for is_cleaned_on_demand in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path(), ShutdownMode::KeepInWal);
        append(&db, 6);
        db.maintenance().run_once(BEGIN + 6 * HOUR).unwrap();
        assert_eq!(db.blocks().len(), 2);
        db.admin()
            .delete(&selector(), TimeRange::new(BEGIN + 2 * HOUR, BEGIN + 4 * HOUR - 1))
            .unwrap();
        if is_cleaned_on_demand {
            db.admin().clean_tombstones().unwrap();
        }
        db.maintenance().run_once(BEGIN + 6 * HOUR).unwrap();
        let before = everything(&db);
        assert_eq!(before.values().map(Vec::len).sum::<usize>(), 4 * 60);
        db.close().unwrap();
        drop(db);
        let db = open(dir.path(), ShutdownMode::KeepInWal);
        assert!(
            everything(&db) == before,
            "deleted samples returned; cleaned on demand: {is_cleaned_on_demand}"
        );
    }
}

#[test]
fn corrupted_mapped_chunks_are_replayed_from_wal_with_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), ShutdownMode::ChunkSnapshot);
    append(&db, 9);
    let before = everything(&db);
    db.close().unwrap();
    drop(db);
    let file = dir.path().join("chunks_head/000001");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let db = open(dir.path(), ShutdownMode::ChunkSnapshot);
    assert!(everything(&db) == before);
}

static HAS_RANDOM_BYTES: AtomicBool = AtomicBool::new(true);

/// Random source that fails while [`HAS_RANDOM_BYTES`] is `false`.
fn failing_random(buffer: &mut [u8]) -> io::Result<()> {
    if HAS_RANDOM_BYTES.load(Ordering::SeqCst) {
        system_random(buffer)
    } else {
        Err(io::Error::other("no entropy"))
    }
}

#[test]
fn failing_random_source_is_named_and_blocks_are_merged_later() {
    let dir = tempfile::tempdir().unwrap();
    let options = |max_range: i64| {
        let mut options = DbOptions::new(dir.path().to_owned());
        (options.random, options.max_block_range_ms) = (failing_random, Some(max_range));
        options
    };
    let db = LockedDir::open(options(2 * HOUR)).unwrap().into_recovery().run().unwrap().db;
    append(&db, 10);
    db.maintenance().run_once(BEGIN + 10 * HOUR).unwrap();
    assert_eq!(db.blocks().len(), 4);
    db.close().unwrap();
    drop(db);
    let db = LockedDir::open(options(6 * HOUR)).unwrap().into_recovery().run().unwrap().db;
    HAS_RANDOM_BYTES.store(false, Ordering::SeqCst);
    let error = db.maintenance().run_once(BEGIN + 10 * HOUR).unwrap_err().to_string();
    assert!(error.contains("name a block") && error.contains("no entropy"), "{error}");
    assert_eq!(db.blocks().len(), 4);
    assert_eq!(db.stats().compactions_failed.load(Ordering::Relaxed), 1);
    HAS_RANDOM_BYTES.store(true, Ordering::SeqCst);
    // At the same time: nothing holds the blocks back.
    db.maintenance().run_once(BEGIN + 10 * HOUR).unwrap();
    assert_eq!(db.blocks().len(), 2);
}

#[test]
fn nothing_is_ordered_of_a_database_that_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), ShutdownMode::KeepInWal);
    append(&db, 6);
    db.maintenance().run_once(BEGIN + 6 * HOUR).unwrap();
    db.close().unwrap();
    let next = open(dir.path(), ShutdownMode::KeepInWal);
    let before = everything(&next);
    assert!(db.admin().delete(&selector(), TimeRange::ALL).is_err());
    assert!(db.admin().clean_tombstones().is_err());
    assert!(db.admin().snapshot(SnapshotContents::Blocks, BEGIN).is_err());
    assert!(db.maintenance().run_once(BEGIN + 6 * HOUR).is_err());
    next.close().unwrap();
    drop(next);
    assert!(everything(&open(dir.path(), ShutdownMode::KeepInWal)) == before);
}

#[test]
fn start_after_kill_indexes_only_live_series() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), ShutdownMode::KeepInWal);
    let mut appender = db.appender().unwrap();
    for series in 0..1_000 {
        let id = series.to_string();
        let labels =
            LabelsBuilder::from_iter([("__name__", "down"), ("id", id.as_str()), ("job", "x")])
                .build()
                .unwrap();
        let sample = Sample::from(FloatSample::new(BEGIN, 1.0));
        appender
            .append_or_create(&labels, std::iter::once(sample), |_, why| panic!("{why:?}"))
            .unwrap();
    }
    appender.commit().unwrap();
    append(&db, 6);
    db.maintenance().run_once(BEGIN + 6 * HOUR).unwrap();
    let before = everything(&db);
    assert_eq!(before.len(), 1_001);
    // As after a kill: no chunk snapshot, and the WAL still names all series.
    drop(db);
    let db = open(dir.path(), ShutdownMode::KeepInWal);
    let postings = db.head().postings();
    assert_eq!((postings.cardinality().series, postings.removal_stats().steps), (1, 0));
    assert!(everything(&db) == before, "samples are missing");
}
