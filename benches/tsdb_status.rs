//! Cost of `/api/v1/status/tsdb` in a large head, and of writes while it runs.
//!
//! ```text
//! cargo bench --bench tsdb_status -- [--series 1000000] [--seconds 10]
//! ```
//!
//! Two clients write, one to known series and one that creates series, first alone and then while
//! the status is collected again and again: time of the status by the length of its lists; median,
//! 99th percentile and slowest of the writes in both phases.
//!
//! Prints figures and asserts nothing about them.

mod rig;

use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::{Db, HeadStatus, SyncMode};
use rig::series::append;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;
const SERIES_PER_REQUEST: usize = 2_000;
/// Numbers of entries per list: the default and the maximum.
const LIMITS: [usize; 2] = [10, 10_000];

fn main() {
    let (mut series, mut seconds) = (1_000_000, 10);
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(flag) = args.next() {
        let value = args.next().and_then(|value| value.parse().ok());
        let value = value.unwrap_or_else(|| panic!("{flag} needs a number"));
        match flag.as_str() {
            "--series" => series = value,
            "--seconds" => seconds = value,
            other => panic!("unknown flag {other}"),
        }
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut options = DbOptions::new(dir.path().to_owned());
    options.wal_sync = SyncMode::Os;
    let locked = LockedDir::open(options).expect("cannot open database");
    let db = locked.into_recovery().run().expect("cannot replay").db;
    for first in (0..series).step_by(SERIES_PER_REQUEST) {
        append(&db, "live", first..series.min(first + SERIES_PER_REQUEST), BEGIN);
    }
    println!("{series} series, {:?}", db.head().postings().cardinality());
    let phase = Duration::from_secs(seconds as u64);
    let calm = with_writers(&db, || thread::sleep(phase));
    let busy = with_writers(&db, || collect_for(&db, phase));
    for (when, [known, new]) in [("alone", calm), ("during the status", busy)] {
        println!("  writes {when}: {known} (100 known series); {new} (200 new series)");
    }
}

/// Collects the status again and again, and prints its slowest time.
fn collect_for(db: &Db, phase: Duration) {
    for limit in LIMITS {
        let (begin, mut runs, mut slowest) = (Instant::now(), 0, Duration::ZERO);
        while begin.elapsed() < phase / 2 {
            let started = Instant::now();
            let status = HeadStatus::collect(db.head(), limit, &mut |_| true).expect("memory");
            slowest = slowest.max(started.elapsed());
            runs += 1;
            assert!(status.labels.label_pairs > 0);
        }
        println!(
            "  status with lists of {limit}: {runs} runs, slowest {:.0} ms",
            slowest.as_secs_f64() * 1e3
        );
    }
}

/// Durations of the writes of a client.
struct Writes(Vec<Duration>);

impl std::fmt::Display for Writes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| {
            let nth = ((self.0.len() - 1) as f64 * share) as usize;
            self.0[nth].as_secs_f64() * 1e3
        };
        let (count, median, p99, slowest) = (self.0.len(), at(0.5), at(0.99), at(1.0));
        write!(f, "{count} writes, median {median:.2} ms, p99 {p99:.2} ms, slowest {slowest:.1} ms")
    }
}

/// Does `work` during the writes of two clients. Returns the durations of each, ascending.
fn with_writers(db: &Db, work: impl FnOnce()) -> [Writes; 2] {
    static ROUND: AtomicUsize = AtomicUsize::new(1);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let known = scope.spawn(|| {
            repeat(&is_done, || {
                let round = ROUND.fetch_add(1, Ordering::Relaxed);
                append(db, "live", 0..100, BEGIN + round as i64);
            })
        });
        let new = scope.spawn(|| {
            repeat(&is_done, || {
                let round = ROUND.fetch_add(1, Ordering::Relaxed);
                append(db, "new", round * 200..(round + 1) * 200, BEGIN + round as i64);
            })
        });
        work();
        is_done.store(true, Ordering::Relaxed);
        [known, new].map(|writer| {
            let mut durations = writer.join().expect("writer panicked");
            durations.sort_unstable();
            Writes(durations)
        })
    })
}

fn repeat(is_done: &AtomicBool, write: impl Fn()) -> Vec<Duration> {
    let mut durations = Vec::new();
    while !is_done.load(Ordering::Relaxed) {
        let started = Instant::now();
        write();
        durations.push(started.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    durations
}
