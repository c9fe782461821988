//! Tests of the lingering close on the level of bytes and frames.

use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use crate::server::router;
use crate::server::router::host;
use crate::server::transport::listener::{
    CONNECTION_WINDOW, ConnectionLimits, ConnectionMetrics, DrainOutcome, HttpVersions, Listener,
    STREAM_WINDOW,
};
use crate::server::transport::response_headers::ResponseHeaders;
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body::Body as HttpBody;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Longer than any test, if nothing hangs.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
const REJECTED_HEAD: &str = "POST /reject HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n";

/// Body that is slow to return its only frame, as on a busy machine.
struct SlowBody(Option<Bytes>);

impl HttpBody for SlowBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        // The worker keeps the task that was woken last for itself, which is the connection, and
        // hands it over for another one.
        tokio::spawn(async {});
        std::thread::sleep(Duration::from_millis(100));
        Poll::Ready(self.0.take().map(|data| Ok(http_body::Frame::data(data))))
    }
}

struct Running {
    address: SocketAddr,
    registry: Registry,
    stop: watch::Sender<bool>,
    listening: JoinHandle<DrainOutcome>,
}

impl Running {
    /// Starts a server that reads the body at `/read`, and responds 413 without it at `/reject`.
    async fn start(max_connections: usize, lingering_timeout: Duration) -> Self {
        let router = Router::new()
            .route("/now", get(|| async { "now" }))
            .route("/read", post(|body: Bytes| async move { body.len().to_string() }))
            .route("/reject", post(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "rejected") }))
            .route("/slow", post(|| async { Body::new(SlowBody(Some("rejected".into()))) }));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut registry = Registry::new();
        let (stop, stopped) = watch::channel(false);
        let listener = Listener {
            sockets: vec![socket],
            router: host::require_host(router),
            overload_router: router::overload_router(),
            versions: HttpVersions::All,
            headers: ResponseHeaders::default(),
            limits: ConnectionLimits {
                max_connections,
                idle_timeout: LONG,
                head_timeout: LONG,
                lingering_timeout,
                max_concurrent_streams: 10,
                drain_timeout: LONG,
            },
            metrics: ConnectionMetrics::register(&mut registry),
        };
        Self { address, registry, stop, listening: tokio::spawn(listener.run(stopped)) }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until the gauge of lingering connections or streams has this value.
    async fn wait_for_lingering(&self, what: &str, count: u32) {
        let line = format!("narthex_http_lingering_{what} {count}\n");
        let reached = async {
            while !self.registry.encode(ExpositionFormat::Classic).contains(&line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, reached).await.unwrap();
    }
}

/// Reads to the end of the server's sending side. A reset fails.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    tokio::time::timeout(LONG, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

#[tokio::test]
async fn rejected_request_gets_response_and_is_discarded() {
    let server = Running::start(1, LONG).await;
    let mut client = server.connect().await;
    client.write_all(REJECTED_HEAD.as_bytes()).await.unwrap();
    let response = read_to_end(&mut client).await;
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    assert!(response.contains("connection: close\r\n"), "{response}");
    assert!(response.ends_with("rejected"), "{response}");
    server.wait_for_lingering("connections", 1).await;
    // The server reads on, and the connection keeps its slot.
    client.write_all(&vec![0; 4_000_000]).await.unwrap();
    let mut other = server.connect().await;
    other.write_all(b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut other).await.starts_with("HTTP/1.1 503"));
    drop(client);
    server.wait_for_lingering("connections", 0).await;
}

#[tokio::test]
async fn connection_beyond_the_limit_lingers() {
    let server = Running::start(0, LONG).await;
    let mut client = server.connect().await;
    client.write_all(REJECTED_HEAD.as_bytes()).await.unwrap();
    client.write_all(&vec![b'x'; 4_000_000]).await.unwrap();
    let response = read_to_end(&mut client).await;
    assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    drop(client);
    server.wait_for_lingering("connections", 0).await;
}

#[tokio::test]
async fn response_is_read_after_everything_was_sent() {
    let server = Running::start(10, LONG).await;
    let chunked =
        "POST /reject HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3d0900\r\n";
    let no_host = "POST /read HTTP/1.1\r\ncontent-length: 4000000\r\n\r\n";
    let bad_chunk =
        "POST /read HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n";
    let long_head = "GET /now HTTP/1.1\r\nhost: x\r\nlong: ";
    for (head, status) in [
        (REJECTED_HEAD, "413"),
        (chunked, "413"),
        (no_host, "400"),
        (bad_chunk, "400"),
        ("no request\r\n\r\n", "400"),
        (long_head, "431"),
    ] {
        let mut client = server.connect().await;
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&vec![b'x'; 4_000_000]).await.unwrap();
        let response = read_to_end(&mut client).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {response}");
    }
    server.wait_for_lingering("connections", 0).await;
}

#[tokio::test]
async fn client_that_keeps_sending_loses_its_connection() {
    let server = Running::start(10, SHORT).await;
    let mut client = server.connect().await;
    let started = Instant::now();
    client.write_all(REJECTED_HEAD.as_bytes()).await.unwrap();
    let cut = async { while client.write_all(&[0; 1 << 16]).await.is_ok() {} };
    tokio::time::timeout(LONG, cut).await.unwrap();
    assert!(started.elapsed() >= SHORT);
    server.wait_for_lingering("connections", 0).await;
}

#[tokio::test]
async fn complete_request_keeps_its_connection() {
    let server = Running::start(10, LONG).await;
    let mut client = server.connect().await;
    let requests = [
        "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab",
        "POST /read HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        "POST /read HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nab",
        "GET /now HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /reject HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    ];
    for request in requests {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        while !["\n2", "\nnow", "rejected"].iter().any(|end| response.ends_with(end)) {
            let mut bytes = [0; 1024];
            let read = client.read(&mut bytes).await.unwrap();
            assert!(read > 0, "{request}: {response}");
            response.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        assert!(!response.contains("connection: close"), "{request}: {response}");
        let is_expected = request.contains("expect");
        assert_eq!(response.contains("100 Continue"), is_expected, "{request}: {response}");
    }
}

#[tokio::test]
async fn rejected_expectation_gets_no_100_continue() {
    let server = Running::start(10, LONG).await;
    let mut client = server.connect().await;
    let head = REJECTED_HEAD.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let response = read_to_end(&mut client).await;
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    assert!(response.contains("connection: close\r\n"), "{response}");
}

#[tokio::test]
async fn drain_waits_for_lingering_no_longer_than_its_timeout() {
    let server = Running::start(10, SHORT).await;
    let mut client = server.connect().await;
    client.write_all(REJECTED_HEAD.as_bytes()).await.unwrap();
    server.wait_for_lingering("connections", 1).await;
    server.stop.send(true).unwrap();
    let flooding = async { while client.write_all(&[0; 1 << 16]).await.is_ok() {} };
    let (outcome, ()) =
        tokio::time::timeout(LONG / 2, async { tokio::join!(server.listening, flooding) })
            .await
            .unwrap();
    assert_eq!(outcome.unwrap(), DrainOutcome::Complete);
    let read = read_after_cut(client).await;
    assert!(read.starts_with(b"HTTP/1.1 413") || read.is_empty());
}

/// Reads what is left of a connection that may have been reset.
async fn read_after_cut(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

/// Types of HTTP/2 frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
/// Flags of HTTP/2 frames.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// HTTP/2 connection that sends and receives frames one by one.
struct Http2 {
    stream: TcpStream,
    /// Number of bytes that may be sent: windows of the connection and of stream 1.
    windows: [i64; 2],
}

impl Http2 {
    async fn connect(server: &Running) -> Self {
        let mut stream = server.connect().await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let windows = [i64::from(u16::MAX), i64::from(STREAM_WINDOW)];
        let mut connection = Self { stream, windows };
        connection.send(SETTINGS, 0, 0, &[]).await;
        assert_eq!(connection.receive().await.kind, SETTINGS);
        // The windows of the server apply from here on.
        connection.send(SETTINGS, ACK, 0, &[]).await;
        connection
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
        let head = [&[a, b, c, kind, flags][..], &stream.to_be_bytes()].concat();
        self.stream.write_all(&[&head[..], payload].concat()).await.unwrap();
    }

    /// Sends the head of a request; `method` is its index in the static table.
    async fn request(&mut self, method: u8, path: &str, flags: u8, stream: u32) {
        let path_len = u8::try_from(path.len()).unwrap();
        // The other fields: `:scheme http`, `:authority x` and `:path`. Source: RFC 7541,
        // appendix A.
        let fields = [&[0x80 | method, 0x86, 0x01, 1, b'x', 0x04, path_len], path.as_bytes()];
        self.send(HEADERS, END_HEADERS | flags, stream, &fields.concat()).await;
    }

    async fn receive(&mut self) -> Frame {
        let frame = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.unwrap();
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload).await.unwrap();
            Frame { kind, flags, stream: u32::from_be_bytes(stream), payload }
        };
        let frame = tokio::time::timeout(LONG, frame).await.unwrap();
        if frame.kind == WINDOW_UPDATE && frame.stream <= 1 {
            let increment = <[u8; 4]>::try_from(&frame.payload[..]).unwrap();
            self.windows[frame.stream as usize] += i64::from(u32::from_be_bytes(increment));
        }
        frame
    }

    /// Receives frames until the end of a stream.
    async fn receive_until_end(&mut self, stream: u32) {
        loop {
            let frame = self.receive().await;
            assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
            if frame.stream == stream && frame.flags & END_STREAM != 0 {
                return;
            }
        }
    }
}

const GET: u8 = 2;
const POST: u8 = 3;

#[tokio::test]
async fn rejected_http_2_stream_is_discarded_next_to_others() {
    let server = Running::start(1, LONG).await;
    let mut client = Http2::connect(&server).await;
    client.request(POST, "/reject", 0, 1).await;
    client.receive_until_end(1).await;
    server.wait_for_lingering("streams", 1).await;
    // More than the windows of stream and connection can be sent, and another stream completes.
    let piece = [0; 16 << 10];
    let (mut unsent, mut is_other_done) = (4 * CONNECTION_WINDOW as usize / piece.len(), false);
    client.request(GET, "/now", END_STREAM, 3).await;
    while unsent > 0 || !is_other_done {
        if unsent > 0 && client.windows.iter().all(|window| *window >= piece.len() as i64) {
            client.send(DATA, 0, 1, &piece).await;
            client.windows = client.windows.map(|window| window - piece.len() as i64);
            unsent -= 1;
            continue;
        }
        let frame = client.receive().await;
        assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
        is_other_done |= frame.stream == 3 && frame.flags & END_STREAM != 0;
    }
    client.send(DATA, END_STREAM, 1, &[]).await;
    server.wait_for_lingering("streams", 0).await;
    client.request(GET, "/now", END_STREAM, 5).await;
    client.receive_until_end(5).await;
}

#[tokio::test]
async fn http_2_stream_that_does_not_end_is_reset_without_error() {
    let server = Running::start(1, SHORT).await;
    let mut client = Http2::connect(&server).await;
    let started = Instant::now();
    client.request(POST, "/reject", 0, 1).await;
    client.receive_until_end(1).await;
    let reset = loop {
        let frame = client.receive().await;
        if frame.kind == RST_STREAM {
            break frame;
        }
    };
    assert!(started.elapsed() >= SHORT);
    assert_eq!((reset.stream, &reset.payload[..]), (1, &[0; 4][..]), "{reset:?}");
    // Data that was sent before the reset arrived does no harm.
    client.send(DATA, END_STREAM, 1, &[0; 1000]).await;
    client.request(POST, "/read", 0, 3).await;
    client.send(DATA, END_STREAM, 3, b"ab").await;
    client.receive_until_end(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_request_cut_short_after_the_status_gets_the_data() {
    let server = Running::start(1, LONG).await;
    let mut client = Http2::connect(&server).await;
    // `content-length: 9`, without an index. Source: RFC 7541, section 6.2.2 and appendix A.
    let fields = [&[0x80 | POST, 0x86, 0x01, 1, b'x', 0x04, 5][..], b"/slow", b"\x0f\x0d\x019"];
    client.send(HEADERS, END_HEADERS, 1, &fields.concat()).await;
    let mut data = Vec::new();
    while data != b"rejected" {
        let frame = client.receive().await;
        assert_ne!(frame.kind, RST_STREAM, "{frame:?} after {data:?}");
        match frame.kind {
            // A client that has an error status stops.
            HEADERS => client.send(DATA, END_STREAM, 1, b"short").await,
            DATA => data.extend(frame.payload),
            _ => {}
        }
    }
}
