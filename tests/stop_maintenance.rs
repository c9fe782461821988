//! The end of the process cancels each step of maintenance: it is held at a fail point, cancelled,
//! and goes on. It is not completed then, nothing half-done is left, and after the next start every
//! sample is there once.
//!
//! A binary of its own, because it arms the points of its own process. One test, because they are
//! hit by all threads.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

mod support;

use narthex::model::time::TimeRange;
use narthex::testing::fail_points;
use narthex::tsdb::block::ulid::BlockUlid;
use narthex::tsdb::compact::block_summary::BlockSummary;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::admin::SnapshotContents;
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

type Done = Result<(), MaintenanceError>;

/// The time of maintenance.
const NOW: i64 = BEGIN + 1000 * HOUR;

/// Samples of many series, enough for several segments of the log.
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

/// The same with out-of-order samples.
fn filled_out_of_order(hours: i64) -> Life {
    let mut life = filled(hours, |options| options.settings.out_of_order_window_ms = 2 * HOUR);
    let late = BEGIN + (hours - 1) * HOUR + MINUTE / 2;
    life.put(&["s1", "s2"], (0..20).map(|step| late + step * MINUTE));
    life.model.values_mut().for_each(|samples| samples.sort_unstable());
    life
}

/// Runs `work` until it reaches `point` and cancels it there.
fn cancelled_at(life: &Life, point: &str, work: impl FnOnce(&Db) -> Done + Send) -> Done {
    let point = fail_points::ALL.into_iter().find(|known| *known == point).unwrap();
    let marker = life.beside("held");
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

fn maintain(db: &Db) -> Done {
    db.run_maintenance_once(NOW)
}

fn count(life: &Life, counter: fn(&DbStats) -> &AtomicU64) -> u64 {
    counter(life.db().stats()).load(Ordering::Relaxed)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Nothing half-done is left, and after a clean stop all is there, before and after maintenance is
/// completed.
fn ends_well(mut life: Life, what: &str) {
    for dir in ["", "wal", "wbl", "snapshots"] {
        let left = names(&life.dir().join(dir));
        assert!(!left.iter().any(|name| name.contains(".tmp")), "{what}: {left:?}");
    }
    assert_eq!(count(&life, |stats| &stats.compactions_failed), 0, "{what}");
    assert_eq!(count(&life, |stats| &stats.checkpoints_failed), 0, "{what}");
    life.check(&format!("{what}, cancelled"));
    life.db().close().unwrap();
    life.end();
    life.start();
    life.check(&format!("{what}, started again"));
    life.maintain();
    life.check(&format!("{what}, completed"));
    life.restart();
}

fn is_cancelled(done: &Done) -> bool {
    matches!(done, Err(MaintenanceError::Cancelled))
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
    ends_well(life, "a block of the head");

    for head_at_stop in [ShutdownMode::KeepInWal, ShutdownMode::ChunkSnapshot] {
        let life = filled(6, |options| options.shutdown_mode = head_at_stop);
        assert!(is_cancelled(&cancelled_at(&life, "head.before_truncate", maintain)));
        assert_eq!((life.blocks().len(), count(&life, |stats| &stats.head_truncations)), (1, 0));
        ends_well(life, "a truncation of the head");
    }
}

fn checkpoint() {
    let life = filled(6, |_| {});
    let _ = cancelled_at(&life, "checkpoint.write", maintain);
    assert_eq!(life.checkpoint(), None);
    ends_well(life, "a checkpoint");

    let life = filled(6, |_| {});
    let _ = cancelled_at(&life, "checkpoint.after_rename", maintain);
    assert!(life.checkpoint().is_some());
    assert!(life.dir().join("wal/00000000").exists(), "a segment was removed");
    ends_well(life, "a truncation of the log");
}

fn out_of_order_compaction() {
    let life = filled_out_of_order(6);
    let _ = cancelled_at(&life, "ooo.before_block", maintain);
    assert_eq!(out_of_order_blocks(&life), 0);
    ends_well(life, "a block of out-of-order samples");

    let life = filled_out_of_order(6);
    let before = names(&life.dir().join("wbl"));
    let _ = cancelled_at(&life, "ooo.before_wbl_truncate", maintain);
    assert!(out_of_order_blocks(&life) > 0);
    let after = names(&life.dir().join("wbl"));
    assert!(before.iter().all(|segment| after.contains(segment)), "{before:?} became {after:?}");
    ends_well(life, "a truncation of the WBL");
}

/// A database with blocks of two hours that are to be merged.
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
    ends_well(life, "a merge of blocks");
}

fn retention() {
    let mut life = filled(12, |_| {});
    life.maintain();
    let keep = RetentionSettings {
        time_ms: HOUR,
        bytes: 0,
        percentage: 0.0,
        origin: RetentionOrigin::Configured,
    };
    life.restart_with(|options| options.settings.retention = keep);
    let before = life.blocks();
    let _ = cancelled_at(&life, "retention.delete", maintain);
    let after: Vec<BlockUlid> = life.blocks().iter().map(|block| block.meta().ulid).collect();
    let removed: Vec<_> = before
        .iter()
        .map(|block| block.meta())
        .filter(|meta| !after.contains(&meta.ulid))
        .collect();
    let [removed] = &removed[..] else { panic!("{} blocks were removed", removed.len()) };
    let is_removed = |t: i64| (removed.min_time..removed.max_time).contains(&t);
    life.model.values_mut().for_each(|samples| samples.retain(|(t, _)| !is_removed(*t)));
    life.check("retention, cancelled");
    life.db().close().unwrap();
}

fn admin_operations() {
    let life = with_blocks();
    let snapshot = |db: &Db| db.snapshot(SnapshotContents::BlocksAndHead, NOW).map(drop);
    assert!(is_cancelled(&cancelled_at(&life, "snapshot.write", snapshot)));
    assert!(names(&life.dir().join("snapshots")).is_empty());
    ends_well(life, "a snapshot");

    let mut life = with_blocks();
    life.delete("s1", TimeRange::new(BEGIN, BEGIN + HOUR));
    assert!(!named("s1").matches("s2"));
    assert!(is_cancelled(&cancelled_at(&life, "compact.write", Db::clean_tombstones)));
    assert!(life.blocks().iter().any(|block| !block.tombstones().is_empty()));
    ends_well(life, "a clean-up");
}
