//! Overload in all ways at once: ten writers per CPU with large bodies over HTTP and gRPC, clients
//! that do not read large responses, thousands of idle connections, and decompression bombs in
//! every encoding. Memory stays within the budget, valid requests succeed, and acknowledged samples
//! survive a kill.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use prost::Message;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tonic::codegen::Bytes;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt};

use support::data::BEGIN;
use support::dir;
use support::http::Http;
use support::launch::{Launch, Server};
use support::program::anonymous_memory;
use support::remote::{MAX_TIME, MIN_TIME, WRITE};
use support::samples::Samples;
use support::wire::{Matcher, Query, ReadRequest, TimeSeries, WriteRequest, snappy};

/// Maximum memory of the process above its idle memory with default limits, bytes.
const BUDGET: u64 = 512 << 20;
/// Size of an unknown field in large bodies, bytes. The body fits into the limit of 32 MB.
const BALLAST: usize = 12 << 20;
/// Number of requests of each writer.
const REQUESTS: usize = 2;
/// Number of requests of the client with small bodies.
const SMALL_REQUESTS: usize = 50;
const IDLE_CONNECTIONS: usize = 3000;
const SLOW_READERS: usize = 20;
/// Decompressed size of a bomb, bytes.
const BOMB_BYTES: usize = 256 << 20;
const WRITE_V1: &str = "/narthex.v1.Write/WriteV1";
const STREAMED: i32 = 1;

/// State that all clients share.
struct Shared {
    http: Http,
    acknowledged: Mutex<Samples>,
    is_over: AtomicBool,
    rejected_bombs: AtomicUsize,
}

/// Pause before a retry, shorter than Retry-After to keep the test short.
fn pause() {
    std::thread::sleep(Duration::from_millis(rand::rng().random_range(50..150)));
}

fn request(name: &str, round: usize) -> WriteRequest {
    let samples: Vec<_> =
        (0..50).map(|i| (BEGIN + round as i64 * 60_000 + i * 1000, (i * 7) as f64 / 3.0)).collect();
    let series =
        (0..20).map(|n| TimeSeries::new(&[("__name__", name), ("n", &n.to_string())], &samples));
    WriteRequest { timeseries: series.collect(), ..WriteRequest::default() }
}

/// Encodes the request with the ballast, half of which is incompressible.
fn with_ballast(request: &WriteRequest) -> Vec<u8> {
    let mut message = request.encode_to_vec();
    let mut ballast = vec![0u8; BALLAST];
    StdRng::seed_from_u64(message.len() as u64).fill(&mut ballast[..BALLAST / 2]);
    prost::encoding::bytes::encode(15, &ballast, &mut message);
    message
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("memory");
    encoder.into_inner().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

impl Shared {
    /// Writes over HTTP and retries until the request is acknowledged.
    fn http_writer(&self, request: &WriteRequest, encoding: &str, body: &[u8]) {
        loop {
            let headers =
                [("Content-Type", "application/x-protobuf"), ("Content-Encoding", encoding)];
            match self.http.try_post(WRITE, &headers, body) {
                Ok(response) if response.status == 204 => return self.acknowledge(request),
                // The server drops connections beyond those that get a 503.
                Err(_) => {}
                Ok(response) => assert_eq!(response.status, 503, "{}", response.text()),
            }
            pause();
        }
    }

    fn acknowledge(&self, request: &WriteRequest) {
        self.acknowledged.lock().expect("no panic under the lock").add_request(request);
    }
}

/// gRPC client that sends encoded messages.
struct Grpc {
    runtime: tokio::runtime::Runtime,
    http: Http,
    channel: Option<Channel>,
}

impl Grpc {
    fn new(http: &Http) -> Grpc {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Grpc { runtime, http: http.clone(), channel: None }
    }

    /// Returns the gRPC status; `None` without a response.
    fn write(&mut self, encoding: &'static str, packed: &[u8]) -> Option<u16> {
        let body = [&[1][..], &(packed.len() as u32).to_be_bytes(), packed].concat();
        let endpoint = Endpoint::from_shared(self.http.url(""))
            .expect("an address")
            .timeout(Duration::from_secs(60));
        let channel = &mut self.channel;
        let status = self.runtime.block_on(async {
            if channel.is_none() {
                *channel = Some(endpoint.connect().await.ok()?);
            }
            let service = channel.as_mut()?.ready().await.ok()?;
            let request = http::Request::post(WRITE_V1)
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("grpc-encoding", encoding)
                .body(tonic::body::Body::new(Full::new(Bytes::from(body))))
                .expect("a request");
            let (head, body) = service.call(request).await.ok()?.into_parts();
            let trailers = body.collect().await.ok()?.trailers().cloned().unwrap_or_default();
            let status = head.headers.get("grpc-status").or_else(|| trailers.get("grpc-status"))?;
            status.to_str().ok()?.parse().ok()
        });
        if status.is_none() {
            self.channel = None;
        }
        status
    }
}

impl Shared {
    fn grpc_writer(
        &self,
        grpc: &mut Grpc,
        request: &WriteRequest,
        encoding: &'static str,
        packed: &[u8],
    ) {
        loop {
            match grpc.write(encoding, packed) {
                Some(0) => return self.acknowledge(request),
                None | Some(14) => {}
                Some(status) => panic!("status {status} for a valid write"),
            }
            pause();
        }
    }

    /// Sends bombs until the test is over. Each must be rejected.
    fn bomber(&self, encoding: &str, bomb: &[u8]) {
        while !self.is_over.load(Ordering::SeqCst) {
            let headers =
                [("Content-Type", "application/x-protobuf"), ("Content-Encoding", encoding)];
            if let Ok(response) = self.http.try_post(WRITE, &headers, bomb) {
                assert!(
                    [413, 503].contains(&response.status),
                    "{encoding}: {} {}",
                    response.status,
                    response.text()
                );
                self.rejected_bombs
                    .fetch_add(usize::from(response.status == 413), Ordering::SeqCst);
            }
            pause();
        }
    }

    fn grpc_bomber(&self, encoding: &'static str, bomb: &[u8]) {
        let mut grpc = Grpc::new(&self.http);
        while !self.is_over.load(Ordering::SeqCst) {
            if let Some(status) = grpc.write(encoding, bomb) {
                assert!([8, 14].contains(&status), "{encoding}: {status}");
                self.rejected_bombs.fetch_add(usize::from(status == 8), Ordering::SeqCst);
            }
            pause();
        }
    }

    /// Requests all data many times over and reads only the first bytes.
    fn slow_reader(&self) -> Option<TcpStream> {
        let matchers = vec![Matcher::equal("__name__", "read_slowly")];
        let query = Query { start: MIN_TIME, end: MAX_TIME, matchers, hints: None };
        let request =
            ReadRequest { queries: vec![query; 50], accepted_response_types: vec![STREAMED] };
        let body = snappy(&request.encode_to_vec());
        let head = format!(
            "POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.http.port())).ok()?;
        stream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
        let _ = stream.read(&mut [0; 100]);
        Some(stream)
    }

    fn idle_connections(&self) -> Vec<TcpStream> {
        let connect = |_| TcpStream::connect(("127.0.0.1", self.http.port())).ok();
        (0..IDLE_CONNECTIONS).map_while(connect).collect()
    }
}

/// Records the maximum memory until the test is over.
fn watch(shared: &Shared, pid: u32, max: &AtomicU64) {
    while !shared.is_over.load(Ordering::SeqCst) {
        max.fetch_max(anonymous_memory(pid), Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Stores incompressible samples, for large read responses.
fn store_data_for_slow_readers(server: &Server) -> Samples {
    let mut random = StdRng::seed_from_u64(6);
    let mut stored = Samples::new();
    for n in 0..20 {
        let samples: Vec<_> =
            (0..5000).map(|i| (BEGIN + i * 1000, random.random::<f64>())).collect();
        let request =
            WriteRequest::one(&[("__name__", "read_slowly"), ("n", &n.to_string())], &samples);
        server.remote().write_ok(&request);
        stored.add_request(&request);
    }
    stored
}

fn spawn_bombers<'scope>(scope: &'scope std::thread::Scope<'scope, '_>, shared: &'scope Shared) {
    let zeros = vec![0; BOMB_BYTES];
    // Declares 256 MiB and has no data.
    let declared = vec![0x80, 0x80, 0x80, 0x80, 0x01, 0];
    for (encoding, bomb) in [
        ("snappy", snappy(&zeros)),
        ("snappy", declared),
        ("x-snappy-framed", framed(&zeros)),
        ("zstd", zstd(&zeros)),
    ] {
        scope.spawn(move || shared.bomber(encoding, &bomb));
    }
    for (encoding, bomb) in
        [("snappy", framed(&zeros)), ("zstd", zstd(&zeros)), ("gzip", gzip(&zeros))]
    {
        scope.spawn(move || shared.grpc_bomber(encoding, &bomb));
    }
}

/// Runs all writers to their end. Each sends [`REQUESTS`] requests of its own series.
fn run_writers(shared: &Shared) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        for writer in 0..10 * processors {
            scope.spawn(move || {
                let name = format!("writer_{writer}");
                let mut grpc = Grpc::new(&shared.http);
                for round in 0..REQUESTS {
                    let request = request(&name, round);
                    let message = with_ballast(&request);
                    match writer % 6 {
                        0 => shared.http_writer(&request, "snappy", &snappy(&message)),
                        1 => shared.http_writer(&request, "zstd", &zstd(&message)),
                        2 => shared.http_writer(&request, "x-snappy-framed", &framed(&message)),
                        3 => shared.grpc_writer(&mut grpc, &request, "snappy", &framed(&message)),
                        4 => shared.grpc_writer(&mut grpc, &request, "zstd", &zstd(&message)),
                        _ => shared.grpc_writer(&mut grpc, &request, "gzip", &gzip(&message)),
                    }
                }
            });
        }
        scope.spawn(|| {
            for round in 0..SMALL_REQUESTS {
                let request = request("small", round);
                shared.http_writer(&request, "snappy", &request.body());
            }
        });
    });
}

#[test]
fn overload_keeps_memory_budget_and_acknowledged_samples() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let server = Launch::narthex(&data).start();
    let stored = store_data_for_slow_readers(&server);
    let pid = server.program.pid();
    let idle = anonymous_memory(pid);
    let shared = Arc::new(Shared {
        http: server.http.clone(),
        acknowledged: Mutex::new(stored),
        is_over: AtomicBool::new(false),
        rejected_bombs: AtomicUsize::new(0),
    });
    let max = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| watch(&shared, pid, &max));
        let slow: Vec<_> = (0..SLOW_READERS).map(|_| shared.slow_reader()).collect();
        spawn_bombers(scope, &shared);
        let idle = shared.idle_connections();
        println!("{} idle connections", idle.len());
        let wrote = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_writers(&shared)));
        shared.is_over.store(true, Ordering::SeqCst);
        drop((slow, idle));
        wrote.expect("all valid requests are stored");
    });
    let over_idle = max.load(Ordering::SeqCst).saturating_sub(idle);
    println!("{} MiB idle, {} MiB more under overload", idle >> 20, over_idle >> 20);
    println!("{} bombs rejected", shared.rejected_bombs.load(Ordering::SeqCst));
    assert!(shared.rejected_bombs.load(Ordering::SeqCst) > 0);
    assert!(over_idle <= BUDGET, "{} MiB over idle", over_idle >> 20);

    drop(server.kill());
    let server = Launch::narthex(&data).start();
    let acknowledged = shared.acknowledged.lock().expect("no panic under the lock");
    server.assert_holds(&acknowledged, "acknowledged before the kill");
}
