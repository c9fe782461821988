//! Memory, CPU time and disk space of narthex by the number of series: the table of sizes in
//! docs/operations.md.
//!
//! ```text
//! cargo bench --bench sizing -- [--series 10000,50000,200000] [--hours 3.2] [--seconds 60]
//!     [--narthex PROGRAM]
//! ```
//!
//! Each size gets a server and one sample of every series per 15 s. First come the samples of the
//! past hours at full speed, so that the head is as full as it gets before it is compacted. Then
//! come samples at the rate of real senders, of which the CPU time is measured. Memory is the
//! maximum over both. Disk space is that of a block, per sample, and that of WAL and head chunks
//! before the compaction.
//!
//! Prints a row of a Markdown table per size; asserts nothing about the figures.

mod rig;

use prost::Message;
use rig::{
    Connection, SERIES_PER_REQUEST, Target, Usage, WriteRequest, disk_usage, free_port, launch,
    sample, send, time_series, wait_until_ready,
};
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
const WRITERS: usize = 2;

/// Options of the command line.
struct Plan {
    sizes: Vec<usize>,
    hours: f64,
    seconds: f64,
    narthex: String,
}

/// Measurements of one size.
struct Figures {
    max_rss: f64,
    max_anonymous: f64,
    cores: f64,
    head_bytes: f64,
    block_bytes_per_sample: f64,
}

/// Requests of one sample of every series. Only the samples change from round to round.
struct Sender {
    requests: Vec<WriteRequest>,
    start: i64,
    round: usize,
}

impl Sender {
    /// Creates a sender whose samples begin so long before now.
    fn new(series: usize, past: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let start = (now - past).as_millis() as i64;
        let request = |chunk: &[usize]| WriteRequest {
            timeseries: chunk.iter().map(|series| time_series(*series, 0, 0, start)).collect(),
        };
        let series: Vec<usize> = (0..series).collect();
        let requests = series.chunks(SERIES_PER_REQUEST).map(request).collect();
        Self { requests, start, round: 0 }
    }

    /// Encodes the requests of the next round.
    fn next_round(&mut self) -> Vec<Vec<u8>> {
        let mut encoder = snap::raw::Encoder::new();
        let interval = SCRAPE_INTERVAL.as_millis() as i64;
        let mut bodies = Vec::with_capacity(self.requests.len());
        for (index, request) in self.requests.iter_mut().enumerate() {
            for (offset, series) in request.timeseries.iter_mut().enumerate() {
                let number = index * SERIES_PER_REQUEST + offset;
                series.samples[0] = sample(number, self.round, interval, self.start);
            }
            let message = request.encode_to_vec();
            bodies.push(encoder.compress_vec(&message).expect("a request under 4 GiB"));
        }
        self.round += 1;
        bodies
    }
}

fn main() {
    let plan = Plan::from_args();
    println!(
        "| series | samples/s | memory, MiB | of it anonymous | CPU cores | WAL and head, MiB | block, bytes per sample |"
    );
    println!("|---|---|---|---|---|---|---|");
    for series in &plan.sizes {
        let figures = measure(&plan, *series);
        println!(
            "| {series} | {:.0} | {:.0} | {:.0} | {:.3} | {:.0} | {:.2} |",
            *series as f64 / SCRAPE_INTERVAL.as_secs_f64(),
            figures.max_rss / 1_048_576.0,
            figures.max_anonymous / 1_048_576.0,
            figures.cores,
            figures.head_bytes / 1_048_576.0,
            figures.block_bytes_per_sample,
        );
    }
}

impl Plan {
    fn from_args() -> Self {
        let mut plan = Self {
            sizes: vec![10_000, 50_000, 200_000],
            hours: 3.2,
            seconds: 60.0,
            narthex: env!("CARGO_BIN_EXE_narthex").to_owned(),
        };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            let number = |text: &str| text.parse().expect("value must be a number");
            match flag.as_str() {
                "--series" => {
                    plan.sizes = value.split(',').map(|size| number(size) as usize).collect();
                }
                "--hours" => plan.hours = number(&value),
                "--seconds" => plan.seconds = number(&value),
                "--narthex" => plan.narthex = value,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

fn measure(plan: &Plan, series: usize) -> Figures {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let command = |dir: &Path, port: u16| {
        let mut command = Command::new(&plan.narthex);
        command.arg("serve").arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=warn");
        command
    };
    let target = Target { name: "narthex", command: Box::new(command) };
    let port = free_port();
    let mut server = launch(&target, dir.path(), port);
    wait_until_ready(&target, &mut server, port);
    let past = Duration::from_secs_f64(plan.hours * 3600.0);
    let mut sender = Sender::new(series, past);
    let mut figures = Figures {
        max_rss: 0.0,
        max_anonymous: 0.0,
        cores: 0.0,
        head_bytes: 0.0,
        block_bytes_per_sample: 0.0,
    };
    let data = dir.path().join("data");
    for _ in 0..(past.as_secs_f64() / SCRAPE_INTERVAL.as_secs_f64()) as usize {
        send(&[sender.next_round()], WRITERS, port);
        figures.observe(&server, &data);
    }
    let (before, start) = (Usage::of(&server).cpu_seconds, Instant::now());
    while start.elapsed().as_secs_f64() < plan.seconds {
        send_paced(&sender.next_round(), port);
        figures.observe(&server, &data);
    }
    figures.cores = (Usage::of(&server).cpu_seconds - before) / start.elapsed().as_secs_f64();
    let (bytes, samples) =
        blocks(&data).fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    figures.block_bytes_per_sample = bytes / samples;
    server.kill().expect("a running server");
    server.wait().expect("a server that can be awaited");
    figures
}

impl Figures {
    fn observe(&mut self, server: &Child, data: &Path) {
        let usage = Usage::of(server);
        self.max_rss = self.max_rss.max(usage.rss);
        self.max_anonymous = self.max_anonymous.max(usage.anonymous);
        let head = disk_usage(&data.join("wal")) + disk_usage(&data.join("chunks_head"));
        self.head_bytes = self.head_bytes.max(head as f64);
    }
}

/// Sends the requests spread over the scrape interval.
fn send_paced(bodies: &[Vec<u8>], port: u16) {
    let mut connection = Connection::open(port);
    let start = Instant::now();
    for (number, body) in bodies.iter().enumerate() {
        connection.post(body);
        let next = SCRAPE_INTERVAL.mul_f64((number + 1) as f64 / bodies.len() as f64);
        sleep(next.saturating_sub(start.elapsed()));
    }
}

/// Returns bytes and samples of each block.
fn blocks(data: &Path) -> impl Iterator<Item = (f64, f64)> {
    let entries = fs::read_dir(data).expect("a data directory").flatten();
    entries.filter_map(|entry| {
        let meta = fs::read(entry.path().join("meta.json")).ok()?;
        let meta: serde_json::Value = serde_json::from_slice(&meta).expect("a meta.json");
        let samples = meta["stats"]["numSamples"].as_f64()?;
        Some((disk_usage(&entry.path()) as f64, samples))
    })
}
