//! Tests of the accept loop with real sockets.
//!
//! | file        | content                                             |
//! |-------------|-----------------------------------------------------|
//! | `http_2`    | HTTP/2 connections without streams                  |
//! | `lingering` | connections and streams that end with an early response |

mod http_2;
mod lingering;

use crate::metrics::registry::Registry;
use crate::server::router;
use crate::server::router::host;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::listener::source::{Accepted, ConnectionSource};
use crate::server::transport::listener::{
    ConnectionLimits, ConnectionMetrics, DrainOutcome, HttpVersions, Listener,
};
use crate::server::transport::response_headers::ResponseHeaders;
use axum::routing::get;
use axum::{Extension, Router};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Longer than a busy machine needs to send a request at once.
const HEAD_TIMEOUT: Duration = Duration::from_secs(1);

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    listening: JoinHandle<DrainOutcome>,
}

/// Starts a server that responds to `/now` at once and to `/late` after 300 ms.
async fn run(max_connections: usize, drain_timeout: Duration) -> Running {
    let idle_timeout = Duration::from_millis(500);
    run_within(ConnectionLimits {
        max_connections,
        idle_timeout,
        head_timeout: idle_timeout,
        lingering_timeout: Duration::from_secs(5),
        max_concurrent_streams: 10,
        drain_timeout,
    })
    .await
}

/// Starts a server whose idle timeout is much longer than its head timeout.
async fn run_with_short_head_timeout() -> Running {
    run_within(ConnectionLimits {
        max_connections: 10,
        idle_timeout: Duration::from_secs(600),
        head_timeout: HEAD_TIMEOUT,
        lingering_timeout: Duration::from_secs(5),
        max_concurrent_streams: 10,
        drain_timeout: Duration::from_secs(5),
    })
    .await
}

async fn run_within(limits: ConnectionLimits) -> Running {
    let late = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "late"
    };
    let router = Router::new().route("/now", get(|| async { "now" })).route("/late", get(late));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let metrics = ConnectionMetrics::register(&mut Registry::new());
    let (stop, stopped) = watch::channel(false);
    let router = host::require_host(router);
    let overload_router = router::overload_router();
    let listener = Listener {
        sockets: vec![socket],
        router,
        overload_router,
        versions: HttpVersions::All,
        headers: ResponseHeaders::default(),
        limits,
        metrics,
    };
    Running { address, stop, listening: tokio::spawn(listener.run(stopped)) }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
}

/// Reads until the received text ends with `end`, or until the server closes the connection.
async fn hear(stream: &mut TcpStream, end: &str) -> String {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).ends_with(end) {
        match stream.read_buf(&mut heard).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn connection_beyond_the_limit_gets_503() {
    let server = run(1, Duration::from_secs(5)).await;
    let mut first = server.connect().await;
    ask(&mut first, "/now").await;
    assert!(hear(&mut first, "now").await.starts_with("HTTP/1.1 200"));
    let mut second = server.connect().await;
    ask(&mut second, "/now").await;
    let heard = hear(&mut second, "too many connections\n").await;
    assert!(heard.starts_with("HTTP/1.1 503") && heard.contains("retry-after: "), "{heard}");
    drop(first);
    for _ in 0..50 {
        let mut third = server.connect().await;
        ask(&mut third, "/now").await;
        if hear(&mut third, "\n").await.starts_with("HTTP/1.1 200") {
            return;
        }
    }
    panic!("the slot of a closed connection was not freed");
}

#[tokio::test]
async fn drain_finishes_requests_and_closes_the_socket() {
    let server = run(10, Duration::from_secs(5)).await;
    let mut client = server.connect().await;
    let mut idle = server.connect().await;
    ask(&mut client, "/late").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(true).unwrap();
    assert!(hear(&mut client, "late").await.starts_with("HTTP/1.1 200"));
    assert_eq!(hear(&mut idle, "never").await, "");
    assert_eq!(server.listening.await.unwrap(), DrainOutcome::Complete);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn drain_timeout_aborts_a_slow_request() {
    let server = run(10, Duration::from_millis(50)).await;
    let mut client = server.connect().await;
    ask(&mut client, "/late").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(true).unwrap();
    assert_eq!(server.listening.await.unwrap(), DrainOutcome::TimedOut);
}

#[tokio::test]
async fn silent_or_incomplete_request_closes_the_connection() {
    let server = run(10, Duration::from_secs(5)).await;
    for start in ["", "GET /now HT", "GET /now HTTP/1.1\r\nhost: x\r\n"] {
        let mut client = server.connect().await;
        client.write_all(start.as_bytes()).await.unwrap();
        let heard =
            tokio::time::timeout(Duration::from_secs(5), hear(&mut client, "never")).await.unwrap();
        assert!(!heard.starts_with("HTTP/1.1 200"), "{heard}");
    }
}

#[tokio::test]
async fn http_2_is_served_on_the_same_port() {
    let server = run(10, Duration::from_secs(5)).await;
    let mut client = server.connect().await;
    // HTTP/2 preface and an empty SETTINGS frame.
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the first frame of the server is not SETTINGS: {head:?}");
}

#[tokio::test]
async fn idle_connection_outlives_the_head_timeout() {
    let server = run_with_short_head_timeout().await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        ask(&mut client, "/now").await;
        assert!(hear(&mut client, "now").await.starts_with("HTTP/1.1 200"));
        tokio::time::sleep(HEAD_TIMEOUT * 3 / 2).await;
    }
    ask(&mut client, "/now").await;
    assert!(hear(&mut client, "now").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn slow_head_closes_the_connection_after_any_request() {
    let server = run_with_short_head_timeout().await;
    for is_first in [true, false] {
        let mut client = server.connect().await;
        if !is_first {
            ask(&mut client, "/now").await;
            assert!(hear(&mut client, "now").await.starts_with("HTTP/1.1 200"));
        }
        let (mut reading, mut writing) = client.into_split();
        // Sending a byte now and then does not extend the timeout.
        let trickling = tokio::spawn(async move {
            while writing.write_all(b"G").await.is_ok() {
                tokio::time::sleep(HEAD_TIMEOUT / 10).await;
            }
        });
        let mut heard = Vec::new();
        // A reset also ends the read.
        let ended =
            tokio::time::timeout(Duration::from_secs(60), reading.read_to_end(&mut heard)).await;
        assert!(ended.is_ok(), "the connection is still open");
        assert!(!heard.starts_with(b"HTTP/1.1 200"));
        trickling.abort();
    }
}

#[tokio::test]
async fn missing_or_repeated_host_is_400() {
    let server = run(10, Duration::from_secs(5)).await;
    for (head, status) in [
        ("GET /now HTTP/1.1\r\n", "HTTP/1.1 400"),
        ("GET http://x/now HTTP/1.1\r\n", "HTTP/1.1 400"),
        ("GET /now HTTP/1.1\r\nhost: x\r\nHost: x\r\n", "HTTP/1.1 400"),
        ("GET /now HTTP/1.0\r\nhost: x\r\nhost: y\r\n", "HTTP/1.0 400"),
        ("GET /now HTTP/1.1\r\nhost:\r\nconnection: close\r\n", "HTTP/1.1 200"),
        ("GET /now HTTP/1.0\r\n", "HTTP/1.0 200"),
    ] {
        let mut client = server.connect().await;
        client.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        // Each of these responses closes the connection.
        let heard = hear(&mut client, "never").await;
        assert!(heard.starts_with(status), "{head}: {heard}");
        assert!(status.ends_with("200") || heard.contains("Host header"), "{head}: {heard}");
    }
}

/// Source of in-memory streams.
struct MemorySource(mpsc::Receiver<DuplexStream>);

impl ConnectionSource for MemorySource {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> std::io::Result<Accepted<DuplexStream>> {
        match self.0.recv().await {
            Some(stream) => Ok(Accepted::plain(stream, PeerAddress([192, 0, 2, 7].into()))),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn stream_of_another_source_is_served_with_its_peer() {
    let peer = |peer: Extension<PeerAddress>| async move { peer.0.0.to_string() };
    let (connect, connections) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(false);
    let listener = Listener {
        sockets: vec![MemorySource(connections)],
        router: Router::new().route("/peer", get(peer)),
        overload_router: router::overload_router(),
        versions: HttpVersions::All,
        headers: ResponseHeaders::default(),
        limits: ConnectionLimits {
            max_connections: 1,
            idle_timeout: Duration::from_secs(5),
            head_timeout: HEAD_TIMEOUT,
            lingering_timeout: Duration::from_secs(5),
            max_concurrent_streams: 10,
            drain_timeout: Duration::from_secs(5),
        },
        metrics: ConnectionMetrics::register(&mut Registry::new()),
    };
    let listening = tokio::spawn(listener.run(stopped));
    let (mut client, server) = tokio::io::duplex(1 << 10);
    connect.send(server).await.unwrap();
    let request = b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(response.ends_with("192.0.2.7"), "{response}");
    stop.send(true).unwrap();
    assert_eq!(listening.await.unwrap(), DrainOutcome::Complete);
}
