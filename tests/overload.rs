//! Overload, all at once: ten times more writers than processors with large bodies over HTTP and
//! gRPC, readers that take nothing of huge answers, thousands of idle connections, decompression
//! bombs in every encoding. Memory stays within the stated budget, good requests get through, and
//! what was acknowledged is there after a kill.

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
use support::remote::{MAX_TIME, MIN_TIME, WRITE};
use support::samples::Samples;
use support::wire::{Matcher, Query, ReadRequest, TimeSeries, WriteRequest, snappy};

/// The most that a process may take over what it took when idle, on default limits.
const BUDGET: u64 = 512 << 20;
/// What a large body has besides its samples, in a field that no version knows: as much as fits
/// into an upload of 32 MB.
const BALLAST: usize = 12 << 20;
/// Of each writer.
const REQUESTS: usize = 2;
/// Of the well-behaved client.
const GOOD_REQUESTS: usize = 50;
const IDLE_CONNECTIONS: usize = 3000;
const SLOW_READERS: usize = 20;
/// What a bomb inflates to.
const BOMB: usize = 256 << 20;
const WRITE_V1: &str = "/narthex.v1.Write/WriteV1";
const STREAMED: i32 = 1;

/// What everybody shares.
struct Scene {
    http: Http,
    acknowledged: Mutex<Samples>,
    is_over: AtomicBool,
    bombs_refused: AtomicUsize,
}

/// A well-behaved sender repeats what is refused for now; sooner than it is told to, so that the
/// test is short.
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

/// The request with the ballast behind it; half of it is noise.
fn heavy(request: &WriteRequest) -> Vec<u8> {
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

impl Scene {
    /// Writes over HTTP until it is acknowledged.
    fn http_writer(&self, request: &WriteRequest, encoding: &str, body: &[u8]) {
        loop {
            let headers =
                [("Content-Type", "application/x-protobuf"), ("Content-Encoding", encoding)];
            match self.http.try_post(WRITE, &headers, body) {
                Ok(answer) if answer.status == 204 => return self.acknowledge(request),
                // A server that answers before it has read all may close before it is read.
                Err(_) => {}
                Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            }
            pause();
        }
    }

    fn acknowledge(&self, request: &WriteRequest) {
        self.acknowledged.lock().expect("nobody panics with it").add_request(request);
    }
}

/// A gRPC client that sends messages as they are.
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

    /// The status; none where there was no answer.
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

impl Scene {
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
                Some(status) => panic!("a good write was answered {status}"),
            }
            pause();
        }
    }

    /// Sends one bomb after another; each must be refused.
    fn bomber(&self, encoding: &str, bomb: &[u8]) {
        while !self.is_over.load(Ordering::SeqCst) {
            let headers =
                [("Content-Type", "application/x-protobuf"), ("Content-Encoding", encoding)];
            if let Ok(answer) = self.http.try_post(WRITE, &headers, bomb) {
                assert!(
                    [413, 503].contains(&answer.status),
                    "{encoding}: {} {}",
                    answer.status,
                    answer.text()
                );
                self.bombs_refused.fetch_add(usize::from(answer.status == 413), Ordering::SeqCst);
            }
            pause();
        }
    }

    fn grpc_bomber(&self, encoding: &'static str, bomb: &[u8]) {
        let mut grpc = Grpc::new(&self.http);
        while !self.is_over.load(Ordering::SeqCst) {
            if let Some(status) = grpc.write(encoding, bomb) {
                assert!([8, 14].contains(&status), "{encoding}: {status}");
                self.bombs_refused.fetch_add(usize::from(status == 8), Ordering::SeqCst);
            }
            pause();
        }
    }

    /// Asks for all data many times over and takes only the beginning.
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

/// Anonymous memory of a process, bytes.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0)
        << 10
}

/// Notes the largest memory until all is over.
fn watch(scene: &Scene, pid: u32, most: &AtomicU64) {
    while !scene.is_over.load(Ordering::SeqCst) {
        most.fetch_max(memory(pid), Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Data that makes a long answer: noise, which does not become small.
fn store_what_is_read_slowly(server: &Server) -> Samples {
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

fn spawn_bombers<'scope>(scope: &'scope std::thread::Scope<'scope, '_>, scene: &'scope Scene) {
    let zeros = vec![0; BOMB];
    // Says that it is 256 MiB, and that is all.
    let declared = vec![0x80, 0x80, 0x80, 0x80, 0x01, 0];
    for (encoding, bomb) in [
        ("snappy", snappy(&zeros)),
        ("snappy", declared),
        ("x-snappy-framed", framed(&zeros)),
        ("zstd", zstd(&zeros)),
    ] {
        scope.spawn(move || scene.bomber(encoding, &bomb));
    }
    for (encoding, bomb) in
        [("snappy", framed(&zeros)), ("zstd", zstd(&zeros)), ("gzip", gzip(&zeros))]
    {
        scope.spawn(move || scene.grpc_bomber(encoding, &bomb));
    }
}

/// All who write much: each `REQUESTS` requests, of its own series.
fn writers(scene: &Scene) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        for writer in 0..10 * processors {
            scope.spawn(move || {
                let name = format!("writer_{writer}");
                let mut grpc = Grpc::new(&scene.http);
                for round in 0..REQUESTS {
                    let request = request(&name, round);
                    let message = heavy(&request);
                    match writer % 6 {
                        0 => scene.http_writer(&request, "snappy", &snappy(&message)),
                        1 => scene.http_writer(&request, "zstd", &zstd(&message)),
                        2 => scene.http_writer(&request, "x-snappy-framed", &framed(&message)),
                        3 => scene.grpc_writer(&mut grpc, &request, "snappy", &framed(&message)),
                        4 => scene.grpc_writer(&mut grpc, &request, "zstd", &zstd(&message)),
                        _ => scene.grpc_writer(&mut grpc, &request, "gzip", &gzip(&message)),
                    }
                }
            });
        }
        scope.spawn(|| {
            for round in 0..GOOD_REQUESTS {
                let request = request("good", round);
                scene.http_writer(&request, "snappy", &request.body());
            }
        });
    });
}

#[test]
fn overload_stays_in_memory_budget_and_loses_no_acknowledged() {
    let place = dir::temp();
    let data = place.path().join("data");
    let server = Launch::narthex(&data).start();
    let stored = store_what_is_read_slowly(&server);
    let pid = server.program.pid();
    let idle = memory(pid);
    let scene = Arc::new(Scene {
        http: server.http.clone(),
        acknowledged: Mutex::new(stored),
        is_over: AtomicBool::new(false),
        bombs_refused: AtomicUsize::new(0),
    });
    let most = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| watch(&scene, pid, &most));
        let slow: Vec<_> = (0..SLOW_READERS).map(|_| scene.slow_reader()).collect();
        spawn_bombers(scope, &scene);
        let idle = scene.idle_connections();
        println!("{} idle connections", idle.len());
        let wrote = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writers(&scene)));
        scene.is_over.store(true, Ordering::SeqCst);
        drop((slow, idle));
        wrote.expect("all that was good was stored");
    });
    let over_idle = most.load(Ordering::SeqCst).saturating_sub(idle);
    println!("{} MiB idle, {} MiB more under overload", idle >> 20, over_idle >> 20);
    println!("{} bombs refused", scene.bombs_refused.load(Ordering::SeqCst));
    assert!(scene.bombs_refused.load(Ordering::SeqCst) > 0);
    assert!(over_idle <= BUDGET, "{} MiB over idle", over_idle >> 20);

    drop(server.kill());
    let server = Launch::narthex(&data).start();
    let acknowledged = scene.acknowledged.lock().expect("nobody panics with it");
    server.assert_holds(&acknowledged, "what was acknowledged before the kill");
}
