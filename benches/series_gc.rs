//! Cost of collecting series that ended, in a head with live series that share their labels.
//!
//! ```text
//! cargo bench --bench series_gc -- [--ended 1000000] [--live 1000000]
//! ```
//!
//! 1. The head collects the ended series while one client writes to live series and another one
//!    creates new ones: CPU time of the collecting thread, slowest write of both clients.
//! 2. The same head is compacted, and the database is dropped without a clean shutdown: CPU and
//!    wall
//!    time of the next start, which replays all series of the WAL.
//!
//! Prints figures and asserts nothing about them.

mod rig;

use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::head::truncation::HeadTruncation;
use narthex::tsdb::wal::write_log::SyncMode;
use rig::series::append;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;
const SERIES_PER_REQUEST: usize = 2_000;
/// Duration of the measurement of writes before the collection.
const CALM: Duration = Duration::from_secs(3);
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let (mut ended, mut live) = (1_000_000, 1_000_000);
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(flag) = args.next() {
        let value = args.next().and_then(|value| value.parse().ok());
        let value = value.unwrap_or_else(|| panic!("{flag} needs a number"));
        match flag.as_str() {
            "--ended" => ended = value,
            "--live" => live = value,
            other => panic!("unknown flag {other}"),
        }
    }
    println!("{ended} ended and {live} live series");
    collect(ended, live);
    start_after_kill(ended, live);
}

fn collect(ended: usize, live: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = filled(dir.path(), ended, live);
    let calm = with_writers(&db, live, || thread::sleep(CALM));
    let during = with_writers(&db, live, || {
        let truncation = HeadTruncation::new(db.head());
        let (wall, cpu) = (Instant::now(), thread_cpu());
        truncation.close_before(BEGIN + 2 * HOUR);
        let dropped =
            truncation.truncate_before(BEGIN + 2 * HOUR).expect("the chunk files can be removed");
        let cpu = (thread_cpu() - cpu).as_secs_f64();
        println!(
            "  collected {} series: {cpu:.2} s of CPU, {:.2} s",
            dropped.series,
            wall.elapsed().as_secs_f64()
        );
    });
    for (when, slowest) in [("before", calm), ("during the collection", during)] {
        println!(
            "  slowest write {when}: {:.1} ms to 100 known series, {:.1} ms for 200 new ones",
            slowest[0], slowest[1]
        );
    }
}

/// Does `work` during the writes of two clients, one to known series and one that creates series.
/// Returns the slowest write of each, ms.
fn with_writers(db: &Db, live: usize, work: impl FnOnce()) -> [f64; 2] {
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let is_done = AtomicBool::new(false);
    let t = |round: usize| BEGIN + 4 * HOUR - HOUR / 4 + round as i64;
    thread::scope(|scope| {
        let known = scope.spawn(|| {
            slowest(&is_done, || {
                append(db, "live", 0..100.min(live), t(ROUND.fetch_add(1, Ordering::Relaxed)))
            })
        });
        let created = scope.spawn(|| {
            slowest(&is_done, || {
                let round = ROUND.fetch_add(1, Ordering::Relaxed);
                append(db, "new", round * 200..(round + 1) * 200, t(round));
            })
        });
        // Until both clients write.
        thread::sleep(Duration::from_millis(50));
        work();
        is_done.store(true, Ordering::Relaxed);
        [known, created].map(|writer| writer.join().expect("writer panicked").as_secs_f64() * 1e3)
    })
}

fn start_after_kill(ended: usize, live: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = filled(dir.path(), ended, live);
    let (wall, cpu) = (Instant::now(), process_cpu());
    db.maintenance().run_once(BEGIN + 4 * HOUR).expect("head compaction");
    println!(
        "  head compaction: {:.2} s of CPU, {:.2} s",
        process_cpu() - cpu,
        wall.elapsed().as_secs_f64()
    );
    drop(db);
    let (wall, cpu) = (Instant::now(), process_cpu());
    let db = open(dir.path());
    println!(
        "  start after kill: {:.2} s of CPU, {:.2} s",
        process_cpu() - cpu,
        wall.elapsed().as_secs_f64()
    );
    let head = db.head();
    println!("  {} series in the head, {:?}", head.series_count(), head.postings().cardinality());
}

fn open(dir: &Path) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.wal_sync = SyncMode::Os;
    LockedDir::open(options)
        .expect("cannot open database")
        .into_recovery()
        .run()
        .expect("cannot replay")
        .db
}

/// Creates a database with series that end at the start, and others that live for 3.5 hours.
fn filled(dir: &Path, ended: usize, live: usize) -> Db {
    let db = open(dir);
    for (state, count, hour) in
        [("ended", ended, 0), ("live", live, 0), ("live", live, 2), ("live", live, 3)]
    {
        for first in (0..count).step_by(SERIES_PER_REQUEST) {
            let series = first..count.min(first + SERIES_PER_REQUEST);
            append(&db, state, series, BEGIN + HOUR / 2 + hour * (HOUR + MINUTE));
        }
    }
    db
}

/// Returns the duration of the slowest write until `is_done` is set.
fn slowest(is_done: &AtomicBool, write: impl Fn()) -> Duration {
    let mut slowest = Duration::ZERO;
    while !is_done.load(Ordering::Relaxed) {
        let started = Instant::now();
        write();
        slowest = slowest.max(started.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
    slowest
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("/proc");
    Duration::from_nanos(
        text.split(' ').next().and_then(|field| field.parse().ok()).expect("a number"),
    )
}

/// CPU time of this process, s.
fn process_cpu() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields =
        text.rsplit(')').next().expect("a name in brackets").split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<f64>().expect("a number")).sum::<f64>() / TICKS_PER_SECOND
}
