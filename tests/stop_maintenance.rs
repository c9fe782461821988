//! A shutdown cancels each step of maintenance. The step is paused at a fail point, cancelled and
//! continued. It is not completed, it leaves nothing unfinished, and after the next start every
//! sample is stored once.
//!
//! A separate binary, because it arms fail points of its own process. One test, because all threads
//! hit them.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

mod support;

use narthex::model::time::TimeRange;
use narthex::testing::fail_points;
use narthex::tsdb::block::ulid::BlockUlid;
use narthex::tsdb::compact::block_summary::BlockSummary;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::admin::snapshot::SnapshotContents;
use narthex::tsdb::db::error::MaintenanceError;
use narthex::tsdb::db::options::{DbOptions, ShutdownMode};
use narthex::tsdb::db::settings::{RetentionOrigin, RetentionSettings};
use narthex::tsdb::db::stats::DbStats;
use narthex::tsdb::wal::compression::RecordCompression;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::life::{BEGIN, HOUR, Life, MINUTE, minutes, named};

type MaintenanceResult = Result<(), MaintenanceError>;

/// Time at which maintenance runs.
const NOW: i64 = BEGIN + 1000 * HOUR;

/// Creates a database with samples of many series, enough for several WAL segments.
fn filled(hours: i64, change: impl FnOnce(&mut DbOptions)) -> Life {
    let mut life = Life::new(|options| {
        options.wal_compression = RecordCompression::None;
        options.max_block_range_ms = Some(2 * HOUR);
        change(options);
    });
    let names: Vec<String> = (0..40).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    life.put(&names, minutes(BEGIN, BEGIN + hours * HOUR));
    life
}

/// Does the same as [`filled`], with out-of-order samples.
fn filled_out_of_order(hours: i64) -> Life {
    let mut life = filled(hours, |options| options.settings.out_of_order_window_ms = 2 * HOUR);
    let ooo_start = BEGIN + (hours - 1) * HOUR + MINUTE / 2;
    life.put(&["s1", "s2"], (0..20).map(|step| ooo_start + step * MINUTE));
    life.model.values_mut().for_each(|samples| samples.sort_unstable());
    life
}

/// Runs `work` until it reaches `point`, cancels it there and returns its result.
fn cancelled_at(
    life: &Life,
    point: &str,
    work: impl FnOnce(&Db) -> MaintenanceResult + Send,
) -> MaintenanceResult {
    let point = fail_points::ALL.into_iter().find(|known| *known == point).unwrap();
    let marker = life.beside("paused");
    fail_points::arm_from_spec(&format!(
        "{point}@{}=pause:{}",
        fail_points::hits(point) + 1,
        marker.display()
    ))
    .unwrap();
    thread::scope(|scope| {
        let working = scope.spawn(|| work(life.db()));
        let deadline = Instant::now() + Duration::from_secs(60);
        while !marker.exists() {
            assert!(Instant::now() < deadline && !working.is_finished(), "{point} is not reached");
            thread::sleep(Duration::from_millis(1));
        }
        life.db().cancel_maintenance();
        std::fs::remove_file(&marker).unwrap();
        working.join().unwrap()
    })
}

fn maintain(db: &Db) -> MaintenanceResult {
    db.maintenance().run_once(NOW)
}

fn count(life: &Life, counter: fn(&DbStats) -> &AtomicU64) -> u64 {
    counter(life.db().stats()).load(Ordering::Relaxed)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Asserts that nothing unfinished is left, and that all samples are stored after a clean shutdown,
/// before and after maintenance is completed.
fn assert_complete(mut life: Life, context: &str) {
    for dir in ["", "wal", "wbl", "snapshots"] {
        let found = names(&life.dir().join(dir));
        assert!(!found.iter().any(|name| name.contains(".tmp")), "{context}: {found:?}");
    }
    assert_eq!(count(&life, |stats| &stats.compactions_failed), 0, "{context}");
    assert_eq!(count(&life, |stats| &stats.checkpoints_failed), 0, "{context}");
    life.check(&format!("{context}, cancelled"));
    life.db().close().unwrap();
    life.end();
    life.start();
    life.check(&format!("{context}, restarted"));
    life.maintain();
    life.check(&format!("{context}, completed"));
    life.restart();
}

fn is_cancelled(result: &MaintenanceResult) -> bool {
    matches!(result, Err(MaintenanceError::Cancelled))
}

fn out_of_order_blocks(life: &Life) -> usize {
    life.blocks()
        .iter()
        .filter(|block| BlockSummary::from_meta(&block.meta()).hints.out_of_order)
        .count()
}

#[test]
fn stop_cancels_each_step_and_loses_nothing() {
    head_compaction();
    checkpoint();
    out_of_order_compaction();
    block_compaction();
    retention();
    admin_operations();
}

fn head_compaction() {
    let life = filled(6, |_| {});
    assert!(is_cancelled(&cancelled_at(&life, "block.write", maintain)));
    assert_eq!(life.blocks().len(), 0);
    assert_complete(life, "head compaction");

    for shutdown_mode in [ShutdownMode::KeepInWal, ShutdownMode::ChunkSnapshot] {
        let life = filled(6, |options| options.shutdown_mode = shutdown_mode);
        assert!(is_cancelled(&cancelled_at(&life, "head.before_truncate", maintain)));
        assert_eq!((life.blocks().len(), count(&life, |stats| &stats.head_truncations)), (1, 0));
        assert_complete(life, "head truncation");
    }
}

fn checkpoint() {
    let life = filled(6, |_| {});
    let _ = cancelled_at(&life, "checkpoint.write", maintain);
    assert_eq!(life.checkpoint(), None);
    assert_complete(life, "checkpoint");

    let life = filled(6, |_| {});
    let _ = cancelled_at(&life, "checkpoint.after_rename", maintain);
    assert!(life.checkpoint().is_some());
    assert!(life.dir().join("wal/00000000").exists(), "a segment is removed");
    assert_complete(life, "WAL truncation");
}

fn out_of_order_compaction() {
    let life = filled_out_of_order(6);
    let _ = cancelled_at(&life, "ooo.before_block", maintain);
    assert_eq!(out_of_order_blocks(&life), 0);
    assert_complete(life, "out-of-order compaction");

    let life = filled_out_of_order(6);
    let before = names(&life.dir().join("wbl"));
    let _ = cancelled_at(&life, "ooo.before_wbl_truncate", maintain);
    assert!(out_of_order_blocks(&life) > 0);
    let after = names(&life.dir().join("wbl"));
    assert!(before.iter().all(|segment| after.contains(segment)), "{before:?} became {after:?}");
    assert_complete(life, "WBL truncation");
}

/// Creates a database with blocks of two hours that are due for compaction.
fn with_blocks() -> Life {
    let mut life = filled(12, |_| {});
    life.maintain();
    life.restart_with(|options| options.max_block_range_ms = Some(6 * HOUR));
    life
}

fn block_compaction() {
    let life = with_blocks();
    let before = life.blocks().len();
    let _ = cancelled_at(&life, "compact.write", maintain);
    assert!(life.blocks().iter().all(|block| block.meta().compaction.level == 1));
    assert_eq!(life.blocks().len(), before);
    assert_complete(life, "block compaction");
}

fn retention() {
    let mut life = filled(12, |_| {});
    life.maintain();
    let retention = RetentionSettings {
        time_ms: HOUR,
        bytes: 0,
        percentage: 0.0,
        origin: RetentionOrigin::Configured,
    };
    life.restart_with(|options| options.settings.retention = retention);
    let before = life.blocks();
    let _ = cancelled_at(&life, "retention.delete", maintain);
    let after: Vec<BlockUlid> = life.blocks().iter().map(|block| block.meta().ulid).collect();
    let removed: Vec<_> = before
        .iter()
        .map(|block| block.meta())
        .filter(|meta| !after.contains(&meta.ulid))
        .collect();
    let [removed] = &removed[..] else { panic!("{} blocks are removed", removed.len()) };
    let is_removed = |t: i64| (removed.min_time..removed.max_time).contains(&t);
    life.model.values_mut().for_each(|samples| samples.retain(|(t, _)| !is_removed(*t)));
    life.check("retention, cancelled");
    life.db().close().unwrap();
}

fn admin_operations() {
    let life = with_blocks();
    let snapshot = |db: &Db| db.admin().snapshot(SnapshotContents::BlocksAndHead, NOW).map(drop);
    assert!(is_cancelled(&cancelled_at(&life, "snapshot.write", snapshot)));
    assert!(names(&life.dir().join("snapshots")).is_empty());
    assert_complete(life, "snapshot");

    let mut life = with_blocks();
    life.delete("s1", TimeRange::new(BEGIN, BEGIN + HOUR));
    assert!(!named("s1").matches("s2"));
    assert!(is_cancelled(&cancelled_at(&life, "compact.write", |db| db
        .admin()
        .clean_tombstones())));
    assert!(life.blocks().iter().any(|block| !block.tombstones().is_empty()));
    assert_complete(life, "cleaning of tombstones");
}
