//! The same remote-write requests sent to narthex and to a Prometheus, one after the other in one run.
//!
//! ```text
//! cargo bench --bench side_by_side -- [--series 100000] [--rounds 60] [--writers 4] [--prometheus /usr/bin/prometheus]
//! ```
//!
//! Each round sends one sample of every series, 2000 series a request, as Prometheus's own sender does. What counts is the
//! server's CPU time and memory as the kernel accounts for them, so the cost of the sender does not matter. Afterwards the
//! server is killed and the time until it is ready again is taken.
//!
//! Prints one line per figure with both values and their ratio; asserts nothing about them.

use prost::Message;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SERIES_PER_REQUEST: usize = 2000;
const SCRAPE_INTERVAL_MS: i64 = 15_000;
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// What the command line asks for.
struct Plan {
    series: usize,
    rounds: usize,
    writers: usize,
    prometheus: String,
}

/// How a server is started: its working directory and port.
type Launcher<'a> = Box<dyn Fn(&Path, u16) -> Command + 'a>;

/// A server under test.
struct Target<'a> {
    name: &'a str,
    command: Launcher<'a>,
}

/// What was measured of one server.
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
    let start = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as i64
        - SCRAPE_INTERVAL_MS * plan.rounds as i64;
    println!("encoding {} rounds of {} series", plan.rounds, plan.series);
    let rounds: Vec<Vec<Vec<u8>>> = (0..plan.rounds).map(|round| requests(&plan, start, round)).collect();
    let narthex = Target {
        name: "narthex",
        command: Box::new(|dir, port| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_narthex"));
            command.arg("serve").arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=warn");
            command
        }),
    };
    let prometheus = Target {
        name: "prometheus",
        command: Box::new(|dir, port| {
            fs::write(dir.join("prometheus.yml"), "").expect("a configuration file");
            let mut command = Command::new(&plan.prometheus);
            command.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
            command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--web.enable-remote-write-receiver");
            command.arg("--log.level=error");
            command
        }),
    };
    let ours = measure(&narthex, &plan, &rounds);
    let theirs = measure(&prometheus, &plan, &rounds);
    report(&plan, &ours, &theirs);
}

impl Plan {
    fn from_args() -> Self {
        let mut plan = Self { series: 100_000, rounds: 60, writers: 4, prometheus: "/usr/bin/prometheus".into() };
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

fn requests(plan: &Plan, start: i64, round: usize) -> Vec<Vec<u8>> {
    let mut encoder = snap::raw::Encoder::new();
    (0..plan.series)
        .collect::<Vec<_>>()
        .chunks(SERIES_PER_REQUEST)
        .map(|chunk| {
            let timeseries = chunk.iter().map(|series| time_series(*series, start, round)).collect();
            encoder.compress_vec(&WriteRequest { timeseries }.encode_to_vec()).expect("a request under 4 GiB")
        })
        .collect()
}

/// A series as an exporter on one of many hosts has it: ten labels, a counter with uneven steps.
fn time_series(series: usize, start: i64, round: usize) -> TimeSeries {
    let (metric, host) = (series % 500, series / 500);
    let labels = [
        ("__name__", format!("node_subsystem_metric_{metric}_total")),
        ("cluster", "production-eu-west-1".into()),
        ("cpu", format!("{}", metric % 16)),
        ("env", "production".into()),
        ("instance", format!("host-{host:05}.example.internal:9100")),
        ("job", "node-exporter".into()),
        ("mode", ["idle", "user", "system", "iowait"][metric % 4].into()),
        ("namespace", "monitoring".into()),
        ("pod", format!("node-exporter-{host:05x}")),
        ("region", "eu-west-1".into()),
    ];
    let labels = labels.into_iter().map(|(name, value)| Label { name: name.into(), value }).collect();
    let mut mixed =
        (series as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (round as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^= mixed >> 29;
    let value = (round as u64 * 1000 + mixed % 700) as f64;
    let timestamp = start + SCRAPE_INTERVAL_MS * round as i64 + (series % 997) as i64;
    TimeSeries { labels, samples: vec![Sample { value, timestamp }] }
}

fn measure(target: &Target<'_>, plan: &Plan, rounds: &[Vec<Vec<u8>>]) -> Figures {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let port = free_port();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    let idle = Usage::of(&server);
    let begun = Instant::now();
    let (first, rest) = rounds.split_at(1);
    send(first, plan.writers, port);
    let after_first = Usage::of(&server);
    send(rest, plan.writers, port);
    let seconds = begun.elapsed().as_secs_f64();
    let end = Usage::of(&server);
    let disk_bytes = disk_usage(&dir.path().join("data")) as f64;
    server.kill().expect("the server runs");
    server.wait().expect("the server ends");
    let killed = Instant::now();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    let ready_seconds = killed.elapsed().as_secs_f64();
    let ready_cpu_seconds = Usage::of(&server).cpu_seconds;
    server.kill().expect("the server runs");
    server.wait().expect("the server ends");
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

fn launch(target: &Target<'_>, dir: &Path, port: u16) -> Child {
    let mut command = (target.command)(dir, port);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap_or_else(|e| panic!("{}: {e}", target.name))
}

fn wait_until_ready(target: &Target<'_>, server: &mut Child, port: u16) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while Instant::now() < deadline {
        assert!(server.try_wait().expect("a child").is_none(), "{} ended before it was ready", target.name);
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let request = "GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let mut answer = String::new();
            let asked = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
            if asked.is_ok() && answer.starts_with("HTTP/1.1 200") {
                return;
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{} was not ready in time", target.name);
}

/// Sends round after round; a round's requests are shared by all writers, each on a connection of its own.
fn send(rounds: &[Vec<Vec<u8>>], writers: usize, port: u16) {
    for round in rounds {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..writers {
                scope.spawn(|| {
                    let mut connection = Connection::open(port);
                    while let Some(body) = round.get(next.fetch_add(1, Ordering::Relaxed)) {
                        connection.post(body);
                    }
                });
            }
        });
    }
}

struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream: BufReader::new(stream) }
    }

    fn post(&mut self, body: &[u8]) {
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n\
             Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request).expect("the server reads");
        let mut status = String::new();
        self.stream.read_line(&mut status).expect("the server answers");
        assert!(status.starts_with("HTTP/1.1 204"), "answered {status:?}");
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).expect("the server answers");
        }
    }
}

/// What a process has used, as `/proc` tells.
struct Usage {
    cpu_seconds: f64,
    rss: f64,
}

impl Usage {
    fn of(process: &Child) -> Self {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("a running process");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
        let number = |i: usize| fields[i].parse::<f64>().expect("a number");
        Self { cpu_seconds: (number(11) + number(12)) / TICKS_PER_SECOND, rss: number(21) * 4096.0 }
    }
}

fn disk_usage(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_usage(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
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
    line("CPU seconds per million series created", &|f| f.first_round_cpu_seconds / plan.series as f64 * 1e6);
    line("bytes of memory per series over idle", &|f| f.rss_per_series);
    line("resident memory at the end, MiB", &|f| f.rss_end / 1_048_576.0);
    line("bytes on disk per sample", &|f| f.disk_bytes / samples);
    line("seconds to ready after kill -9", &|f| f.ready_seconds);
    line("CPU seconds to ready after kill -9", &|f| f.ready_cpu_seconds);
}
