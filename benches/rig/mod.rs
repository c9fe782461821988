//! Shared by the benchmarks against other programs: server processes, write requests, and resource
//! usage from the kernel.

#![allow(dead_code, reason = "each benchmark uses a part of this module")]

pub(crate) mod series;

use prost::Message;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Series per request, the default of Prometheus's sender.
pub(crate) const SERIES_PER_REQUEST: usize = 2000;
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

/// Message `prometheus.Histogram` with integer counts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) count: Option<u64>,
    #[prost(double, tag = "3")]
    pub(crate) sum: f64,
    #[prost(sint32, tag = "4")]
    pub(crate) schema: i32,
    #[prost(double, tag = "5")]
    pub(crate) zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) zero_count: Option<u64>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub(crate) positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Sample {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

/// Builds the command of a server from its working directory and port.
pub(crate) type Launcher<'a> = Box<dyn Fn(&Path, u16) -> Command + 'a>;

/// Program to measure, and its command.
pub(crate) struct Target<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: Launcher<'a>,
}

/// Returns compressed requests with one sample of every series.
pub(crate) fn requests(series: usize, sample: impl Fn(usize) -> TimeSeries) -> Vec<Vec<u8>> {
    let mut encoder = snap::raw::Encoder::new();
    (0..series)
        .collect::<Vec<_>>()
        .chunks(SERIES_PER_REQUEST)
        .map(|chunk| {
            let timeseries = chunk.iter().map(|series| sample(*series)).collect();
            encoder
                .compress_vec(&WriteRequest { timeseries }.encode_to_vec())
                .expect("a request under 4 GiB")
        })
        .collect()
}

/// Returns a series like those of node exporters on many hosts: ten labels, a counter with uneven
/// steps.
pub(crate) fn time_series(series: usize, round: usize, interval_ms: i64, start: i64) -> TimeSeries {
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
    let labels =
        labels.into_iter().map(|(name, value)| Label { name: name.into(), value }).collect();
    let samples = vec![sample(series, round, interval_ms, start)];
    TimeSeries { labels, samples, histograms: Vec::new() }
}

/// Returns the sample of [`time_series`].
pub(crate) fn sample(series: usize, round: usize, interval_ms: i64, start: i64) -> Sample {
    let mut mixed = (series as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (round as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^= mixed >> 29;
    let value = (round as u64 * 1000 + mixed % 700) as f64;
    Sample { value, timestamp: start + interval_ms * round as i64 + (series % 997) as i64 }
}

/// Returns narthex with the given flags.
pub(crate) fn narthex<'a>(flags: &'a [&'a str]) -> Target<'a> {
    let command = move |dir: &Path, port: u16| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_narthex"));
        command.arg("serve").arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .args(flags);
        command
    };
    Target { name: "narthex", command: Box::new(command) }
}

/// Returns Prometheus with the given flags as a remote write receiver.
pub(crate) fn prometheus<'a>(program: &'a str, flags: &'a [&'a str]) -> Target<'a> {
    let command = move |dir: &Path, port: u16| {
        fs::write(dir.join("prometheus.yml"), "").expect("a configuration file");
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-remote-write-receiver");
        command.arg("--log.level=error").args(flags);
        command
    };
    Target { name: "prometheus", command: Box::new(command) }
}

pub(crate) fn launch(target: &Target<'_>, dir: &Path, port: u16) -> Child {
    let mut command = (target.command)(dir, port);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", target.name))
}

pub(crate) fn wait_until_ready(target: &Target<'_>, server: &mut Child, port: u16) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while Instant::now() < deadline {
        assert!(
            server.try_wait().expect("a child").is_none(),
            "{} exited before it was ready",
            target.name
        );
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let request = "GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let mut response = String::new();
            let result = stream
                .write_all(request.as_bytes())
                .and_then(|()| stream.read_to_string(&mut response));
            if result.is_ok() && response.starts_with("HTTP/1.1 200") {
                return;
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{} was not ready in time", target.name);
}

/// Sends the rounds in order. All writers share the requests of a round; each has its own
/// connection.
pub(crate) fn send(rounds: &[Vec<Vec<u8>>], writers: usize, port: u16) {
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

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("cannot connect to server");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn post(&mut self, body: &[u8]) {
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
             X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request).expect("cannot send request");
        let mut status = String::new();
        self.stream.read_line(&mut status).expect("cannot read response");
        assert!(status.starts_with("HTTP/1.1 204"), "unexpected status {status:?}");
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).expect("cannot read response");
        }
    }
}

/// Resource usage of a process from `/proc`, memory in bytes.
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    /// Resident memory, including mapped files.
    pub(crate) rss: f64,
    /// Resident memory without mapped files.
    pub(crate) anonymous: f64,
}

impl Usage {
    pub(crate) fn of(process: &Child) -> Self {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("a running process");
        let fields: Vec<&str> =
            stat.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
        let number = |i: usize| fields[i].parse::<f64>().expect("value must be a number");
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()))
            .expect("a running process");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .expect("a count of anonymous memory");
        let anonymous =
            line.trim().trim_end_matches(" kB").parse::<f64>().expect("value must be a number")
                * 1024.0;
        Self {
            cpu_seconds: (number(11) + number(12)) / TICKS_PER_SECOND,
            rss: number(21) * 4096.0,
            anonymous,
        }
    }
}

/// Returns the value of a metric without labels, or 0 if it is absent.
pub(crate) fn metric(port: u16, name: &str) -> f64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("cannot connect to server");
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut response = String::new();
    stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_to_string(&mut response))
        .expect("cannot read response");
    let line = response.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.trim().parse().expect("value must be a number"))
}

pub(crate) fn disk_usage(path: &Path) -> u64 {
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

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
