//! Cost of a large streamed remote read: throughput, memory and CPU time of the server.
//!
//! ```text
//! cargo bench --bench streamed_read -- [--series 6000] [--samples 100] [--rounds 12]
//!     [--response-mib 1024] [--prometheus /usr/bin/prometheus]
//! ```
//!
//! Both programs get the same samples with random values, about nine bytes each. One request then
//! queries everything as often as needed for a response of the given size, which the client
//! discards. Memory is anonymous memory, sampled every few milliseconds: the kernel can drop pages
//! of mapped files. Prints figures and asserts only that the response is complete.

mod rig;

use prost::Message;
use rig::{
    Label, Sample, Target, TimeSeries, Usage, free_port, launch, requests, send, wait_until_ready,
};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const MIB: f64 = 1_048_576.0;
const INTERVAL_MS: i64 = 1000;
/// Interval between two measurements of memory.
const MEMORY_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
    #[prost(int32, repeated, tag = "2")]
    accepted_response_types: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start: i64,
    #[prost(int64, tag = "2")]
    end: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<Matcher>,
}

#[derive(Clone, PartialEq, Message)]
struct Matcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

/// Options of the command line.
struct Plan {
    series: usize,
    /// Samples per series in one request.
    samples: usize,
    /// Number of requests per series.
    rounds: usize,
    response_mib: usize,
    prometheus: String,
}

fn main() {
    let plan = Plan::from_args();
    let length = INTERVAL_MS * (plan.samples * plan.rounds) as i64;
    let start =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("clock must be after 1970").as_millis()
            as i64
            - length;
    println!("{} series of {} samples", plan.series, plan.samples * plan.rounds);
    let flags = ["--web.read-timeout=1h", "--storage.remote.write-max-body-size=256MB"];
    let targets = [rig::narthex(&flags), rig::prometheus(&plan.prometheus, &[])];
    for target in
        targets.iter().filter(|target| target.name == "narthex" || !plan.prometheus.is_empty())
    {
        measure(target, &plan, start);
    }
}

impl Plan {
    fn from_args() -> Self {
        let mut plan = Self {
            series: 6000,
            samples: 100,
            rounds: 12,
            response_mib: 1024,
            prometheus: String::new(),
        };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            match flag.as_str() {
                "--series" => plan.series = value.parse().expect("value must be a number"),
                "--samples" => plan.samples = value.parse().expect("value must be a number"),
                "--rounds" => plan.rounds = value.parse().expect("value must be a number"),
                "--response-mib" => {
                    plan.response_mib = value.parse().expect("value must be a number")
                }
                "--prometheus" => plan.prometheus = value,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

fn measure(target: &Target<'_>, plan: &Plan, start: i64) {
    let dir = tempfile::tempdir().expect("cannot create temporary directory");
    let port = free_port();
    let mut server = launch(target, dir.path(), port);
    wait_until_ready(target, &mut server, port);
    for round in 0..plan.rounds {
        let samples = round * plan.samples..(round + 1) * plan.samples;
        send(&[requests(plan.series, |series| part(series, samples.clone(), start))], 2, port);
    }
    let idle = Usage::of(&server).anonymous;
    let one = read(&server, port, 1);
    let queries = (plan.response_mib as f64 * MIB / one.bytes).ceil().max(1.0) as usize;
    let read = read(&server, port, queries);
    let growth = (one.anonymous_peak.max(read.anonymous_peak) - idle) / MIB;
    println!(
        "{}: {:.0} MiB in {:.2} s: {:.0} MB/s; CPU {:.2} s; memory {:.1} MiB when idle, \
         at most {growth:.1} MiB more",
        target.name,
        read.bytes / MIB,
        read.seconds,
        read.bytes / 1e6 / read.seconds,
        read.cpu_seconds,
        idle / MIB,
    );
    server.kill().expect("cannot kill server");
    server.wait().expect("cannot wait for server");
}

/// Returns a range of samples of a series.
fn part(series: usize, samples: Range<usize>, start: i64) -> TimeSeries {
    let label = |name: &str, value: String| Label { name: name.to_owned(), value };
    let labels =
        vec![label("__name__", "streamed".into()), label("series", format!("{series:06}"))];
    let sample = |nth: usize| {
        let mixed = ((series * 1_000_003 + nth) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let timestamp = start + INTERVAL_MS * nth as i64;
        Sample {
            value: f64::from_bits(0x3ff0_0000_0000_0000 | (mixed ^ mixed >> 29) >> 12),
            timestamp,
        }
    };
    TimeSeries { labels, samples: samples.map(sample).collect(), histograms: Vec::new() }
}

/// Measurements of one read.
struct Cost {
    bytes: f64,
    seconds: f64,
    cpu_seconds: f64,
    anonymous_peak: f64,
}

/// Queries everything `queries` times and discards the response.
fn read(server: &Child, port: u16, queries: usize) -> Cost {
    let matcher = Matcher { kind: 2, name: "__name__".into(), value: ".+".into() };
    let query = Query { start: 0, end: i64::MAX / 1000, matchers: vec![matcher] };
    let request = ReadRequest { queries: vec![query; queries], accepted_response_types: vec![1] };
    let body =
        snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("a small request");
    let before = Usage::of(server);
    let is_done = AtomicBool::new(false);
    let started = Instant::now();
    let (bytes, anonymous_peak) = thread::scope(|scope| {
        let peak = scope.spawn(|| {
            let mut peak = before.anonymous;
            while !is_done.load(Ordering::Relaxed) {
                peak = peak.max(Usage::of(server).anonymous);
                thread::sleep(MEMORY_INTERVAL);
            }
            peak
        });
        let bytes = discard_response(port, &body);
        is_done.store(true, Ordering::Relaxed);
        (bytes, peak.join().expect("memory thread panicked"))
    });
    Cost {
        bytes: bytes as f64,
        seconds: started.elapsed().as_secs_f64(),
        cpu_seconds: Usage::of(server).cpu_seconds - before.cpu_seconds,
        anonymous_peak,
    }
}

/// Sends the request. Returns the size of the complete response, including the HTTP framing.
fn discard_response(port: u16, body: &[u8]) -> usize {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("cannot connect to server");
    let head = format!(
        "POST /api/v1/read HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
         X-Prometheus-Remote-Read-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body))
        .expect("cannot send request");
    let mut buffer = vec![0; 1 << 20];
    let (mut bytes, mut end) = (0, Vec::new());
    loop {
        let read = stream.read(&mut buffer).expect("response must be complete");
        if read == 0 {
            break;
        }
        bytes += read;
        end.extend_from_slice(&buffer[read.saturating_sub(5)..read]);
        end.drain(..end.len().saturating_sub(5));
    }
    assert!(end.ends_with(b"0\r\n\r\n"), "response is truncated");
    bytes
}
