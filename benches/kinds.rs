//! What late samples and native histograms cost, beside floats in order: CPU per sample and bytes per sample in blocks.
//!
//! ```text
//! cargo bench --bench kinds -- [--series 20000] [--rounds 100] [--writers 2] [--prometheus /usr/bin/prometheus]
//! ```
//!
//! Three times the same series at three minutes: all in order; a tenth of the samples an hour late; a fifth of the series native histograms of
//! twenty buckets. The CPU time is that of the whole process, blocks included. The same goes to a Prometheus, with an out-of-order window
//! and native histograms switched on.
//!
//! Prints figures; asserts nothing about them.

mod rig;

use rig::{
    BucketSpan, Histogram, Target, TimeSeries, Usage, disk_usage, free_port, launch, requests,
    send, time_series, wait_until_ready,
};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const INTERVAL_MS: i64 = 180_000;
/// How many rounds a late sample is late.
const LATE_ROUNDS: usize = 20;
const BUCKETS: u64 = 20;
const WINDOW: &str = "storage:\n  tsdb:\n    out_of_order_time_window: 2h\n";

/// What the command line asks for.
struct Plan {
    series: usize,
    rounds: usize,
    writers: usize,
    prometheus: String,
}

/// What is sent.
#[derive(Clone, Copy, PartialEq)]
enum Mix {
    InOrder,
    Late,
    Histograms,
}

/// What was measured of one server with one mix.
struct Figures {
    cpu_seconds: f64,
    rss: f64,
    block_bytes: f64,
    block_samples: f64,
}

fn main() {
    let plan = Plan::from_args();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis()
        as i64;
    let start = (now - INTERVAL_MS * plan.rounds as i64) / 7_200_000 * 7_200_000 - 7_200_000;
    println!("{} series, {} rounds, {} writers", plan.series, plan.rounds, plan.writers);
    println!("{:<34}{:>14}{:>14}{:>12}", "", "narthex", "prometheus", "ratio");
    for (name, mix) in [
        ("in order", Mix::InOrder),
        ("10 % an hour late", Mix::Late),
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
            let value = args.next().unwrap_or_else(|| panic!("{flag} wants a value"));
            match flag.as_str() {
                "--series" => plan.series = value.parse().expect("a number"),
                "--rounds" => plan.rounds = value.parse().expect("a number"),
                "--writers" => plan.writers = value.parse().expect("a number"),
                "--prometheus" => plan.prometheus = value,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

/// The same server, with a configuration file that sets the window.
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
    let is_late = |series: usize, round: usize| {
        mix == Mix::Late
            && (series + round).is_multiple_of(10)
            && round + LATE_ROUNDS < plan.rounds
            && round > 0
    };
    let make = |round: usize| {
        move |series: usize| -> TimeSeries {
            let mut one = sample(series, round);
            if mix == Mix::Histograms && series.is_multiple_of(5) {
                one.histograms = one
                    .samples
                    .drain(..)
                    .map(|sample| histogram(sample.timestamp, round))
                    .collect();
            }
            if is_late(series, round) {
                one.samples.clear();
            }
            if round >= LATE_ROUNDS && is_late(series, round - LATE_ROUNDS) {
                one.samples.extend(sample(series, round - LATE_ROUNDS).samples);
            }
            one
        }
    };
    (0..plan.rounds).map(|round| requests(plan.series, make(round))).collect()
}

/// A counter whose buckets all grow.
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
    let dir = tempfile::tempdir().expect("a temporary directory");
    let port = free_port();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    let idle = Usage::of(&server);
    send(rounds, plan.writers, port);
    wait_until_blocks_rest(&dir.path().join("data"));
    let end = Usage::of(&server);
    server.kill().expect("the server runs");
    server.wait().expect("the server ends");
    let mut figures = Figures {
        cpu_seconds: end.cpu_seconds - idle.cpu_seconds,
        rss: end.rss,
        block_bytes: 0.0,
        block_samples: 0.0,
    };
    for block in blocks(&dir.path().join("data")) {
        figures.block_bytes += disk_usage(&block) as f64;
        let meta = fs::read_to_string(block.join("meta.json")).expect("a block has a meta.json");
        let meta: serde_json::Value = serde_json::from_str(&meta).expect("it is JSON");
        figures.block_samples += meta["stats"]["numSamples"].as_f64().unwrap_or_default();
    }
    figures
}

/// The folders of whole blocks.
fn blocks(data: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(data).expect("the data directory is there").flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.join("meta.json").exists() && path.extension().is_none())
        .collect()
}

/// Returns when there are blocks and they have been the same for a while.
fn wait_until_blocks_rest(data: &Path) {
    let begun = Instant::now();
    let (mut before, mut since) = (Vec::new(), Instant::now());
    while begun.elapsed() < Duration::from_secs(240) {
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
