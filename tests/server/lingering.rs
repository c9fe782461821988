//! Clients that keep sending after their request was rejected.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::launch::Launch;
use crate::support::metrics::Metrics;
use crate::support::program::anonymous_memory;
use crate::support::remote::WRITE;
use crate::support::wait::wait_until;
use crate::support::wire::WriteRequest;

const CLIENTS: usize = 200;
const LINGERING_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum time that a slow machine adds.
const MAX_DELAY: Duration = Duration::from_secs(20);
/// Maximum growth of memory, bytes.
const MAX_GROWTH: u64 = 16 << 20;

/// Sends a body over the limit, reads the response, and sends until the connection is cut. Returns
/// the time from the response to the cut.
fn send_until_cut(port: u16, number: usize, lingering: &AtomicUsize) -> Duration {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let length = if number.is_multiple_of(2) {
        "Content-Length: 1000000000000\r\n\r\n".to_owned()
    } else {
        "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n".to_owned()
    };
    let head = format!(
        "POST {WRITE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n{length}"
    );
    stream.write_all(head.as_bytes()).expect("a head can be sent");
    let piece = [0; 16 << 10];
    for _ in 0..8 {
        stream.write_all(&piece).expect("the server reads or lingers");
    }
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("a response");
    assert_eq!(&status, b"HTTP/1.1 413");
    lingering.fetch_add(1, Ordering::SeqCst);
    let responded = Instant::now();
    while stream.write_all(&piece).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    responded.elapsed()
}

#[test]
fn clients_that_keep_sending_are_cut_in_bounded_memory() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .flag("--storage.remote.write-max-body-size=64KB")
        .flag(format!("--web.lingering-timeout={}s", LINGERING_TIMEOUT.as_secs()))
        .start();
    let remote = server.remote();
    let write = |number: i64| {
        let samples = [(BEGIN + number * 1000, number as f64)];
        remote.write(&WriteRequest::one(&[("__name__", "steady")], &samples)).status
    };
    let gauge = |name: &str| Metrics::of(&server.http).sum(name).expect("a gauge");
    assert_eq!(write(0), 204);
    let (port, pid) = (server.http.port(), server.program.pid());
    let idle = anonymous_memory(pid);
    let lingering = AtomicUsize::new(0);
    let (times, max_memory, writes) = std::thread::scope(|scope| {
        let lingering = &lingering;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || send_until_cut(port, number, lingering)))
            .collect();
        let (mut max_memory, mut max_lingering, mut writes) = (0, 0.0, 0);
        while clients.iter().any(|client| !client.is_finished()) {
            writes += 1;
            assert_eq!(write(writes), 204, "write {writes} of the steady sender");
            max_memory = max_memory.max(anonymous_memory(pid));
            max_lingering = gauge("narthex_http_lingering_connections").max(max_lingering);
            std::thread::sleep(Duration::from_millis(20));
        }
        let times: Vec<Duration> =
            clients.into_iter().map(|client| client.join().expect("no panic")).collect();
        assert!(max_lingering >= CLIENTS as f64 / 2.0, "{max_lingering} connections at once");
        (times, max_memory, writes)
    });
    assert_eq!((times.len(), lingering.load(Ordering::SeqCst)), (CLIENTS, CLIENTS));
    let fastest = times.iter().min().expect("200 clients");
    // The timeout starts at the server a little before the client reads the response.
    assert!(*fastest >= LINGERING_TIMEOUT / 2, "cut after {fastest:?}");
    let slowest = times.iter().max().expect("200 clients");
    assert!(*slowest < LINGERING_TIMEOUT + MAX_DELAY, "cut after {slowest:?}");
    assert!(writes > 10, "{writes} writes of the steady sender");
    let growth = max_memory.saturating_sub(idle);
    println!("memory grew by {growth} bytes from {idle}, {writes} writes meanwhile");
    assert!(growth < MAX_GROWTH, "memory grew by {growth} bytes from {idle}");
    wait_until("no lingering connection", || {
        gauge("narthex_http_lingering_connections") == 0.0
            && gauge("narthex_http_connections") < 10.0
    });
    server.stop();
}
