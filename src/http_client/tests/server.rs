//! Scripted server: a function returns the response to each request.

use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

/// Request as the server has read it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Number of the connection, from 0.
    pub(super) connection: usize,
    /// Request line and headers, without the empty line.
    pub(super) head: String,
    pub(super) body: String,
}

impl Seen {
    /// Returns the request line.
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Returns the values of a header.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// Reaction of the server to a request.
pub(super) enum Reply {
    /// Sends these bytes and waits for the next request.
    Send(String),
    /// Sends these bytes and closes the connection.
    Close(String),
    /// Sends these bytes and keeps the connection open, silent.
    Hang(String),
}

/// Returns a response with a body and a length.
pub(super) fn ok(body: &str) -> Reply {
    Reply::Send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// Returns an empty response with a status line and headers.
pub(super) fn status(line: &str, headers: &str) -> Reply {
    Reply::Send(format!("HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\n\r\n"))
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

/// Server that runs until the runtime of the test ends.
pub(super) struct Server {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts a plain server.
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, script).await
    }

    /// Starts a server, with TLS if `tls` is set.
    pub(super) async fn start_with(
        tls: Option<TlsAcceptor>,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::default();
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (script, log, tls) = (Arc::clone(&script), Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, connection, &*script, &log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, connection, &*script, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, seen }
    }

    /// Starts a server on a unix socket.
    pub(super) fn start_unix(
        path: &Path,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).expect("a listener");
        let seen = Arc::default();
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                serve(stream, connection, &script, &log).await;
            }
        });
        Self { port: 0, seen }
    }

    /// Returns a URL of the server.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns all requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("a lock").clone()
    }

    /// Returns the number of the connection of each request.
    pub(super) fn connections(&self) -> Vec<usize> {
        self.seen().iter().map(|seen| seen.connection).collect()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    script: &(impl Fn(&Seen) -> Reply + ?Sized),
    log: &Mutex<Vec<Seen>>,
) {
    while let Some(seen) = read(&mut stream, connection).await {
        log.lock().expect("a lock").push(seen.clone());
        match script(&seen) {
            Reply::Send(bytes) => {
                if stream.write_all(bytes.as_bytes()).await.is_err()
                    || stream.flush().await.is_err()
                {
                    return;
                }
            }
            Reply::Close(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Hang(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                let _ = stream.flush().await;
                // The client closes it.
                let _ = stream.read_u8().await;
                return;
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin), connection: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).trim_end().to_owned();
    let mut seen = Seen { connection, head, body: String::new() };
    let length = seen.header("content-length").first().and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    seen.body = String::from_utf8_lossy(&body).into_owned();
    Some(seen)
}
