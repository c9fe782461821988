//! Kept, closed and repeated connections.

use super::server::{Reply, Seen, Server, ok};
use super::{client, fetch, get, tls, url};
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::http_client::client::HttpClient;
use crate::http_client::message::ClientRequest;
use bytes::Bytes;
use http::{Method, Version};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;

#[tokio::test]
async fn connection_is_used_again_after_the_whole_body() {
    let server = Server::start(|_| ok("0123456789")).await;
    let client = client(&HttpClientConfig::default());
    for _ in 0..3 {
        assert_eq!(fetch(&client, &server.url("/")).await, "200 0123456789");
    }
    assert_eq!((server.connections(), client.connections()), (vec![0, 0, 0], 1));
    // The caller stops at a limit.
    let response = get(&client, &server.url("/")).await.unwrap();
    let error = response.body.read_to_end(9).await.unwrap_err();
    assert_eq!(error.to_string(), "response body exceeds 9 bytes");
    drop(get(&client, &server.url("/")).await.unwrap());
    assert_eq!(fetch(&client, &server.url("/")).await, "200 0123456789");
    assert_eq!(server.connections(), [0, 0, 0, 0, 1, 2]);
    client.close_idle();
    assert_eq!(client.connections(), 0);
}

#[tokio::test]
async fn request_on_a_closed_connection_is_repeated() {
    // The second request of each connection has no response.
    for close in [true, false] {
        let count = Arc::new(AtomicUsize::new(0));
        let script = move |_: &Seen| match count.fetch_add(1, Ordering::Relaxed) {
            0 | 2 => ok("a"),
            1 => Reply::Close(String::new()),
            _ if close => Reply::Close(String::new()),
            _ => ok("b"),
        };
        let server = Server::start(script).await;
        let client = client(&HttpClientConfig::default());
        assert_eq!(fetch(&client, &server.url("/")).await, "200 a");
        assert_eq!(fetch(&client, &server.url("/")).await, "200 a");
        assert_eq!(server.connections(), [0, 0, 1]);
        let third = fetch(&client, &server.url("/")).await;
        if close {
            // Only once: the new connection fails, too.
            assert_eq!(third, format!("Get \"{}\": EOF", server.url("/")));
            assert_eq!(server.connections(), [0, 0, 1, 1, 2]);
        } else {
            assert_eq!(third, "200 b");
        }
    }
}

#[tokio::test]
async fn partial_response_and_post_are_not_repeated() {
    let count = Arc::new(AtomicUsize::new(0));
    let script = move |_: &Seen| match count.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => ok("a"),
        _ => Reply::Close("HTTP/1.1 200".to_owned()),
    };
    let server = Server::start(script).await;
    let client = client(&HttpClientConfig::default());
    assert_eq!(fetch(&client, &server.url("/")).await, "200 a");
    let error = fetch(&client, &server.url("/")).await;
    assert_eq!(error, format!("Get \"{}\": EOF", server.url("/")));
    assert_eq!(server.connections(), [0, 0]);

    let count = AtomicUsize::new(0);
    let script = move |_: &Seen| match count.fetch_add(1, Ordering::Relaxed) {
        0 => ok("a"),
        _ => Reply::Close(String::new()),
    };
    let server = Server::start(script).await;
    assert_eq!(fetch(&client, &server.url("/")).await, "200 a");
    let mut post = ClientRequest::get(url(&server.url("/")));
    (post.method, post.body) = (Method::POST, "x".into());
    let deadline = Instant::now() + Duration::from_secs(60);
    let error = client.send(&post, deadline).await.unwrap_err().to_string();
    assert_eq!(error, format!("Post \"{}\": EOF", server.url("/")));
    assert_eq!(server.connections(), [0, 0]);
}

#[tokio::test]
async fn connection_that_timed_out_is_not_used_again() {
    let server = Server::start(|seen| match seen.line() {
        "GET /head HTTP/1.1" => Reply::Hang(String::new()),
        "GET /body HTTP/1.1" => {
            Reply::Hang("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_owned())
        }
        _ => ok("x"),
    })
    .await;
    let client = client(&HttpClientConfig::default());
    let send = async |path: &str| {
        let request = ClientRequest::get(url(&server.url(path)));
        client.send(&request, Instant::now() + Duration::from_millis(300)).await
    };
    let begin = Instant::now();
    let error = send("/head").await.unwrap_err();
    let expected = format!("Get \"{}\": context deadline exceeded", server.url("/head"));
    assert_eq!((error.to_string(), error.is_deadline()), (expected, true));
    let response = send("/body").await.unwrap();
    let error = response.body.read_to_end(100).await.unwrap_err();
    assert_eq!(error.to_string(), "context deadline exceeded");
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(client.connections(), 0);
    assert_eq!(fetch(&client, &server.url("/")).await, "200 x");
    assert_eq!(server.connections(), [0, 1, 2]);
}

#[tokio::test]
async fn bodies_without_length_and_cut_bodies() {
    for (response, expected) in [
        ("HTTP/1.0 200 OK\r\n\r\na 1\n", "200 a 1\n"),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na 1\n", "200 a 1\n"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na 1\r\n1\r\n\n\r\n0\r\n\r\n",
            "200 a 1\n",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204 "),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", "304 "),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1\n", "200 unexpected EOF"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\na 1\n", "200 unexpected EOF"),
    ] {
        let server = Server::start(move |_| Reply::Close(response.to_owned())).await;
        let client = client(&HttpClientConfig::default());
        assert_eq!(fetch(&client, &server.url("/")).await, expected, "{response:?}");
    }
}

/// Starts an HTTP/2 server that responds with the number of the connection and hangs at `/hang`.
/// `die` makes its connections neither read nor respond any more, without closing them.
async fn http2_server(tls: tokio_rustls::TlsAcceptor, die: Arc<Notify>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, die) = (tls.clone(), Arc::clone(&die));
            tokio::spawn(async move {
                let stream = tls.accept(stream).await.unwrap();
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                let service =
                    service_fn(move |request: http::Request<hyper::body::Incoming>| async move {
                        if request.uri().path() == "/hang" {
                            std::future::pending::<()>().await;
                        }
                        let host = request.headers().get("host").is_some();
                        let authority = request.uri().authority().map(ToString::to_string);
                        let body = format!("{number} {host} {}", authority.unwrap_or_default());
                        Ok::<_, Infallible>(http::Response::new(
                            Full::new(Bytes::from(body)).boxed(),
                        ))
                    });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    _ = &mut connection => {}
                    () = die.notified() => std::future::pending().await,
                }
            });
        }
    });
    port
}

/// HTTP/2 server and its client.
struct Http2 {
    port: u16,
    die: Arc<Notify>,
    client: HttpClient,
}

impl Http2 {
    async fn start() -> Self {
        let ca = tls::Authority::new();
        let die = Arc::new(Notify::new());
        let acceptor = tls::acceptor(&ca.server(), &["h2", "http/1.1"]);
        let port = http2_server(acceptor, Arc::clone(&die)).await;
        let settings = TlsClientConfig { ca: Some(ca.inline()), ..TlsClientConfig::default() };
        let config = HttpClientConfig { tls: settings, ..HttpClientConfig::default() };
        Self { port, die, client: client(&config) }
    }

    fn request(&self, path: &str) -> ClientRequest {
        ClientRequest::get(url(&format!("https://127.0.0.1:{}{path}", self.port)))
    }

    /// Sends a request that may take two minutes. Returns the number of the connection, or the
    /// error.
    async fn get(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(120);
        match self.client.send(&self.request("/"), deadline).await {
            Ok(response) => {
                let body = response.body.read_to_end(100).await.unwrap();
                String::from_utf8_lossy(&body).split(' ').next().unwrap().to_owned()
            }
            Err(error) => error.to_string(),
        }
    }
}

/// Moves the clock of timers, then lets tasks run with the real clock, so that bytes on their way
/// arrive.
async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn http2_is_selected_by_alpn_and_shared() {
    let ca = tls::Authority::new();
    let identity = ca.server();
    let port = http2_server(tls::acceptor(&identity, &["h2", "http/1.1"]), Arc::default()).await;
    let settings = TlsClientConfig { ca: Some(ca.inline()), ..TlsClientConfig::default() };
    let config = HttpClientConfig { tls: settings, ..HttpClientConfig::default() };
    let client = client(&config);
    let page = format!("https://127.0.0.1:{port}/");
    let response = get(&client, &page).await.unwrap();
    assert_eq!(response.version, Version::HTTP_2);
    assert_eq!(response.status_text(), "200 OK");
    let expected = format!("0 false 127.0.0.1:{port}");
    assert_eq!(response.body.read_to_end(100).await.unwrap(), expected);
    let shared = futures_join(&client, &page).await;
    assert_eq!(shared, [format!("200 {expected}"), format!("200 {expected}")]);

    let plain = super::client(&HttpClientConfig { enable_http2: false, ..config });
    let server =
        Server::start_with(Some(tls::acceptor(&identity, &["h2", "http/1.1"])), |_| ok("1.1"))
            .await;
    assert_eq!(fetch(&plain, &server.url("/").replace("http:", "https:")).await, "200 1.1");
}

#[tokio::test]
async fn http2_connection_that_timed_out_is_not_used_again() {
    let server = Http2::start().await;
    assert_eq!(server.get().await, "0");
    let deadline = Instant::now() + Duration::from_millis(200);
    let error = server.client.send(&server.request("/hang"), deadline).await.unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(server.client.connections(), 0);
    assert_eq!(server.get().await, "1");
    assert_eq!(server.get().await, "1");
    assert_eq!(server.client.connections(), 1);
}

#[tokio::test]
async fn dead_http2_connection_is_found_by_ping_and_replaced() {
    let server = Arc::new(Http2::start().await);
    assert_eq!(server.get().await, "0");
    let start = Instant::now();
    server.die.notify_waiters();
    let waiting = Arc::clone(&server);
    let waiting = tokio::spawn(async move { waiting.get().await });
    pass(Duration::from_secs(55)).await;
    // The PING is sent after 60 s and has 15 s.
    pass(Duration::from_secs(6)).await;
    pass(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished(), "no response in {:?}", start.elapsed());
    pass(Duration::from_secs(10)).await;
    assert_eq!(waiting.await.unwrap(), "1");
    assert!(start.elapsed() >= Duration::from_secs(75), "{:?}", start.elapsed());
    assert_eq!(server.get().await, "1");
}

#[tokio::test]
async fn idle_http2_connection_is_checked_by_ping() {
    let server = Http2::start().await;
    assert_eq!(server.get().await, "0");
    // The server answers each PING.
    for _ in 0..20 {
        pass(Duration::from_secs(10)).await;
    }
    assert_eq!(server.get().await, "0");
    server.die.notify_waiters();
    pass(Duration::from_secs(61)).await;
    pass(Duration::from_secs(16)).await;
    let start = Instant::now();
    assert_eq!(server.get().await, "1");
    assert!(start.elapsed() < Duration::from_secs(60), "a request waited for the PING");
}

/// Sends two requests at the same time.
async fn futures_join(client: &HttpClient, page: &str) -> [String; 2] {
    let (a, b) = tokio::join!(fetch(client, page), fetch(client, page));
    [a, b]
}
