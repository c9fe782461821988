//! Remote write of the same requests to narthex and then to Prometheus.
//!
//! ```text
//! cargo bench --bench side_by_side -- [--series 100000] [--rounds 60] [--writers 4]
//!     [--prometheus /usr/bin/prometheus]
//! ```
//!
//! Each round sends one sample of every series, 2000 series per request, like Prometheus's sender.
//! CPU time and memory are those of the server as accounted by the kernel, so the cost of the
//! sender does not matter. Finally the server is killed, and the time until it is ready again is
//! measured.
//!
//! Prints a line per figure with both values and their ratio; asserts nothing about them.

mod rig;

use rig::{
    Target, Usage, disk_usage, free_port, launch, requests, send, time_series, wait_until_ready,
};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const SCRAPE_INTERVAL_MS: i64 = 15_000;

/// Options of the command line.
struct Plan {
    series: usize,
    rounds: usize,
    writers: usize,
    prometheus: String,
}

/// Measurements of one server.
struct Figures {
    seconds: f64,
    cpu_seconds: f64,
    first_round_cpu_seconds: f64,
    rss_per_series: f64,
    rss_end: f64,
    disk_bytes: f64,
    ready_seconds: f64,
    ready_cpu_seconds: f64,
}

fn main() {
    let plan = Plan::from_args();
    let start =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("clock must be after 1970").as_millis()
            as i64
            - SCRAPE_INTERVAL_MS * plan.rounds as i64;
    println!("encoding {} rounds of {} series", plan.rounds, plan.series);
    let sample = |round| move |series| time_series(series, round, SCRAPE_INTERVAL_MS, start);
    let rounds: Vec<_> =
        (0..plan.rounds).map(|round| requests(plan.series, sample(round))).collect();
    let (narthex, prometheus) = (rig::narthex(&[]), rig::prometheus(&plan.prometheus, &[]));
    let ours = measure(&narthex, &plan, &rounds);
    let theirs = measure(&prometheus, &plan, &rounds);
    report(&plan, &ours, &theirs);
}

impl Plan {
    fn from_args() -> Self {
        let mut plan = Self {
            series: 100_000,
            rounds: 60,
            writers: 4,
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

fn measure(target: &Target<'_>, plan: &Plan, rounds: &[Vec<Vec<u8>>]) -> Figures {
    let dir = tempfile::tempdir().expect("cannot create temporary directory");
    let port = free_port();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    let idle = Usage::of(&server);
    let started = Instant::now();
    let (first, rest) = rounds.split_at(1);
    send(first, plan.writers, port);
    let after_first = Usage::of(&server);
    send(rest, plan.writers, port);
    let seconds = started.elapsed().as_secs_f64();
    let end = Usage::of(&server);
    let disk_bytes = disk_usage(&dir.path().join("data")) as f64;
    server.kill().expect("server must be running");
    server.wait().expect("cannot wait for server");
    let killed = Instant::now();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    let ready_seconds = killed.elapsed().as_secs_f64();
    let ready_cpu_seconds = Usage::of(&server).cpu_seconds;
    server.kill().expect("server must be running");
    server.wait().expect("cannot wait for server");
    println!("{}: done", target.name);
    Figures {
        seconds,
        cpu_seconds: end.cpu_seconds - after_first.cpu_seconds,
        first_round_cpu_seconds: after_first.cpu_seconds - idle.cpu_seconds,
        rss_per_series: (end.rss - idle.rss) / plan.series as f64,
        rss_end: end.rss,
        disk_bytes,
        ready_seconds,
        ready_cpu_seconds,
    }
}

fn report(plan: &Plan, ours: &Figures, theirs: &Figures) {
    let samples = (plan.series * plan.rounds) as f64;
    let steady = (plan.series * (plan.rounds - 1)).max(1) as f64;
    println!("{} series, {} rounds, {} writers", plan.series, plan.rounds, plan.writers);
    println!("{:<48}{:>14}{:>14}{:>12}", "", "narthex", "prometheus", "ratio");
    let line = |name: &str, figure: &dyn Fn(&Figures) -> f64| {
        let (a, b) = (figure(ours), figure(theirs));
        println!("{name:<48}{a:>14.3}{b:>14.3}{:>12.3}", a / b);
    };
    line("samples per second, sender included", &|f| samples / f.seconds);
    line("CPU seconds per million samples, series known", &|f| f.cpu_seconds / steady * 1e6);
    line("CPU seconds per million series created", &|f| {
        f.first_round_cpu_seconds / plan.series as f64 * 1e6
    });
    line("bytes of memory per series over idle", &|f| f.rss_per_series);
    line("resident memory at the end, MiB", &|f| f.rss_end / 1_048_576.0);
    line("bytes on disk per sample", &|f| f.disk_bytes / samples);
    line("seconds to ready after kill -9", &|f| f.ready_seconds);
    line("CPU seconds to ready after kill -9", &|f| f.ready_cpu_seconds);
}
