//! Scrapes of the same targets by narthex and by Prometheus, at the same time.
//!
//! ```text
//! cargo bench --bench scrape -- [--targets 5000] [--series 200] [--interval 10]
//!     [--minutes 10] [--prometheus /usr/bin/prometheus]
//! ```
//!
//! Each target is an address of the loopback network with a connection of its own, as in a real
//! network. A response has counters of a node exporter, in the text format. CPU time and memory are
//! those of the servers as accounted by the kernel. The first quarter of the time, in which series
//! are created, is not measured. The benchmark needs two open files per target.
//!
//! Prints a line per figure with both values and their ratio; asserts nothing about them.

mod rig;

use rig::{Target, Usage, disk_usage, free_port, launch, metric, wait_until_ready};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Options of the command line.
struct Plan {
    targets: usize,
    series: usize,
    interval_seconds: u64,
    minutes: f64,
    prometheus: String,
}

/// Resource usage at some points of the run.
struct Figures {
    cpu_seconds: f64,
    rss_middle: f64,
    rss_end: f64,
    anonymous_end: f64,
    disk_bytes: f64,
    samples: f64,
}

struct Running<'a> {
    target: &'a Target<'a>,
    server: Child,
    port: u16,
    dir: tempfile::TempDir,
    points: Vec<(Usage, f64)>,
}

fn main() {
    let plan = Plan::from_args();
    let runtime = Runtime::new().expect("a runtime");
    let port = free_port();
    let requests = Arc::new(AtomicU64::new(0));
    runtime.block_on(serve_targets(port, plan.series, Arc::clone(&requests)));
    let config = configuration(&plan, port);
    let narthex = program("narthex", env!("CARGO_BIN_EXE_narthex"), &["serve"], &config);
    let prometheus = program("prometheus", &plan.prometheus, &[], &config);
    let mut running = [&narthex, &prometheus].map(start);
    let quarter = Duration::from_secs_f64(plan.minutes * 15.0);
    for _ in 0..4 {
        std::thread::sleep(quarter);
        for one in &mut running {
            let samples = metric(one.port, "prometheus_tsdb_head_samples_appended_total")
                + typed_samples(one.port);
            one.points.push((Usage::of(&one.server), samples));
        }
    }
    let missed = metric(running[0].port, "narthex_scrape_missed_ticks_total");
    let mut figures = running.into_iter().map(stop);
    let ours = figures.next().expect("narthex");
    let theirs = figures.next().expect("prometheus");
    let sent = requests.load(Ordering::Relaxed);
    report(&plan, &ours, &theirs, missed, sent);
}

impl Plan {
    fn from_args() -> Self {
        let mut plan = Self {
            targets: 5000,
            series: 200,
            interval_seconds: 10,
            minutes: 10.0,
            prometheus: "/usr/bin/prometheus".into(),
        };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            let number = || value.parse().expect("value must be a number");
            match flag.as_str() {
                "--targets" => plan.targets = number(),
                "--series" => plan.series = number(),
                "--interval" => plan.interval_seconds = number() as u64,
                "--minutes" => plan.minutes = value.parse().expect("value must be a number"),
                "--prometheus" => plan.prometheus = value,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

/// Serves all targets: every loopback address has this port.
async fn serve_targets(port: u16, series: usize, requests: Arc<AtomicU64>) {
    let listener = TcpListener::bind(("0.0.0.0", port)).await.expect("a free port");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve_target(stream, series, Arc::clone(&requests)));
        }
    });
}

/// Responds to requests of a connection until it ends.
async fn serve_target(mut stream: TcpStream, series: usize, requests: Arc<AtomicU64>) {
    let mut request = Vec::new();
    let (mut response, mut body) = (String::new(), String::new());
    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        request.clear();
        let scrape = requests.fetch_add(1, Ordering::Relaxed);
        write_body(&mut body, series, scrape);
        response.clear();
        let _ = write!(
            response,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn write_body(body: &mut String, series: usize, scrape: u64) {
    body.clear();
    for metric in 0..series.div_ceil(10) {
        let _ = writeln!(body, "# HELP node_subsystem_metric_{metric}_total Events by cpu.");
        let _ = writeln!(body, "# TYPE node_subsystem_metric_{metric}_total counter");
        for cpu in 0..10.min(series - metric * 10) {
            let mode = ["idle", "user", "system", "iowait"][cpu % 4];
            let value = scrape * 10 + (scrape * 7 + cpu as u64 * 13) % 29;
            let _ = writeln!(
                body,
                "node_subsystem_metric_{metric}_total{{cpu=\"{cpu}\",mode=\"{mode}\",\
                 namespace=\"monitoring\"}} {value}"
            );
        }
    }
}

fn configuration(plan: &Plan, port: u16) -> String {
    let interval = plan.interval_seconds;
    let mut text = format!(
        "global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}\n\
         scrape_configs:\n- job_name: bench\n  static_configs:\n  - targets:\n"
    );
    for target in 0..plan.targets {
        let (third, fourth) = (target / 250, target % 250 + 1);
        let _ = writeln!(text, "    - 127.1.{third}.{fourth}:{port}");
    }
    text
}

fn program<'a>(
    name: &'a str,
    path: &'a str,
    arguments: &'a [&'a str],
    config: &'a str,
) -> Target<'a> {
    let command = move |dir: &Path, port: u16| {
        let file = dir.join("scrape.yml");
        fs::write(&file, config).expect("a configuration file");
        let mut command = Command::new(path);
        command
            .args(arguments)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error");
        command
    };
    Target { name, command: Box::new(command) }
}

fn start<'a>(target: &'a Target<'a>) -> Running<'a> {
    let dir = tempfile::tempdir().expect("cannot create temporary directory");
    let port = free_port();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    Running { target, server, port, dir, points: Vec::new() }
}

/// Appended samples by type, as newer versions count them.
fn typed_samples(port: u16) -> f64 {
    metric(port, "prometheus_tsdb_head_samples_appended_total{type=\"float\"}")
}

fn stop(mut running: Running<'_>) -> Figures {
    let disk_bytes = disk_usage(&running.dir.path().join("data")) as f64;
    running.server.kill().expect("server must be running");
    running.server.wait().expect("cannot wait for server");
    println!("{}: done", running.target.name);
    let [(start, before), (middle, _), _, (end, after)] =
        <[_; 4]>::try_from(running.points).ok().expect("four points");
    Figures {
        cpu_seconds: end.cpu_seconds - start.cpu_seconds,
        rss_middle: middle.rss,
        rss_end: end.rss,
        anonymous_end: end.anonymous,
        disk_bytes,
        samples: after - before,
    }
}

fn report(plan: &Plan, ours: &Figures, theirs: &Figures, missed: f64, requests: u64) {
    println!(
        "{} targets with {} series every {} s for {} min: {requests} requests, {missed} missed \
         ticks of narthex",
        plan.targets, plan.series, plan.interval_seconds, plan.minutes
    );
    println!("{:38} {:>12} {:>12} {:>7}", "", "narthex", "prometheus", "ratio");
    let line = |name: &str, figure: &dyn Fn(&Figures) -> f64| {
        let (a, b) = (figure(ours), figure(theirs));
        println!("{name:38} {a:12.3} {b:12.3} {:7.3}", a / b);
    };
    line("samples, millions", &|figures| figures.samples / 1e6);
    line("CPU seconds per million samples", &|figures| figures.cpu_seconds / figures.samples * 1e6);
    line("CPU seconds", &|figures| figures.cpu_seconds);
    line("RSS at the end, MiB", &|figures| figures.rss_end / f64::from(1 << 20));
    line("memory without files, MiB", &|figures| figures.anonymous_end / f64::from(1 << 20));
    line("RSS growth in the second half", &|figures| figures.rss_end / figures.rss_middle - 1.0);
    line("data directory, MiB", &|figures| figures.disk_bytes / f64::from(1 << 20));
}
