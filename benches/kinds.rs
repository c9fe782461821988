//! Cost of out-of-order samples and native histograms compared with in-order floats: CPU time per
//! sample and bytes per sample in blocks.
//!
//! ```text
//! cargo bench --bench kinds -- [--series 20000] [--rounds 100] [--writers 2] [--prometheus PATH]
//! ```
//!
//! Three runs with the same series at an interval of three minutes: all samples in order; 10 % of
//! the samples out of order by an hour; 20 % of the series native histograms of 20 buckets. CPU
//! time is that of the whole process, including compaction. Prometheus gets the same data, with an
//! out-of-order window and native histograms enabled. Prints figures and asserts nothing about
//! them.

mod rig;

use rig::{
    BucketSpan, Histogram, Target, TimeSeries, Usage, disk_usage, free_port, launch, requests,
    send, time_series, wait_until_ready,
};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const INTERVAL_MS: i64 = 180_000;
/// Delay of an out-of-order sample, rounds.
const OOO_ROUNDS: usize = 20;
const BUCKETS: u64 = 20;
const WINDOW: &str = "storage:\n  tsdb:\n    out_of_order_time_window: 2h\n";

/// Options of the command line.
struct Plan {
    series: usize,
    rounds: usize,
    writers: usize,
    prometheus: String,
}

/// Composition of the data.
#[derive(Clone, Copy, PartialEq)]
enum Mix {
    InOrder,
    OutOfOrder,
    Histograms,
}

/// Measurements of result server with result mix.
struct Figures {
    cpu_seconds: f64,
    rss: f64,
    block_bytes: f64,
    block_samples: f64,
}

fn main() {
    let plan = Plan::from_args();
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("clock must be after 1970").as_millis()
            as i64;
    let start = (now - INTERVAL_MS * plan.rounds as i64) / 7_200_000 * 7_200_000 - 7_200_000;
    println!("{} series, {} rounds, {} writers", plan.series, plan.rounds, plan.writers);
    println!("{:<34}{:>14}{:>14}{:>12}", "", "narthex", "prometheus", "ratio");
    for (name, mix) in [
        ("in order", Mix::InOrder),
        ("10 % out of order by an hour", Mix::OutOfOrder),
        ("20 % histograms", Mix::Histograms),
    ] {
        let rounds = rounds(&plan, mix, start);
        let ours = measure(&with_window(rig::narthex(&[])), &plan, &rounds);
        let flags = ["--enable-feature=native-histograms", "--storage.tsdb.retention.time=100y"];
        let theirs =
            measure(&with_window(rig::prometheus(&plan.prometheus, &flags)), &plan, &rounds);
        let samples = (plan.series * plan.rounds) as f64;
        let line = |what: &str, figure: &dyn Fn(&Figures) -> f64| {
            let (a, b) = (figure(&ours), figure(&theirs));
            println!("{:<34}{a:>14.3}{b:>14.3}{:>12.3}", format!("{name}: {what}"), a / b);
        };
        line("CPU s per M samples", &|f| f.cpu_seconds / samples * 1e6);
        line("bytes per sample", &|f| f.block_bytes / f.block_samples);
        line("M samples in blocks", &|f| f.block_samples / 1e6);
        line("resident MiB", &|f| f.rss / 1_048_576.0);
    }
}

impl Plan {
    fn from_args() -> Self {
        let mut plan = Self {
            series: 20_000,
            rounds: 100,
            writers: 2,
            prometheus: "/usr/bin/prometheus".into(),
        };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            match flag.as_str() {
                "--series" => plan.series = value.parse().expect("value must be a number"),
                "--rounds" => plan.rounds = value.parse().expect("value must be a number"),
                "--writers" => plan.writers = value.parse().expect("value must be a number"),
                "--prometheus" => plan.prometheus = value,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

/// Adds a configuration file that sets the out-of-order window.
fn with_window(target: Target<'_>) -> Target<'_> {
    let Target { name, command } = target;
    let command = move |dir: &Path, port: u16| {
        let mut command = command(dir, port);
        let file = dir.join("prometheus.yml");
        fs::write(&file, WINDOW).expect("a configuration file");
        if name == "narthex" {
            command.arg(format!("--config.file={}", file.display()));
        }
        command
    };
    Target { name, command: Box::new(command) }
}

fn rounds(plan: &Plan, mix: Mix, start: i64) -> Vec<Vec<Vec<u8>>> {
    let sample = |series: usize, round: usize| time_series(series, round, INTERVAL_MS, start);
    let is_ooo = |series: usize, round: usize| {
        mix == Mix::OutOfOrder
            && (series + round).is_multiple_of(10)
            && round + OOO_ROUNDS < plan.rounds
            && round > 0
    };
    let series_of = |round: usize| {
        move |series: usize| -> TimeSeries {
            let mut result = sample(series, round);
            if mix == Mix::Histograms && series.is_multiple_of(5) {
                result.histograms = result
                    .samples
                    .drain(..)
                    .map(|sample| histogram(sample.timestamp, round))
                    .collect();
            }
            if is_ooo(series, round) {
                result.samples.clear();
            }
            if round >= OOO_ROUNDS && is_ooo(series, round - OOO_ROUNDS) {
                result.samples.extend(sample(series, round - OOO_ROUNDS).samples);
            }
            result
        }
    };
    (0..plan.rounds).map(|round| requests(plan.series, series_of(round))).collect()
}

/// Returns a counter histogram whose buckets all grow.
fn histogram(timestamp: i64, round: usize) -> Histogram {
    let counts: Vec<u64> =
        (0..BUCKETS).map(|bucket| round as u64 * (bucket + 3) + bucket * 7 % 5).collect();
    let before = std::iter::once(&0).chain(&counts);
    Histogram {
        count: Some(counts.iter().sum()),
        sum: round as f64 * 12.5,
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: Some(0),
        positive_spans: vec![BucketSpan { offset: -5, length: BUCKETS as u32 }],
        positive_deltas: counts
            .iter()
            .zip(before)
            .map(|(count, before)| *count as i64 - *before as i64)
            .collect(),
        timestamp,
    }
}

fn measure(target: &Target<'_>, plan: &Plan, rounds: &[Vec<Vec<u8>>]) -> Figures {
    let dir = tempfile::tempdir().expect("cannot create temporary directory");
    let port = free_port();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    let idle = Usage::of(&server);
    send(rounds, plan.writers, port);
    wait_for_stable_blocks(&dir.path().join("data"));
    let end = Usage::of(&server);
    server.kill().expect("server must be running");
    server.wait().expect("cannot wait for server");
    let mut figures = Figures {
        cpu_seconds: end.cpu_seconds - idle.cpu_seconds,
        rss: end.rss,
        block_bytes: 0.0,
        block_samples: 0.0,
    };
    for block in blocks(&dir.path().join("data")) {
        figures.block_bytes += disk_usage(&block) as f64;
        let meta = fs::read_to_string(block.join("meta.json")).expect("cannot read meta.json");
        let meta: serde_json::Value = serde_json::from_str(&meta).expect("meta.json must be JSON");
        figures.block_samples += meta["stats"]["numSamples"].as_f64().unwrap_or_default();
    }
    figures
}

/// Lists the directories of complete blocks.
fn blocks(data: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(data).expect("cannot list data directory").flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.join("meta.json").exists() && path.extension().is_none())
        .collect()
}

/// Waits until there are blocks and their list is unchanged for 20 s, at most 240 s.
fn wait_for_stable_blocks(data: &Path) {
    let start = Instant::now();
    let (mut before, mut since) = (Vec::new(), Instant::now());
    while start.elapsed() < Duration::from_secs(240) {
        let mut now = blocks(data);
        now.sort();
        if now != before {
            (before, since) = (now, Instant::now());
        } else if !before.is_empty() && since.elapsed() > Duration::from_secs(20) {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
