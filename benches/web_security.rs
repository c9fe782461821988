//! Cost of TLS and of users.
//!
//! ```text
//! cargo bench --bench web_security -- [known] [flood] [timing] [writes] [--seconds 10]
//! ```
//!
//! - `known`: CPU of 1,000 requests per second of a known user, and of the same load without users.
//! - `flood`: p99 of the writes of a known user, and memory, alone and next to 50 connections with
//!   wrong passwords at cost 12.
//! - `timing`: response times of 1,000 unknown and 1,000 known users with wrong passwords at cost
//!   4, and the p value of a rank test.
//! - `writes`: CPU and p99 of writes of 500 and 5,000 samples, with TLS and a user, and without.
//!
//! Without a part, all run. The clients share the CPUs with the server, so the figures are those of
//! a quiet machine only. Prints figures and asserts nothing about them.

mod rig;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use rig::{Target, Usage, WriteRequest, free_port, launch, narthex, time_series, wait_until_ready};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const PASSWORD: &str = "known";
const PARTS: [&str; 4] = ["known", "flood", "timing", "writes"];
/// Repetitions of a comparison, alternating.
const ROUNDS: usize = 3;
/// Duration of a turn of `known`.
const TURN: Duration = Duration::from_millis(500);
const FLOOD_CONNECTIONS: usize = 50;
const TIMED_LOGINS: usize = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments
        .iter()
        .position(|argument| argument == "--seconds")
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(10);
    let duration = Duration::from_secs(seconds);
    let given: Vec<&str> =
        PARTS.into_iter().filter(|part| arguments.iter().any(|given| given == part)).collect();
    let parts = if given.is_empty() { PARTS.to_vec() } else { given };
    for part in parts {
        match part {
            "known" => known_user(duration),
            "flood" => flood(duration),
            "timing" => timing(),
            _ => writes(duration),
        }
    }
}

/// Web configuration of a server.
#[derive(Clone, Copy)]
struct Security {
    has_tls: bool,
    /// Cost of bcrypt; `None` without users.
    cost: Option<u32>,
}

const OPEN: Security = Security { has_tls: false, cost: None };

/// Running narthex with a directory of its own.
struct Server {
    process: Child,
    port: u16,
    client: Client,
    _dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors are ignored: the process may have exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(security: Security) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let tls = security.has_tls.then(|| certificate(dir.path()));
        let mut text = String::new();
        if tls.is_some() {
            text += "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n";
        }
        if let Some(cost) = security.cost {
            let hash = bcrypt::hash(PASSWORD, cost).expect("a hash");
            text += &format!("basic_auth_users:\n  known: {hash}\n");
        }
        let file = dir.path().join("web.yml");
        std::fs::write(&file, text).expect("a file");
        let (port, probes) = (free_port(), free_port());
        let flags = [
            format!("--web.config.file={}", file.display()),
            format!("--web.management-listen-address=127.0.0.1:{probes}"),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let target: Target<'_> = narthex(&flags);
        let mut process = launch(&target, dir.path(), port);
        wait_until_ready(&target, &mut process, probes);
        let known = security.cost.map(|_| authorization("known", PASSWORD));
        Self { process, port, client: Client { tls, known }, _dir: dir }
    }

    fn connect(&self) -> Connection {
        self.client.connect(self.port)
    }

    fn usage(&self) -> Usage {
        Usage::of(&self.process)
    }

    /// Returns the processor time of all threads that exist, to the nanosecond.
    fn thread_time(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let nanos = tasks.expect("a running process").flatten().filter_map(|task| {
            // A thread that has ended has no file.
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }
}

/// Writes a self-signed certificate, and returns the configuration of a client that trusts it.
fn certificate(dir: &Path) -> Arc<ClientConfig> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a key");
    std::fs::write(dir.join("tls.crt"), made.cert.pem()).expect("a file");
    std::fs::write(dir.join("tls.key"), made.signing_key.serialize_pem()).expect("a file");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn authorization(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

/// Settings of the connections to a server.
struct Client {
    tls: Option<Arc<ClientConfig>>,
    /// Header line of the known user.
    known: Option<String>,
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    known: String,
}

impl Client {
    fn connect(&self, port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("cannot connect to server");
        stream.set_nodelay(true).expect("a TCP socket");
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").expect("a name");
                let tls = ClientConnection::new(config.clone(), name).expect("a client");
                Box::new(StreamOwned::new(tls, stream))
            }
        };
        let known = self.known.clone().unwrap_or_default();
        Connection { stream: BufReader::new(stream), known }
    }
}

impl Connection {
    /// Sends a request with these header lines. Returns the status, and the time until the end of
    /// the response.
    fn send(&mut self, first: &str, headers: &str, body: &[u8]) -> (u16, Duration) {
        let length = body.len();
        let head = format!(
            "{first} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        let started = Instant::now();
        let stream = self.stream.get_mut();
        stream.write_all(&request).and_then(|()| stream.flush()).expect("cannot send request");
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("cannot read response");
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).expect("cannot read response");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("cannot read response");
        (status, started.elapsed())
    }

    fn health(&mut self) -> Duration {
        let headers = self.known.clone();
        let (status, time) = self.send("GET /-/healthy", &headers, b"");
        assert_eq!(status, 200);
        time
    }

    fn write(&mut self, body: &[u8]) -> Duration {
        let headers = format!(
            "{}Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
             X-Prometheus-Remote-Write-Version: 0.1.0\r\n",
            self.known
        );
        let (status, time) = self.send("POST /api/v1/write", &headers, body);
        assert_eq!(status, 204);
        time
    }
}

/// Returns request number `round` with one sample of each series.
fn write_request(series: usize, round: usize) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    // The rounds are 100 ms apart and end before the present.
    let start = now.as_millis() as i64 - 3_600_000;
    let timeseries = (0..series).map(|at| time_series(at, round, 100, start)).collect();
    let message = WriteRequest { timeseries }.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&message).expect("a request under 4 GiB")
}

fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let at = ((times.len() - 1) as f64 * share).round() as usize;
    times[at].as_secs_f64() * 1e3
}

/// Runs `send` at a rate until the time is over. Returns the durations.
fn at_rate(rate: u32, time: Duration, mut send: impl FnMut(usize) -> Duration) -> Vec<Duration> {
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < time {
        let due = Duration::from_secs(1) * times.len() as u32 / rate;
        thread::sleep(due.saturating_sub(started.elapsed()));
        times.push(send(times.len()));
    }
    times
}

fn known_user(duration: Duration) {
    let servers = [OPEN, Security { cost: Some(10), ..OPEN }].map(Server::start);
    let mut connections = [servers[0].connect(), servers[1].connect()];
    for connection in &mut connections {
        connection.health();
    }
    // The cost of the same server varies from second to second, so the turns are short, and the
    // medians are compared.
    let mut costs = [Vec::new(), Vec::new()];
    let turns = (duration * ROUNDS as u32).as_millis() / TURN.as_millis();
    for _ in 0..turns {
        for ((server, connection), costs) in servers.iter().zip(&mut connections).zip(&mut costs) {
            let before = server.thread_time();
            let sent = at_rate(1000, TURN, |_| connection.health()).len();
            costs.push((server.thread_time() - before) / sent as u32);
        }
    }
    let [without, with] = costs.map(|mut costs| quantile(&mut costs, 0.5));
    println!("known: {turns} turns, CPU of a request: {:.2} µs without users", without * 1e3);
    println!("known: CPU with users / without: {:.3} (goal: at most 1.05)", with / without);
}

fn flood(duration: Duration) {
    let server = Server::start(Security { cost: Some(12), ..OPEN });
    let mut connection = server.connect();
    let mut round = 0;
    let mut measure = |what: &str| {
        let mut times = at_rate(50, duration, |_| {
            round += 1;
            connection.write(&write_request(500, round))
        });
        let p99 = quantile(&mut times, 0.99);
        let memory = server.usage().anonymous / f64::from(1 << 20);
        println!("flood: {what}: {} writes, p99 {p99:.2} ms, {memory:.1} MiB", times.len());
        p99
    };
    measure("warm-up");
    let alone = measure("alone");
    let is_over = AtomicBool::new(false);
    let flooded = thread::scope(|scope| {
        for number in 0..FLOOD_CONNECTIONS {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                let mut connection = server.connect();
                let mut attempt = 0;
                while !is_over.load(Ordering::Relaxed) {
                    attempt += 1;
                    let wrong = authorization("known", &format!("wrong {number} {attempt}"));
                    let (status, _) = connection.send("GET /-/healthy", &wrong, b"");
                    assert!([401, 503].contains(&status), "{status}");
                }
            });
        }
        let flooded = measure("next to the flood");
        measure("next to the flood, later");
        is_over.store(true, Ordering::Relaxed);
        flooded
    });
    println!("flood: p99 with the flood / alone: {:.2} (goal: below 2)", flooded / alone);
}

fn timing() {
    let server = Server::start(Security { cost: Some(4), ..OPEN });
    let mut connection = server.connect();
    let mut login = |user: &str, number: usize| {
        let wrong = authorization(user, &format!("wrong {number}"));
        let (status, time) = connection.send("GET /-/healthy", &wrong, b"");
        assert_eq!(status, 401);
        time
    };
    for number in 0..100 {
        login("known", TIMED_LOGINS + number);
    }
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..TIMED_LOGINS {
        // The order alternates, so that a drift of the machine affects both.
        if number % 2 == 0 {
            known.push(login("known", number));
            unknown.push(login("nobody", number));
        } else {
            unknown.push(login("nobody", number));
            known.push(login("known", number));
        }
    }
    let p = rank_test(&known, &unknown);
    let (known, unknown) = (quantile(&mut known, 0.5), quantile(&mut unknown, 0.5));
    println!("timing: median of known {known:.3} ms, unknown {unknown:.3} ms");
    println!("timing: p {p:.3} (goal: above 0.01)");
}

/// Returns the p value of the two-sided Mann-Whitney test, by the normal approximation.
fn rank_test(first: &[Duration], second: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> = first.iter().map(|time| (*time, true)).collect();
    all.extend(second.iter().map(|time| (*time, false)));
    all.sort_unstable();
    // Times have nanoseconds, so ties are rare and need no correction.
    let ranks = all.iter().zip(1u32..).filter(|((_, is_first), _)| *is_first);
    let sum: f64 = ranks.map(|(_, rank)| f64::from(rank)).sum();
    let (m, n) = (first.len() as f64, second.len() as f64);
    let u = sum - m * (m + 1.0) / 2.0;
    let z = (u - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt();
    complementary_error(z.abs() / std::f64::consts::SQRT_2)
}

/// Source: Abramowitz and Stegun, 7.1.26; the error is below 1.5e-7.
fn complementary_error(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592]
        .into_iter()
        .fold(0.0, |sum, factor| (sum + factor) * t);
    polynomial * (-x * x).exp()
}

fn writes(duration: Duration) {
    let secure = Security { has_tls: true, cost: Some(10) };
    for (samples, rate) in [(500, 100), (5000, 20)] {
        let servers = [OPEN, secure].map(Server::start);
        let mut connections = [servers[0].connect(), servers[1].connect()];
        let (mut cpu, mut times) = ([0.0; 2], [Vec::new(), Vec::new()]);
        let mut number = [0; 2];
        for _ in 0..ROUNDS {
            for at in 0..2 {
                let count = duration.as_secs() as usize * rate as usize + 1;
                let first = number[at];
                let bodies: Vec<_> =
                    (first..first + count).map(|round| write_request(samples, round)).collect();
                number[at] += count;
                connections[at].write(&bodies[0]);
                let before = servers[at].usage().cpu_seconds;
                let sent = at_rate(rate, duration, |at_body| {
                    let body = &bodies[1 + at_body.min(count - 2)];
                    connections[at].write(body)
                });
                cpu[at] += servers[at].usage().cpu_seconds - before;
                times[at].extend(sent);
            }
        }
        let [plain, tls] = times.map(|mut times| quantile(&mut times, 0.99));
        println!("writes of {samples}: plain {:.2} s CPU, p99 {plain:.2} ms", cpu[0]);
        println!("writes of {samples}: TLS and user {:.2} s CPU, p99 {tls:.2} ms", cpu[1]);
        println!(
            "writes of {samples}: CPU {:.3} (goal: at most 1.25), p99 {:.3} (goal: at most 1.2)",
            cpu[1] / cpu[0],
            tls / plain
        );
    }
}
