//! Out-of-order samples of one series in random order: append, read, restart, compact.
//!
//! ```text
//! cargo bench --bench ooo_samples -- [--samples 80000] [--requests 16] [--new-series]
//! ```
//!
//! Prints the CPU time of this process for each step: append, append duplicates, read, restart,
//! compact. With `--new-series`, the first request creates the series and has all
//! samples. Asserts that every sample is read back, nothing about time.

use narthex::model::float_sample::FloatSample;
use narthex::model::labels::LabelsBuilder;
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::Sample;
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use std::path::Path;

const HOUR: i64 = 3_600_000;
const BEGIN: i64 = 400_000 * HOUR;
/// Newest sample of the head. The out-of-order samples are from the two hours before it.
const NEWEST: i64 = BEGIN + 2 * HOUR;

fn main() {
    let (mut samples, mut requests, mut is_new) = (80_000usize, 16usize, false);
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(flag) = args.next() {
        let mut number =
            || args.next().and_then(|value| value.parse().ok()).expect("value must be a number");
        match flag.as_str() {
            "--samples" => samples = number(),
            "--requests" => requests = number(),
            "--new-series" => is_new = true,
            other => panic!("unknown flag {other}"),
        }
    }
    let dir = tempfile::tempdir().expect("cannot create temporary directory");
    let times = shuffled(samples);
    let pieces: Vec<&[i64]> =
        times.chunks(times.len().div_ceil(if is_new { 1 } else { requests })).collect();
    let db = open(dir.path());
    append(&db, "newest", &[NEWEST]);
    if !is_new {
        append(&db, "ooo", &[NEWEST]);
    }
    let mut clock = Clock::new();
    pieces.iter().for_each(|piece| append(&db, "ooo", piece));
    clock.step("append");
    pieces.iter().for_each(|piece| append(&db, "ooo", piece));
    clock.step("append duplicates");
    let expected = samples + usize::from(!is_new);
    assert_eq!(read(&db), expected);
    clock.step("read");
    drop(db);
    clock.step("stop");
    let db = open(dir.path());
    clock.step("start");
    assert_eq!(read(&db), expected);
    clock.step("read");
    append(&db, "newest", &[NEWEST + 4 * HOUR]);
    db.maintenance().run_once(NEWEST).expect("blocks");
    clock.step("compact");
    assert_eq!(read(&db), expected);
    clock.step("read");
}

fn open(dir: &Path) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.settings.out_of_order_window_ms = 2 * HOUR;
    LockedDir::open(options)
        .expect("cannot open database")
        .into_recovery()
        .run()
        .expect("cannot replay")
        .db
}

fn append(db: &Db, series: &str, times: &[i64]) {
    let labels =
        LabelsBuilder::from_iter([("__name__", series)]).build().expect("labels must be valid");
    let mut appender = db.appender().expect("cannot append");
    let samples = times.iter().map(|t| Sample::from(FloatSample::new(*t, *t as f64)));
    appender
        .append_or_create(&labels, samples, |sample, why| panic!("{sample:?}: {why:?}"))
        .expect("cannot append series");
    appender.commit().expect("cannot commit");
}

fn read(db: &Db) -> usize {
    let matchers =
        [Matcher::new(MatchType::Equal, "__name__", "ooo").expect("matcher must be valid")];
    let series = db.querier().select(&matchers, TimeRange::ALL).expect("cannot select");
    series
        .map(|series| series.expect("cannot append series").float_samples(TimeRange::ALL).count())
        .sum()
}

/// Returns distinct timestamps within the window in a fixed random order.
fn shuffled(count: usize) -> Vec<i64> {
    let step = (2 * HOUR - 1) / count.max(1) as i64;
    let mut times: Vec<i64> = (0..count as i64).map(|n| BEGIN + n * step.max(1)).collect();
    let mut random = 1u64;
    for at in (1..times.len()).rev() {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        times.swap(at, (random >> 33) as usize % (at + 1));
    }
    times
}

/// CPU time of this process since the last step.
struct Clock {
    last: f64,
}

impl Clock {
    fn new() -> Self {
        Self { last: cpu_seconds() }
    }

    fn step(&mut self, what: &str) {
        let now = cpu_seconds();
        println!("{what:22} {:7.2} s of CPU", now - self.last);
        self.last = now;
    }
}

/// Returns user and system time, which the kernel counts in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
