//! Cost of blocks: compaction of a large head, size on disk, compaction of blocks.
//!
//! ```text
//! cargo bench --bench blocks -- [--head-series 1000000] [--series 5000] [--prometheus PATH]
//! ```
//!
//! 1. A head of `--head-series` series and slightly more than three hours is compacted while a
//!    client writes: duration, memory growth, slowest write.
//! 2. Ten hours of `--series` series at an interval of 15 s are written to both programs, limited
//!    to blocks of two hours: bytes per sample in the blocks.
//! 3. Both compact a copy of the directory that Prometheus wrote: duration, CPU time, and memory
//!    above idle.
//!
//! Prints figures and asserts nothing about them.

mod rig;

use rig::{
    Connection, Target, Usage, disk_usage, free_port, launch, metric, requests, send, time_series,
    wait_until_ready,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const MINUTE_MS: i64 = 60_000;
const RANGE_MS: i64 = 120 * MINUTE_MS;
/// Samples per series of the large head.
const HEAD_ROUNDS: usize = 12;
const MIB: f64 = 1_048_576.0;
const ONLY_SMALL_BLOCKS: &[&str] =
    &["--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"];

/// Options of the command line.
struct Plan {
    head_series: usize,
    series: usize,
    prometheus: String,
}

/// Peak usage of a server above its start, and the duration of the work.
struct Work {
    seconds: f64,
    cpu_seconds: f64,
    rss_before: f64,
    rss_peak: f64,
    anonymous_before: f64,
    anonymous_peak: f64,
}

fn main() {
    let plan = Plan::from_args();
    if plan.head_series > 0 {
        compact_head(&plan);
    }
    if plan.series > 0 {
        compare_blocks(&plan);
    }
}

impl Plan {
    fn from_args() -> Self {
        let mut plan = Self {
            head_series: 1_000_000,
            series: 5_000,
            prometheus: "/usr/bin/prometheus".into(),
        };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            match flag.as_str() {
                "--head-series" => {
                    plan.head_series = value.parse().expect("value must be a number")
                }
                "--series" => plan.series = value.parse().expect("value must be a number"),
                "--prometheus" => plan.prometheus = value,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

/// Returns the start of a block range for data of `minutes` minutes that ends about now.
fn aligned_start(minutes: i64) -> i64 {
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("clock must be after 1970").as_millis()
            as i64;
    // Aligned to three blocks, which compact to one block of the next range.
    (now - minutes * MINUTE_MS).div_euclid(3 * RANGE_MS) * 3 * RANGE_MS
}

fn compact_head(plan: &Plan) {
    let series = plan.head_series;
    let (dir, port, target) = (
        tempfile::tempdir().expect("cannot create temporary directory"),
        free_port(),
        rig::narthex(&[]),
    );
    let mut server = launch(&target, dir.path(), port);
    wait_until_ready(&target, &mut server, port);
    let start = aligned_start(200);
    // Three hours less a step: the next step triggers a compaction.
    let step = 15 * MINUTE_MS;
    for round in 0..HEAD_ROUNDS {
        send(&[requests(series, |series| time_series(series, round, step, start))], 4, port);
    }
    let small =
        requests(rig::SERIES_PER_REQUEST, |series| time_series(series, HEAD_ROUNDS, step, start));
    let last = start + (HEAD_ROUNDS as i64 + 1) * step;
    let done = AtomicBool::new(false);
    let (work, slowest, calm) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut connection = Connection::open(port);
            let calm = (0..50)
                .map(|round| {
                    write_small(
                        &mut connection,
                        round,
                        start + HEAD_ROUNDS as i64 * step - MINUTE_MS,
                    )
                })
                .max();
            connection.post(&small[0]);
            let mut slowest = Duration::ZERO;
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                slowest = slowest.max(write_small(&mut connection, round, last));
                round += 1;
                thread::sleep(Duration::from_millis(2));
            }
            (slowest, calm.unwrap_or_default())
        });
        let work = watch(&server, || {
            metric(port, "prometheus_tsdb_checkpoint_creations_total") >= 1.0
                || metric(port, "prometheus_tsdb_head_truncations_total") >= 1.0
        });
        done.store(true, Ordering::Relaxed);
        let (slowest, calm) = writer.join().expect("writer panicked");
        (work, slowest, calm)
    });
    println!("head compaction of {series} series, {HEAD_ROUNDS} samples each");
    println!(
        "  {:.2} s by its own metric, {:.2} s until the memory was released",
        metric(port, "prometheus_tsdb_compaction_duration_seconds_sum"),
        work.seconds
    );
    print_memory(&work);
    println!(
        "  slowest write of 100 samples: {:.1} ms during the compaction, {:.1} ms before",
        slowest.as_secs_f64() * 1e3,
        calm.as_secs_f64() * 1e3
    );
    kill(server);
}

/// Writes a sample of each of 100 series. Returns the response time.
fn write_small(connection: &mut Connection, round: usize, start: i64) -> Duration {
    let request = requests(100, |series| time_series(series + 500, round, 100, start));
    let sent_at = Instant::now();
    connection.post(&request[0]);
    sent_at.elapsed()
}

fn print_memory(work: &Work) {
    println!(
        "  resident memory {:.0} -> {:.0} MiB ({:+.1} %), without mapped files \
         {:.0} -> {:.0} MiB ({:+.1} %)",
        work.rss_before / MIB,
        work.rss_peak / MIB,
        (work.rss_peak / work.rss_before - 1.0) * 100.0,
        work.anonymous_before / MIB,
        work.anonymous_peak / MIB,
        (work.anonymous_peak / work.anonymous_before - 1.0) * 100.0,
    );
}

/// Measures a server until `is_done`.
fn watch(server: &Child, mut is_done: impl FnMut() -> bool) -> Work {
    let before = Usage::of(server);
    let start = Instant::now();
    let (mut rss_peak, mut anonymous_peak) = (before.rss, before.anonymous);
    let mut measurements = 0;
    loop {
        let usage = Usage::of(server);
        rss_peak = rss_peak.max(usage.rss);
        anonymous_peak = anonymous_peak.max(usage.anonymous);
        measurements += 1;
        if measurements % 5 == 0 && is_done() {
            return Work {
                seconds: start.elapsed().as_secs_f64(),
                cpu_seconds: usage.cpu_seconds - before.cpu_seconds,
                rss_before: before.rss,
                rss_peak,
                anonymous_before: before.anonymous,
                anonymous_peak,
            };
        }
        assert!(start.elapsed() < Duration::from_secs(900), "work took longer than 900 s");
        thread::sleep(Duration::from_millis(10));
    }
}

fn compare_blocks(plan: &Plan) {
    let rounds = 630 * 4;
    let start = aligned_start(640);
    println!("{} series, {rounds} rounds of 15 s", plan.series);
    let mut bytes = Vec::new();
    let mut directories = Vec::new();
    for target in
        [rig::narthex(ONLY_SMALL_BLOCKS), rig::prometheus(&plan.prometheus, ONLY_SMALL_BLOCKS)]
    {
        let dir = tempfile::tempdir().expect("cannot create temporary directory");
        let port = free_port();
        let mut server = launch(&target, dir.path(), port);
        wait_until_ready(&target, &mut server, port);
        for round in 0..rounds {
            send(
                &[requests(plan.series, |series| time_series(series, round, 15_000, start))],
                1,
                port,
            );
        }
        watch(&server, || blocks(&dir.path().join("data")).len() >= 4);
        kill(server);
        let (size, samples) = blocks(&dir.path().join("data")).iter().take(4).fold(
            (0.0, 0.0),
            |(size, samples), block| {
                (
                    size + disk_usage(block) as f64,
                    samples
                        + meta(block)["stats"]["numSamples"]
                            .as_f64()
                            .expect("value must be a number"),
                )
            },
        );
        println!(
            "  {}: {:.4} bytes per sample in {samples:.0} samples of four blocks",
            target.name,
            size / samples
        );
        bytes.push(size / samples);
        directories.push(dir);
    }
    println!("  ratio {:.4}", bytes[0] / bytes[1]);
    println!("compaction of three of the blocks of Prometheus into one");
    let from = directories[1].path().join("data");
    let works = [rig::narthex(&[]), rig::prometheus(&plan.prometheus, &[])]
        .map(|target| compact_copy(&target, &from));
    println!(
        "  ratio: CPU {:.3}, memory over idle {:.3}",
        works[0].cpu_seconds / works[1].cpu_seconds,
        (works[0].anonymous_peak - works[0].anonymous_before).max(0.0)
            / (works[1].anonymous_peak - works[1].anonymous_before)
    );
}

/// Starts a server on a copy of a directory and waits until it has compacted it.
fn compact_copy(target: &Target<'_>, from: &Path) -> Work {
    let dir = tempfile::tempdir().expect("cannot create temporary directory");
    let data = dir.path().join("data");
    copy(from, &data);
    // Without WAL, WBL and head chunks: only the compaction is measured.
    for dir_name in ["wal", "chunks_head", "wbl"] {
        let _ = fs::remove_dir_all(data.join(dir_name));
    }
    let port = free_port();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    let work = watch(&server, || {
        blocks(&data).iter().any(|block| meta(block)["compaction"]["level"].as_u64() > Some(1))
    });
    println!(
        "  {}: {:.2} s until the block exists, {:.2} CPU s",
        target.name,
        metric(port, "prometheus_tsdb_compaction_duration_seconds_sum"),
        work.cpu_seconds
    );
    print_memory(&work);
    kill(server);
    work
}

fn kill(mut server: Child) {
    server.kill().expect("server must be running");
    server.wait().expect("cannot wait for server");
}

/// Lists the directories of complete blocks, oldest first.
fn blocks(data: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(data).expect("cannot list data directory").flatten().map(|entry| entry.path());
    let mut blocks: Vec<_> = entries
        .filter(|path| path.join("meta.json").exists() && path.extension().is_none())
        .collect();
    blocks.sort_by_key(|block| meta(block)["minTime"].as_i64());
    blocks
}

fn meta(block: &Path) -> serde_json::Value {
    let text = fs::read(block.join("meta.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), target).expect("a copy"),
        }
    }
}
